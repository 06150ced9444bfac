#include "cli/commands.h"

#include <iostream>

#include "base/log.h"
#include "cli/common.h"
#include "config/keys.h"

namespace dn::cli {
namespace {

constexpr Option kThresh = {"thresh", "T", "0.25", "confidence of the precision, recall, F1 and average IoU report"};
constexpr Option kIouThresh = {"iou_thresh", "T", "0.5", "a detection is right when it overlaps its object by more than this"};
constexpr Option kPoints = {"points", "N", "0", "recall points of the average precision: 0 (area under the curve), 11 (VOC 2007), 101 (COCO)"};
constexpr Option kLetterBox = {"letter_box", "", "", "keep the image's aspect (on anyway with letter_box=1 in the cfg)"};

constexpr Option kMemory = {"memory", "SIZE", "", "memory for everything, such as 8G or 900M; what it has no room for backward computes again (default: no limit; with norm_scope = batch 80 % of what is free)"};

constexpr Option kTrain[] = {
    {"clear", "", "", "start at iteration 0, whatever the weights have seen"},
    {"map", "", "", "compute mAP during training (and at its end) and keep the best weights in NAME_best"},
    {"mAP_epochs", "N", "4", "epochs from one mAP to the next (100 iterations at least)"},
    kThresh,
    kIouThresh,
    kPoints,
    {"seed", "N", "1", "seed of weights, data order, augmentation and sizes"},
    {"loader_threads", "N", "0", "threads that load images; 0: one in eight cores"},
    {"show_imgs", "", "", "write the first augmented samples with their boxes as pictures to the folder NAME_samples, beside the snapshots"},
    kMemory,
};
constexpr Option kTest[] = {
    {"thresh", "T", "0.25", "confidence from which a detection counts"},
    {"list", "F", "", "a file with one image path a line (no pictures are drawn for these)"},
    {"out", "F", "", "write the detections to this JSON file"},
    {"ext_output", "", "", "print left, top, width and height of each box in pixels"},
    {"save_labels", "", "", "write the detections as label files where the images' labels belong"},
    {"track", "", "", "the images are successive frames: number their objects through them (for a [yolo] with embedding_layer)"},
    kLetterBox,
};
constexpr Option kMap[] = {
    kThresh,
    kIouThresh,
    kPoints,
    kLetterBox,
    {"coco", "", "", "COCO's twelve numbers instead: AP, AP50, AP75, by area, AR (areas are those of the boxes)"},
    {"gt", "F", "", "with -coco: take the objects from this COCO annotation file (exact areas, crowds) instead of the labels"},
};
constexpr Option kRecall[] = {kIouThresh, kLetterBox};
constexpr Option kValidShare = {"valid_share", "S", "0.1", "share of the images for validation where the data set does not say which"};
constexpr Option kConvertOut = {"out", "DIR", "", "folder for links to the images, labels and lists; without it labels and lists go into the data set"};
constexpr Option kConvertNames = {"names", "F", "", "a file with one class name a line: these classes, in this order; objects of others are left out"};
constexpr Option kConvertCopy = {"copy", "", "", "with -out: copy the images instead of linking to them"};
constexpr Option kConvertDifficult = {"keep_difficult", "", "", "difficult objects (crowds in COCO) are objects like others"};
constexpr Option kConvert[] = {kConvertOut, kConvertNames, kValidShare, kConvertCopy, kConvertDifficult};
constexpr Option kConvertCoco[] = {
    kConvertOut,
    kConvertNames,
    kValidShare,
    kConvertCopy,
    kConvertDifficult,
    {"train", "F", "", "annotation file of the training images; without it: looked for in DIR"},
    {"valid", "F", "", "annotation file of the validation images; without it: looked for in DIR"},
};
constexpr Option kValid[] = {{"out", "NAME", "", "base name of the result files; default: as usual for the format"}, kLetterBox};
constexpr Option kAnchors[] = {
    {"num_of_clusters", "N", "5", "number of anchors"},
    {"width", "N", "", "network input width, needed"},
    {"height", "N", "", "network input height, needed"},
    {"seed", "N", "1", "seed of the first centres"},
    {"show", "", "", "draw the boxes by width and height and the anchors among them to anchors.png (no window is opened)"},
};
constexpr Option kDescribe[] = {kMemory};
constexpr Option kSynth[] = {
    {"images", "N", "1000", "number of images, validation ones included"},
    {"seed", "N", "1", "seed of the scenes"},
    {"width", "N", "416", "width of the images"},
    {"height", "N", "320", "height of the images"},
};
constexpr Option kDemo[] = {
    {"out", "DIR", "demo", "folder of the images and the snapshots"},
    {"cfg", "F", "cfg/demo.cfg", "the network"},
    {"images", "N", "800", "number of images to draw"},
    {"seed", "N", "1", "seed of everything"},
};

constexpr std::span<const Option> kNone;

constexpr Command kCommands[] = {
    {"detector train", "DATA CFG [WEIGHTS]", 2, 3, "train a detector", kTrain, train,
     "DATA names the lists of images, the class names and the folder for snapshots. WEIGHTS, when given, are where the network starts:\n"
     "a snapshot goes on where it was taken, a pretrained part (NAME.conv.N) gives its layers. Snapshots: NAME_last, NAME_<iteration>,\n"
     "NAME_best and NAME_final, NAME being the cfg's: .weights, or .safetensors for a network that the .weights format cannot express.\n"
     "SIGINT and SIGTERM end the run after the current iteration and write NAME_last."},
    {"detector test", "DATA CFG WEIGHTS [IMAGE...]", 3, -1, "find objects in images", kTest, test,
     "Writes predictions.jpg, or predictions_NAME.jpg for each of several images, in the working directory."},
    {"detector map", "DATA CFG WEIGHTS", 3, 3, "mean average precision over the validation list", kMap, map,
     "Prints the family's lines and a table of the classes. -coco prints the benchmark's numbers over the detections that `detector valid` writes\n"
     "(probability above .001, suppression .6); difficult boxes are its crowds."},
    {"detector valid", "DATA CFG WEIGHTS", 3, 3, "write detections of the validation list in a benchmark's format", kValid, valid,
     "The format is eval= in DATA: voc, coco, bdd, kitti or imagenet; files go to the folder results=, which is created.\n"
     "coco: an image's number is the last run of digits in its file's name (COCO_val2014_000000000042.jpg: 42); 80 classes get COCO's category\n"
     "numbers, others 1, 2 ... or those of map= in DATA."},
    {"detector recall", "DATA CFG WEIGHTS", 3, 3, "recall of the boxes over the validation list, classes aside", kRecall, recall, {}},
    {"detector calc_anchors", "DATA", 1, 1, "cluster the boxes of the training labels into anchors", kAnchors, calc_anchors, {}},
    {"convert voc", "DIR", 1, 1, "turn annotations of PASCAL VOC (XML) into a data set to train on", kConvert, convert_voc,
     "DIR is VOCdevkit, one of its years, or a folder with XML files beside its images. Where test images are annotated these are for validation\n"
     "and trainval for training, else val and train. Difficult objects are not trained on; those of validation are listed apart."},
    {"convert coco", "DIR", 1, 1, "turn annotations of COCO (JSON) into a data set to train on", kConvertCoco, convert_coco,
     "DIR holds annotations/instances_train*.json and instances_val*.json and the images (train2017/ or images/train2017/). The classes are numbered\n"
     "in the order of the category numbers: COCO's 80 become 0..79. Crowds are not trained on; those of validation are listed as difficult."},
    {"convert kitti", "DIR", 1, 1, "turn annotations of KITTI (text) into a data set to train on", kConvert, convert_kitti,
     "DIR or DIR/training holds image_2 and label_2. In DontCare regions detections are not judged."},
    {"convert bdd", "DIR", 1, 1, "turn annotations of BDD100K (JSON) into a data set to train on", kConvert, convert_bdd,
     "DIR holds the annotation files of both parts (det_train*.json and det_val*.json, here or in labels or labels/det_20) and images/100k/train\n"
     "and val. Objects without a box are left out."},
    {"partial", "CFG WEIGHTS OUT N", 4, 4, "write the first N layers of a weights file", kNone, partial,
     "The result is a pretrained part for `detector train` with another cfg whose first N layers are the same. WEIGHTS and OUT are .weights\n"
     "files, or safetensors where the name ends in .safetensors; with N = all layers this turns one into the other,\n"
     "the count of images seen going back to 0."},
    {"describe", "CFG|SECTION", 1, 1, "layers, parameters, arithmetic and memory of a cfg; or the keys of a section", kDescribe, describe, {}},
    {"synth", "OUT", 1, 1, "draw a labelled data set of scenes to train on", kSynth, synth, {}},
    {"demo", "", 0, 0, "draw images, train a small network on them, evaluate it, show what it finds", kDemo, demo, {}},
    {"help", "[COMMAND]", 0, -1, "this list, or one command", kNone, help, {}},
    {"version", "", 0, 0, "version and machine", kNone, version, {}},
};

constexpr Option kGlobal[] = {
    {"threads", "N", "0", "threads that compute; 0: all cores"},
    {"conv", "WAY", "automatic", "convolution algorithm: direct, winograd, or automatic (measured per layer)"},
    {"strict", "", "", "unknown keys in cfg and data files are errors, not warnings"},
};

constexpr std::string_view kNoWindow = "no windows are opened", kNoGpu = "this program computes on the CPU",
                           kNoStream = "nothing is served over the network", kNoVideo = "there is no video demonstration";
constexpr InertOption kInert[] = {
    {"dont_show", "", kNoWindow},
    {"show", "", kNoWindow},
    {"mjpeg_port", "P", kNoStream},
    {"json_port", "P", kNoStream},
    {"http_post_host", "H", kNoStream},
    {"gpus", "LIST", kNoGpu},
    {"i", "N", kNoGpu},
    {"nogpu", "", kNoGpu},
    {"cuda_debug_sync", "", kNoGpu},
    {"benchmark_layers", "", "layers are not timed one by one"},
    {"benchmark", "", kNoVideo},
    {"chart", "F", "a resumed run takes its chart from metrics.jsonl"},
    {"hier", "T", "no head has a class hierarchy"},
    {"avgframes", "N", kNoVideo},
    {"dontdraw_bbox", "", kNoVideo},
    {"time_limit_sec", "N", kNoVideo},
    {"out_filename", "F", kNoVideo},
    {"json_file_output", "F", kNoVideo},
    {"prefix", "S", kNoVideo},
    {"c", "N", kNoVideo},
    {"s", "N", kNoVideo},
    {"verbose", "", "nothing more is known"},
    {"colour", "", "lines are not coloured"},
    {"nocolour", "", "lines are not coloured"},
};

constexpr Table kTable{kCommands, kGlobal, kInert};

}  // namespace

const Table& table() { return kTable; }

int help(const Arguments& arguments) {
  log::say(arguments.positional.empty() ? help_text(kTable) : help_text(kTable, arguments.positional));
  return 0;
}

int version(const Arguments& arguments) {
  log::say(concat("darknet ", DN_VERSION));
  log::say(cpu::Device(device_options(arguments)).description());
  return 0;
}

int run(std::span<const std::string> words) {
  const Arguments arguments = parse(kTable, words);
  if (!arguments.command) {
    // Nothing was asked for: usage, as an error; `-h`: help.
    const std::string text = arguments.positional.empty() ? help_text(kTable) : help_text(kTable, arguments.positional);
    (arguments.help ? std::cout : std::cerr) << text;
    return arguments.help ? 0 : 2;
  }
  if (arguments.help) {
    log::say(help_text(kTable, *arguments.command));
    return 0;
  }
  say_notes(arguments);
  set_strict_keys(arguments.has("strict"));
  return arguments.command->run(arguments);
}

}  // namespace dn::cli
