#include "cli/commands.h"

#include <array>
#include <iostream>

#include "base/log.h"
#include "cli/common.h"
#include "cli/help.h"
#include "config/keys.h"

namespace dn::cli {
namespace {

constexpr Option kThresh = {"thresh", "T", "0.25", "confidence of the precision, recall, F1 and average IoU report"};
constexpr Option kIouThresh = {"iou_thresh", "T", "0.5", "a detection is right when it overlaps its object by more than this"};
constexpr Option kPoints = {"points", "N", "0", "recall points of the average precision: 0 (area under the curve), 11 (VOC 2007), 101 (COCO)"};
constexpr Option kLetterBox = {"letter_box", "", "", "keep the image's aspect (on anyway with letter_box=1 in the cfg)"};

constexpr Option kHier = {"hier", "T", "0.5", "[region] with a tree: the way to more special classes is followed while their probability is above this"};

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
    {"auto_subdivisions", "", "", "where memory is short, cut the batch into as many more mini-batches as make it fit; the batch stays"},
    {"check", "DEVICE", "", "cpu: run three batches on the GPU and on the CPU, print by how much outputs and gradients differ, and end"},
};
constexpr Option kTest[] = {
    {"thresh", "T", "0.25", "confidence from which a detection counts"},
    kHier,
    {"list", "F", "", "a file with one image path a line (no pictures are drawn for these)"},
    {"out", "F", "", "write the detections to this JSON file"},
    {"ext_output", "", "", "print left, top, width and height of each box in pixels"},
    {"save_labels", "", "", "write the detections as label files where the images' labels belong"},
    {"track", "", "", "the images are successive frames: number their objects through them (for a [yolo] with embedding_layer)"},
    kLetterBox,
};
constexpr Option kVideo[] = {
    {"thresh", "T", "0.25", "confidence from which a detection counts"},
    kHier,
    {"c", "N", "0", "without VIDEO: the camera /dev/videoN"},
    {"s", "N", "0", "frames left out after each one"},
    {"out_filename", "F", "", "write the video with its boxes; the extension says the format (.mp4, .avi, .mkv)"},
    {"json_file_output", "F", "", "write a JSON object per frame, one a line"},
    {"prefix", "S", "", "write the frames with their boxes as S_00000001.jpg and so on"},
    {"time_limit_sec", "N", "0", "end after so many seconds; 0: at the end of the video"},
    {"avgframes", "N", "1", "the heads' outputs are averaged over so many frames"},
    {"track", "", "", "number the objects through the frames (for a [yolo] with embedding_layer)"},
    {"dontdraw_bbox", "", "", "no boxes in the video and the frames"},
    {"benchmark", "", "", "run the network on the first frame again and again, 10 seconds long or -time_limit_sec, and write nothing"},
    {"ext_output", "", "", "print left, top, width and height of each box in pixels"},
    kLetterBox,
};
constexpr Option kMap[] = {
    kThresh,
    kIouThresh,
    kPoints,
    kHier,
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
constexpr Option kValid[] = {{"out", "NAME", "", "base name of the result files; default: as usual for the format"}, kHier, kLetterBox};
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

constexpr Option kEditCfg[] = {{"out_cfg", "F", "", "write the cfg that goes with OUT"}};
constexpr Option kVisualize[] = {
    {"out", "F", "filters.png", "the picture"},
    {"layer", "N", "-1", "the layer; -1: the first convolution"},
};
constexpr Option kImtest[] = {
    {"out", "F", "imtest.png", "the picture"},
    {"seed", "N", "1", "seed of the random draws"},
};
constexpr Option kHelp[] = {
    {"man", "", "", "the manual page darknet(1), as source for man"},
    {"bash", "", "", "the script that completes commands and options in bash"},
};

// The options of `detector` for verbs that have no DATA among their arguments and another threshold.
template <size_t N>
constexpr std::array<Option, N + 1> with_data(const Option& data, std::string_view threshold, const Option (&rest)[N]) {
  std::array<Option, N + 1> all{};
  all[0] = data;
  for (size_t i = 0; i < N; ++i) {
    all[i + 1] = rest[i];
    if (rest[i].name == "thresh" && !threshold.empty()) all[i + 1].initial = threshold;
  }
  return all;
}
constexpr Option kVocData = {"data", "F", "cfg/voc.data", "the lists of images, the class names, the folder for snapshots"};
constexpr Option kCocoData = {"data", "F", "cfg/coco.data", kVocData.help};
constexpr std::string_view kOldThreshold = "0.2";   // of the verbs of YOLOv1
constexpr auto kDetect = with_data(kCocoData, "0.24", kTest);
constexpr auto kYoloTrain = with_data(kVocData, {}, kTrain), kCocoTrain = with_data(kCocoData, {}, kTrain);
constexpr auto kYoloTest = with_data(kVocData, kOldThreshold, kTest), kCocoTest = with_data(kCocoData, kOldThreshold, kTest);
constexpr auto kYoloValid = with_data(kVocData, {}, kValid), kCocoValid = with_data(kCocoData, {}, kValid);
constexpr auto kYoloRecall = with_data(kVocData, {}, kRecall), kCocoRecall = with_data(kCocoData, {}, kRecall);
constexpr auto kYoloMap = with_data(kVocData, {}, kMap), kCocoMap = with_data(kCocoData, {}, kMap);
constexpr auto kYoloVideo = with_data(kVocData, kOldThreshold, kVideo), kCocoVideo = with_data(kCocoData, kOldThreshold, kVideo);

constexpr std::span<const Option> kNone;

constexpr std::string_view kAsDetector = "The same as the verb of `detector`, with -data in the place of DATA; made for YOLOv1.";

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
    {"detector demo", "DATA CFG WEIGHTS [VIDEO]", 3, 4, "find objects in a video or in front of a camera", kVideo, video,
     "VIDEO is a file or a URL. Prints what it finds, frame by frame; no window is opened. Frames that cannot be decoded are left out and counted."},
    {"detect", "CFG WEIGHTS [IMAGE...]", 2, -1, "find objects in images with a network for COCO", kDetect, test, "The same as `detector test` with cfg/coco.data."},
    {"yolo train", "CFG [WEIGHTS]", 1, 2, "train a detector on Pascal VOC", kYoloTrain, train, kAsDetector},
    {"yolo test", "CFG WEIGHTS [IMAGE...]", 2, -1, "find objects of Pascal VOC in images", kYoloTest, test, kAsDetector},
    {"yolo valid", "CFG WEIGHTS", 2, 2, "write detections of the validation list", kYoloValid, valid, kAsDetector},
    {"yolo recall", "CFG WEIGHTS", 2, 2, "recall of the boxes over the validation list", kYoloRecall, recall, kAsDetector},
    {"yolo map", "CFG WEIGHTS", 2, 2, "mean average precision over the validation list", kYoloMap, map, kAsDetector},
    {"yolo demo", "CFG WEIGHTS [VIDEO]", 2, 3, "find objects of Pascal VOC in a video", kYoloVideo, video, kAsDetector},
    {"coco train", "CFG [WEIGHTS]", 1, 2, "train a detector on COCO", kCocoTrain, train, kAsDetector},
    {"coco test", "CFG WEIGHTS [IMAGE...]", 2, -1, "find objects of COCO in images", kCocoTest, test, kAsDetector},
    {"coco valid", "CFG WEIGHTS", 2, 2, "write detections of the validation list", kCocoValid, valid, kAsDetector},
    {"coco recall", "CFG WEIGHTS", 2, 2, "recall of the boxes over the validation list", kCocoRecall, recall, kAsDetector},
    {"coco map", "CFG WEIGHTS", 2, 2, "mean average precision over the validation list", kCocoMap, map, kAsDetector},
    {"coco demo", "CFG WEIGHTS [VIDEO]", 2, 3, "find objects of COCO in a video", kCocoVideo, video, kAsDetector},
    {"average", "CFG OUT WEIGHTS...", 3, -1, "the mean of several weights files", kNone, average,
     "All parameters are averaged, means and variances of batch normalization included. OUT takes the largest count of images seen."},
    {"rescale", "CFG WEIGHTS OUT", 3, 3, "weights for images in 0..1 from ones for images in -1..1", kNone, rescale,
     "Changes the first convolution. A padded border stays 0, which is another gray then: values there change a little."},
    {"rgbgr", "CFG WEIGHTS OUT", 3, 3, "swap red and blue in the first convolution", kNone, rgbgr, {}},
    {"normalize", "CFG WEIGHTS OUT", 3, 3, "put a batch normalization that changes nothing behind layers without one", kEditCfg, normalize,
     "Every [convolutional] and [connected] layer gets one."},
    {"denormalize", "CFG WEIGHTS OUT", 3, 3, "fold batch normalization into the weights", kEditCfg, denormalize, "The network gives what it gave before."},
    {"reset", "CFG WEIGHTS OUT", 3, 3, "fold batch normalization into the weights and leave one that changes nothing", kNone, reset, {}},
    {"statistics", "CFG WEIGHTS", 2, 2, "mean, variance and range of every parameter tensor", kNone, statistics, {}},
    {"visualize", "CFG [WEIGHTS]", 1, 2, "draw a convolution's filters", kVisualize, visualize,
     "Filters over three channels are shown in colour, others plane by plane in gray, each stretched to its own range."},
    {"imtest", "IMAGE", 1, 1, "show what sampling and augmentation make of an image", kImtest, imtest, {}},
    {"speed", "CFG [N]", 1, 2, "time the network on one image", kNone, speed, "N forward passes; without N 10 seconds of them, at most 1000."},
    {"ops", "CFG", 1, 1, "floating point operations of one forward pass", kNone, ops, {}},
    {"partial", "CFG WEIGHTS OUT N", 4, 4, "write the first N layers of a weights file", kNone, partial,
     "The result is a pretrained part for `detector train` with another cfg whose first N layers are the same. WEIGHTS and OUT are .weights\n"
     "files, or safetensors where the name ends in .safetensors; with N = all layers this turns one into the other,\n"
     "the count of images seen going back to 0."},
    {"describe", "CFG|SECTION", 1, 1, "layers, parameters, arithmetic and memory of a cfg; or the keys of a section", kDescribe, describe, {}},
    {"synth", "OUT", 1, 1, "draw a labelled data set of scenes to train on", kSynth, synth, {}},
    {"demo", "", 0, 0, "draw images, train a small network on them, evaluate it, show what it finds", kDemo, demo, {}},
    {"help", "[COMMAND]", 0, -1, "this list, or one command", kHelp, help, {}},
    {"version", "", 0, 0, "version and machine", kNone, version, {}},
};

constexpr Option kGlobal[] = {
    {"threads", "N", "0", "threads that compute; 0: all cores"},
    {"i", "N", "", "the GPU that computes; -1: the CPU (default: GPU 0 where there is one, else the CPU)"},
    {"gpus", "LIST", "", "GPUs that compute, such as 0,1: a training shares the mini-batches of each batch among them, other commands take the first"},
    {"nogpu", "", "", "compute on the CPU"},
    {"prec", "P", "", "what a GPU computes in: bf16, tf32, fp32 or fp16 (default: bf16 where it has it, else fp32)"},
    {"deterministic", "", "", "on a GPU: only algorithms that give the same bits every time"},
    {"conv", "WAY", "automatic", "convolution algorithm of the CPU: direct, winograd, or automatic (measured per layer)"},
    {"strict", "", "", "unknown keys in cfg and data files are errors, not warnings"},
};

constexpr std::string_view kNoWindow = "no windows are opened", kNoStream = "nothing is served over the network";
constexpr InertOption kInert[] = {
    {"dont_show", "", kNoWindow},
    {"show", "", kNoWindow},
    {"mjpeg_port", "P", kNoStream},
    {"json_port", "P", kNoStream},
    {"http_post_host", "H", kNoStream},
    {"cuda_debug_sync", "", "a GPU is waited for, and its errors are seen, with every batch"},
    {"benchmark_layers", "", "layers are not timed one by one"},
    {"chart", "F", "a resumed run takes its chart from metrics.jsonl"},
    {"verbose", "", "nothing more is known"},
    {"colour", "", "lines are not coloured"},
    {"nocolour", "", "lines are not coloured"},
};

constexpr std::string_view kDetectsOnly = "it does not concern the detection of objects", kOneOff = "it was made for one network that is long gone; `partial` cuts weights";
constexpr RefusedCommand kRefused[] = {
    {"detector draw", "pictures against networks are not drawn"},
    {"classifier", "classifiers are neither trained nor run on their own; `partial` makes what a detector begins with from their weights"},
    {"classify", "classifiers are not run on their own"},
    {"cifar", "classifiers are neither trained nor run on their own"},
    {"regressor", kDetectsOnly},
    {"segmenter", kDetectsOnly},
    {"isegmenter", kDetectsOnly},
    {"go", kDetectsOnly},
    {"rnn", kDetectsOnly},
    {"vid", kDetectsOnly},
    {"art", kDetectsOnly},
    {"tag", kDetectsOnly},
    {"compare", kDetectsOnly},
    {"dice", kDetectsOnly},
    {"writing", kDetectsOnly},
    {"captcha", kDetectsOnly},
    {"nightmare", kDetectsOnly},
    {"voxel", kDetectsOnly},
    {"super", kDetectsOnly},
    {"3d", kDetectsOnly},
    {"composite", kDetectsOnly},
    {"oneoff", kOneOff},
    {"oneoff2", kOneOff},
    {"test", "`imtest IMAGE` shows augmentation, `detector test` finds objects"},
    {"cfglayers", "`describe CFG` lists the layers"},
};

constexpr Table kTable{kCommands, kGlobal, kInert, kRefused};

}  // namespace

const Table& table() { return kTable; }

int help(const Arguments& arguments) {
  if (arguments.has("man") || arguments.has("bash")) {
    std::cout << (arguments.has("man") ? man_page(kTable, DN_VERSION) : bash_completion(kTable)) << std::flush;
    return 0;
  }
  log::say(arguments.positional.empty() ? help_text(kTable) : help_text(kTable, arguments.positional));
  return 0;
}

int version(const Arguments& arguments) {
  log::say(concat("darknet ", DN_VERSION));
  log::say(cpu::Device(cpu_options(arguments)).description());
  const cuda::Gpus gpus = cuda::find_gpus();
  if (gpus.count == 0) log::say(concat("GPU: ", gpus.reason));
  for (int gpu = 0; gpu < gpus.count; ++gpu) log::say(concat("GPU ", gpu, ": ", cuda::open_stream(gpu)->description()));
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
