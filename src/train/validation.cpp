#include "train/validation.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "data/labels.h"
#include "device/cpu/device.h"
#include "train/stop_signal.h"

namespace dn {
namespace {

fs::path valid_list(const DataFile& data) {
  if (data.valid.empty()) fail(data.file, ": valid is missing: expected the path of a list of images");
  return resolve_path(data.valid, data.file);
}

// A label file that cannot be read is one warning; its image then counts as one without objects.
std::vector<TruthBox> read_truths(const std::string& image, int classes) {
  try {
    Labels labels = load_labels(image, classes);
    for (const std::string& problem : labels.problems) log::warn(problem);
    return std::move(labels.boxes);
  } catch (const Error& e) {
    log::warn(e.what());
    return {};
  }
}

std::string two(const std::optional<double>& value) { return value ? fixed(*value, 2) : "n/a"; }

}  // namespace

std::vector<std::string> reported_names(std::vector<std::string> names, std::span<const int> report) {
  if (report.empty()) return names;
  std::vector<std::string> reported;
  for (const int id : report) reported.push_back(names[static_cast<size_t>(id)]);
  return reported;
}

std::vector<std::string> class_names(const DataFile& data, int classes, std::span<const int> report) {
  if (data.names.empty()) fail(data.file, ": names is missing: expected the path of a file with one class name a line");
  const fs::path path = resolve_path(data.names, data.file);
  std::vector<std::string> names = read_names(path);
  if (!report.empty() && names.size() == report.size()) return names;
  if (names.size() != static_cast<size_t>(classes))
    fail(path.string(), ": ", names.size(), " names: expected ", classes, ", the classes of the cfg's heads",
         report.empty() ? "" : concat(", or ", report.size(), ", those of the class map"));
  return reported_names(std::move(names), report);
}

EvaluatorOptions evaluator_options(const Network& network, const Device& device, size_t images) {
  EvaluatorOptions options;
  options.mini_batch = static_cast<int>(std::clamp<size_t>(images, 1, 4));
  options.letter_box = network.spec().letter_box;
  options.decode_threads = std::max(1, device.threads() / 4);
  return options;
}

EvaluatorOptions benchmark_options(const Network& network, const Device& device, size_t images) {
  EvaluatorOptions options = evaluator_options(network, device, images);
  options.threshold = .001f;
  options.nms = .6f;
  return options;
}

Validation::Validation(const DataFile& data, const Head& head, const ValidationOptions& options)
    : images_(valid_list(data)), names_(class_names(data, head.classes(), head.class_map())), options_(options),
      report_(head.class_map().begin(), head.class_map().end()) {
  check_points(options.points);
  const int classes = head.label_classes();
  size_t boxes = 0;
  for (size_t i = 0; i < images_.size(); ++i) {
    paths_.push_back(images_.image(i));
    truths_.push_back(read_truths(paths_.back(), classes));
    boxes += truths_.back().size();
  }
  if (boxes == 0)
    fail(images_.list().string(), ": not one of its ", images_.size(), " images has a usable label: there is nothing to evaluate against");
  if (data.difficult.empty()) return;
  const Dataset difficult(resolve_path(data.difficult, data.file));
  if (difficult.size() != images_.size())
    fail(difficult.list().string(), ": ", difficult.size(), " images: expected ", images_.size(), ", one for each line of ", images_.list().string());
  for (size_t i = 0; i < difficult.size(); ++i) difficult_.push_back(read_truths(difficult.image(i), classes));
}

std::optional<MapReport> Validation::run(Network& network, Device& device) const {
  EvaluatorOptions how = evaluator_options(network, device, paths_.size());
  how.letter_box |= options_.letter_box;
  how.hierarchy = static_cast<float>(options_.hierarchy);
  how.report = report_;
  Evaluator evaluator(network, device, how);
  Metrics metrics({evaluator.classes(), options_.iou_threshold, options_.confidence, options_.points});
  log::say(" calculation mAP (mean average precision)...");
  const auto start = std::chrono::steady_clock::now();
  bool stopped = false;
  {
    log::Progress progress("evaluating", static_cast<int64_t>(paths_.size()), "images");
    evaluator.run(paths_, [&](ImageDetections&& found) {
      stopped = StopSignal::received() != 0;
      if (stopped) return false;
      if (!found.error.empty()) log::warn(concat(found.error, " (counted as an image without detections)"));
      metrics.add(found.detections, truths_[found.index], difficult(found.index), found.width, found.height);
      progress.update(static_cast<int64_t>(found.index) + 1);
      return true;
    });
  }
  if (stopped) return std::nullopt;
  MapReport result = metrics.result();
  for (const std::string& line : report(result)) log::say(line);
  log::say(concat("Total Detection Time: ", fixed(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 2), " Seconds"));
  return result;
}

std::vector<std::string> Validation::report(const MapReport& result) const {
  const ClassMetrics& total = result.total;
  std::vector<std::string> lines;
  lines.push_back(concat(" detections_count = ", total.detections, ", unique_truth_count = ", total.truths));
  for (size_t c = 0; c < result.classes.size(); ++c)
    lines.push_back(concat("class_id = ", c, ", name = ", names_[c], ", ap = ", percent_text(result.classes[c].ap),
                           "%   \t (TP = ", result.classes[c].true_positives, ", FP = ", result.classes[c].false_positives, ")"));
  const std::string at = concat(" for conf_thresh = ", fixed(options_.confidence, 2), ", ");
  lines.push_back(concat(at, "precision = ", two(total.precision()), ", recall = ", two(total.recall()), ", F1-score = ", two(total.f1())));
  lines.push_back(concat(at, "TP = ", total.true_positives, ", FP = ", total.false_positives, ", FN = ", total.false_negatives(),
                         ", average IoU = ", percent_text(total.mean_iou()), " %"));
  lines.push_back(concat(" IoU threshold = ", fixed(100 * options_.iou_threshold, 0), " %, used ",
                         options_.points == 0 ? "Area-Under-Curve for each unique Recall" : concat(options_.points, " Recall-points")));
  lines.push_back(concat(" mean average precision (mAP@", fixed(options_.iou_threshold, 2), ") = ", fixed(result.map, 6), ", or ",
                         fixed(100 * result.map, 2), " %"));
  lines.push_back(concat(" AP@[.50:.95] as COCO counts it = ", fixed(100 * result.map50_95, 2), " %"));
  return lines;
}

}  // namespace dn
