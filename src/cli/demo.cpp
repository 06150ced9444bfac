// demo: the whole way in a few minutes, without a download. Draws a data set, trains cfg/demo.cfg on it, evaluates, and shows the network's answers on
// validation images that it never saw (predictions.jpg) beside the run's chart (chart.png), both in the output folder.
#include <algorithm>
#include <iostream>

#include "base/log.h"
#include "cli/common.h"
#include "cli/detection_output.h"
#include "data/synth.h"
#include "train/trainer.h"

namespace dn::cli {
namespace {

constexpr size_t kShown = 9;
constexpr int kColumns = 3;
constexpr float kThreshold = .25f;

// Validation images spread over the list, with what the network finds in them.
void show(const fs::path& cfg, const fs::path& weights, const DataFile& data, const fs::path& picture, const Arguments& arguments) {
  Network network = load_model(cfg, weights);
  const std::unique_ptr<Device> opened = inference_device(arguments);
  Device& device = *opened;
  const Dataset images(resolve_path(data.valid, data.file));
  std::vector<std::string> paths;
  const size_t count = std::min(kShown, images.size());
  for (size_t i = 0; i < count; ++i) paths.push_back(images.image(i * images.size() / count));
  EvaluatorOptions options = evaluator_options(network, device, paths.size());
  options.threshold = kThreshold;
  Evaluator evaluator(network, device, options);
  const Names names = class_names(data, evaluator.classes());
  std::vector<Image> drawn;
  evaluator.run(paths, [&](ImageDetections&& found) {
    if (!found.error.empty()) fail(found.error);
    Image image = load_image(paths[found.index]);
    draw_detections(image, draw_items(found, names, kThreshold));
    drawn.push_back(std::move(image));
    return true;
  });
  save_image(picture, make_contact_sheet(drawn, kColumns));
}

}  // namespace

int demo(const Arguments& arguments) {
  const fs::path out = arguments.text("out"), cfg = arguments.text("cfg");
  SynthOptions scenes;
  scenes.images = static_cast<int>(arguments.integer("images", 10, 100000));
  scenes.seed = static_cast<uint64_t>(arguments.integer("seed", 0, INT64_MAX));
  scenes.threads = cpu::Device(cpu_options(arguments)).threads();
  TrainOptions options;
  options.cfg = cfg;
  options.data = out / "synth.data";
  options.map = true;
  options.seed = scenes.seed;
  options.device = device_choice(arguments);
  options.chart_folder = out;
  Network::from_cfg(cfg);  // a wrong cfg is said before images are drawn
  make_synthetic_dataset(out, scenes);
  Trainer trainer(options);
  try {
    if (const int code = trainer.run(); code != 0) return code;
    const fs::path best = trainer.snapshots().file("best"), picture = out / "predictions.jpg";
    show(cfg, best, read_data_file(options.data), picture, arguments);
    log::say("");
    log::say(concat("mAP@0.50 = ", fixed(100 * trainer.best_map(), 2), " % on validation images that were not trained on"));
    log::say(concat("what it finds: ", picture.string()));
    log::say(concat("the run:       ", (out / "chart.png").string()));
    log::say(concat("the network:   ", best.string(), "; try it with: darknet detector test ", options.data.string(), " ", cfg.string(), " ",
                    best.string(), " IMAGE"));
  } catch (const Error& e) {
    std::cerr << "error: " << e.what() << std::endl;
    return 1;
  }
  return 0;
}

}  // namespace dn::cli
