#include "train/iteration_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <fstream>
#include <system_error>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

namespace dn {

using nlohmann::ordered_json;

std::string classic_line(const IterationNumbers& n, double hours_left) {
  return concat(" ", n.iteration, ": ", fixed(n.loss, 6), ", ", fixed(n.average_loss, 6), " avg loss, ", fixed(n.rate, 6), " rate, ",
                fixed(n.seconds, 6), " seconds, ", n.images, " images, ", fixed(hours_left, 6), " hours left");
}

double TimeLeft::update(int64_t iterations_left, double seconds_per_iteration) {
  const double now = static_cast<double>(std::max<int64_t>(0, iterations_left)) * seconds_per_iteration / 3600;
  hours_ = hours_ < 0 ? now : .01 * now + .99 * hours_;
  if (iterations_left <= 0) hours_ = 0;
  return hours_;
}

double AverageLoss::update(double loss) {
  if (!std::isfinite(loss)) return set_ ? value_ : loss;
  value_ = set_ ? .9 * value_ + .1 * loss : loss;
  set_ = true;
  return value_;
}

MetricsFile::MetricsFile(fs::path path, std::string name) : path_(std::move(path)), name_(std::move(name)) {
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(path_.string(), ": cannot write: ", std::generic_category().message(errno));
}

MetricsFile::~MetricsFile() { ::close(descriptor_); }

void MetricsFile::write(std::string_view event, ordered_json object) {
  ordered_json line;
  line["event"] = event;
  line["run"] = name_;
  line.update(object);
  const std::string text = json_text_of_any(line) + "\n";
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t wrote = ::write(descriptor_, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) {
      log::warn(concat(path_.string(), ": cannot write: ", std::generic_category().message(errno)));
      return;
    }
    done += static_cast<size_t>(wrote);
  }
}

ordered_json to_json(const IterationNumbers& n) {
  const double total = n.seconds + n.load_wait;
  ordered_json object = {{"iteration", n.iteration},
                         {"loss", n.loss},
                         {"avg_loss", n.average_loss},
                         {"rate", n.rate},
                         {"images", n.images},
                         {"images_per_s", total > 0 ? n.batch / total : 0.0},
                         {"seconds", n.seconds},
                         {"load_wait_s", n.load_wait},
                         {"width", n.width},
                         {"height", n.height},
                         {"gradient_norm", n.gradient_norm}};
  if (n.skipped) object["skipped"] = true;
  ordered_json heads = ordered_json::array();
  for (const HeadNumbers& head : n.heads) {
    const LossReport& sum = head.sum;
    ordered_json one = {{"layer", head.layer},        {"cost", sum.cost},
                        {"assigned", sum.assigned},   {"truths", sum.truths},
                        {"rewritten", sum.rewritten}, {"class_loss", sum.class_loss},
                        {"iou_loss", sum.iou_loss},   {"total_loss", sum.total_loss}};
    one["avg_iou"] = sum.assigned > 0 ? ordered_json(sum.iou_sum / static_cast<double>(sum.assigned)) : ordered_json(nullptr);
    heads.push_back(std::move(one));
  }
  object["heads"] = std::move(heads);
  return object;
}

namespace {

void forget_after(std::vector<RunHistory::Sample>& samples, int64_t iteration) {
  while (!samples.empty() && samples.back().iteration >= iteration) samples.pop_back();
}

// A run that was started again from an earlier iteration replaces what it had written beyond.
void add_line(RunHistory& history, const nlohmann::json& line, int64_t limit) {
  const std::string event = line.value("event", "");
  const int64_t iteration = line.value("iteration", int64_t{0});
  if (event == "start")
    for (auto* list : {&history.loss, &history.average_loss, &history.map, &history.rate}) forget_after(*list, iteration + 1);
  if (iteration > limit) return;
  const auto add = [&](std::vector<RunHistory::Sample>& list, const char* key) {
    if (line.contains(key) && line[key].is_number()) list.push_back({iteration, line[key].get<double>()});
  };
  if (event == "iteration") {
    add(history.loss, "loss");
    add(history.average_loss, "avg_loss");
    add(history.rate, "rate");
  }
  if (event == "map") add(history.map, "map");
  if (event == "rejection")
    history.rejection = {line.value("maximum", 0.0), line.value("mean", 0.0), line.value("deviation", 0.0), line.value("threshold", 0.0)};
}

}  // namespace

ordered_json rejection_event(const LabelRejection::State& state, const DeltaSums& batch, int64_t iteration) {
  return {{"iteration", iteration},       {"maximum", state.maximum}, {"mean", state.mean},        {"deviation", state.deviation},
          {"threshold", state.threshold}, {"entries", batch.count},   {"left_out", batch.left_out}};
}

RunHistory read_history(const fs::path& metrics, const std::string& name, int64_t iteration) {
  RunHistory history;
  if (iteration <= 0) return history;
  std::ifstream file(metrics);
  for (std::string text; std::getline(file, text);) {
    const nlohmann::json line = parse_json_or_discarded(text);
    if (line.is_object() && line.value("run", "") == name) add_line(history, line, iteration);
  }
  for (const RunHistory::Sample& sample : history.map)
    if (sample.value >= history.best_map) {
      history.best_map = sample.value;
      history.best_iteration = sample.iteration;
    }
  return history;
}

}  // namespace dn
