// detector map and detector recall: how well a trained network finds the labelled objects of the validation list.
#include "base/log.h"
#include "cli/common.h"
#include "nn/detection.h"
#include "train/stop_signal.h"
#include "train/validation.h"

namespace dn::cli {
namespace {

constexpr float kRecallThreshold = .001f, kRecallNms = .4f;

struct Setup {
  Setup(const Arguments& arguments, const ValidationOptions& options)
      : files(model_files(arguments.positional)),
        network(load_model(files.cfg, *files.weights)),
        device(device_options(arguments)),
        validation(read_data_file(files.data), last_head(network).classes(), options) {}
  static const Head& last_head(const Network& network) {
    if (network.heads().empty()) fail(network.file(), ": no detection head; expected [yolo] or another head");
    return *network.heads().back();
  }
  ModelFiles files;
  Network network;
  cpu::Device device;
  Validation validation;
};

}  // namespace

int map(const Arguments& arguments) {
  ValidationOptions options;
  options.confidence = arguments.real("thresh", 0, 1);
  options.iou_threshold = arguments.real("iou_thresh", 0, 1);
  options.points = static_cast<int>(arguments.integer("points", 0, 101));
  Setup setup(arguments, options);
  const StopSignal stop;
  if (!setup.validation.run(setup.network, setup.device)) return 128 + StopSignal::received();
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
