// What the verbs share: the three model files among the arguments, the device of the global options, names, a network with its weights.
#pragma once

#include <optional>

#include "cli/options.h"
#include "config/data_file.h"
#include "graph/network.h"
#include "train/device_choice.h"

namespace dn::cli {

// DATA CFG [WEIGHTS] [others...]. The order is theirs, but a file with the extension .data or .cfg is taken for what it says wherever it stands.
// A command with an option -data has no DATA among its arguments.
struct ModelFiles {
  fs::path data, cfg;
  std::optional<fs::path> weights;
  std::vector<std::string> others;
};
ModelFiles model_files(const Arguments& arguments);

cpu::DeviceOptions cpu_options(const Arguments& arguments);
DeviceChoice device_choice(const Arguments& arguments);
std::unique_ptr<Device> inference_device(const Arguments& arguments);
size_t memory_option(const Arguments& arguments);   // -memory in bytes; 0: not given
// A network ready for inference. Weights that hold only a part of the layers are refused. seen: images that the weights were trained on.
Network load_model(const fs::path& cfg, const fs::path& weights, uint64_t* seen = nullptr);

// The options' notes ("changes nothing") as lines on stderr.
void say_notes(const Arguments& arguments);

int train(const Arguments& arguments);
int test(const Arguments& arguments);
int map(const Arguments& arguments);
int map_coco(const Arguments& arguments);   // detector map -coco
int recall(const Arguments& arguments);
int valid(const Arguments& arguments);
int calc_anchors(const Arguments& arguments);
int convert_voc(const Arguments& arguments);
int convert_coco(const Arguments& arguments);
int convert_kitti(const Arguments& arguments);
int convert_bdd(const Arguments& arguments);
int partial(const Arguments& arguments);
int average(const Arguments& arguments);
int rescale(const Arguments& arguments);
int rgbgr(const Arguments& arguments);
int normalize(const Arguments& arguments);
int denormalize(const Arguments& arguments);
int reset(const Arguments& arguments);
int statistics(const Arguments& arguments);
int visualize(const Arguments& arguments);
int imtest(const Arguments& arguments);
int speed(const Arguments& arguments);
int ops(const Arguments& arguments);
int video(const Arguments& arguments);
int describe(const Arguments& arguments);
int synth(const Arguments& arguments);
int demo(const Arguments& arguments);
int help(const Arguments& arguments);
int version(const Arguments& arguments);

}  // namespace dn::cli
