// detector train: options into a Trainer. What is wrong with the input ends with 2, what goes wrong during the run with 1.
#include <iostream>

#include "cli/common.h"
#include "train/trainer.h"

namespace dn::cli {
namespace {

constexpr int kShownSamples = 36;

}  // namespace

int train(const Arguments& arguments) {
  const ModelFiles files = model_files(arguments);
  TrainOptions options;
  options.data = files.data;
  options.cfg = files.cfg;
  options.weights = files.weights;
  options.clear = arguments.has("clear");
  options.map = arguments.has("map");
  options.map_epochs = arguments.real("mAP_epochs", .01, 1e6);
  options.confidence = arguments.real("thresh", 0, 1);
  options.iou_threshold = arguments.real("iou_thresh", 0, 1);
  options.points = static_cast<int>(arguments.integer("points", 0, 1001));
  options.seed = static_cast<uint64_t>(arguments.integer("seed", 0, INT64_MAX));
  options.device = device_options(arguments);
  options.memory = memory_option(arguments);
  options.loader_threads = static_cast<int>(arguments.integer("loader_threads", 0, 256));
  if (arguments.has("show_imgs")) options.show_samples = kShownSamples;
  Trainer trainer(options);
  try {
    return trainer.run();
  } catch (const Error& e) {
    std::cerr << "error: " << e.what() << std::endl;
    return 1;
  }
}

}  // namespace dn::cli
