// detector map and detector recall: how well a trained network finds the labelled objects of the validation list.
#include "base/log.h"
#include "cli/common.h"
#include "cli/text_table.h"
#include "nn/detection.h"
#include "train/stop_signal.h"
#include "train/validation.h"

namespace dn::cli {
namespace {

constexpr float kRecallThreshold = .001f, kRecallNms = .4f;

struct Setup {
  Setup(const Arguments& arguments, const ValidationOptions& options)
      : files(model_files(arguments)),
        network(load_model(files.cfg, *files.weights)),
        opened(inference_device(arguments)),
        device(*opened),
        validation(read_data_file(files.data), last_head(network), options) {}
  static const Head& last_head(const Network& network) {
    if (network.heads().empty()) fail(network.file(), ": no detection head; expected [yolo] or another head");
    return *network.heads().back();
  }
  ModelFiles files;
  Network network;
  std::unique_ptr<Device> opened;
  Device& device;
  Validation validation;
};

// A row of the table of classes.
std::vector<std::string> class_row(const std::string& name, const ClassMetrics& c, const std::optional<double>& ap) {
  const auto two = [](const std::optional<double>& value) { return value ? fixed(*value, 2) : "n/a"; };
  return {name,
          concat(c.truths),
          concat(c.true_positives),
          concat(c.false_positives),
          concat(c.false_negatives()),
          percent_text(ap),
          two(c.precision()),
          two(c.recall()),
          two(c.f1())};
}

void say_classes(const std::vector<std::string>& names, const MapReport& result) {
  std::vector<std::vector<std::string>> rows{{"class", "truths", "TP", "FP", "FN", "AP %", "precision", "recall", "F1"}};
  for (size_t c = 0; c < names.size(); ++c) rows.push_back(class_row(names[c], result.classes[c], result.classes[c].ap));
  rows.push_back(class_row("all", result.total, result.measured() ? std::optional(result.map) : std::nullopt));
  log::say("");
  for (const std::string& line : text_table(rows)) log::say(line);
  log::say(
      concat("TP, FP, FN, precision, recall and F1 at confidence ", fixed(result.options.thresh, 2), "; a class without truths counts 0 in AP %"));
}

}  // namespace

int map(const Arguments& arguments) {
  if (arguments.has("coco")) return map_coco(arguments);
  if (arguments.has("gt")) fail("-gt ", arguments.text("gt"), ": only together with -coco");
  ValidationOptions options;
  options.confidence = arguments.real("thresh", 0, 1);
  options.iou_threshold = arguments.real("iou_thresh", 0, 1);
  options.points = static_cast<int>(arguments.integer("points", 0, 101));
  options.letter_box = arguments.has("letter_box");
  check_points(options.points);
  options.hierarchy = arguments.real("hier", 0, 1);
  Setup setup(arguments, options);
  const StopSignal stop;
  const std::optional<MapReport> result = setup.validation.run(setup.network, setup.device);
  if (!result) return 128 + StopSignal::received();
  say_classes(setup.validation.names(), *result);
  return 0;
}

int recall(const Arguments& arguments) {
  const double overlap = arguments.real("iou_thresh", 0, 1);
  Setup setup(arguments, {});
  const Validation& validation = setup.validation;
  EvaluatorOptions options = evaluator_options(setup.network, setup.device, validation.paths().size());
  options.threshold = kRecallThreshold;
  options.nms = kRecallNms;
  options.objectness_only = true;
  options.letter_box |= arguments.has("letter_box");
  Evaluator evaluator(setup.network, setup.device, options);
  RecallCount count;
  evaluator.run(validation.paths(), [&](ImageDetections&& found) {
    if (!found.error.empty()) log::warn(found.error);
    count.add(found.detections, validation.truths(found.index), kRecallThreshold, overlap);
    log::say(concat(found.index, " ", count.found, " ", count.truths, "\tRPs/Img: ", fixed(count.proposals_per_image().value_or(0), 2),
                    "\tIOU: ", percent_text(count.mean_iou()), "%\tRecall:", percent_text(count.recall()), "%"));
    return true;
  });
  return 0;
}

}  // namespace dn::cli
