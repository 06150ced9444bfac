// detector test: objects in the images that are named, as lines, pictures, JSON or label files. Never reads from stdin.
#include <algorithm>
#include <iostream>
#include <set>

#include "base/json.h"
#include "base/log.h"
#include "cli/common.h"
#include "cli/detection_output.h"
#include "data/dataset.h"
#include "data/labels.h"
#include "train/validation.h"

namespace dn::cli {
namespace {

struct Request {
  std::vector<std::string> images;
  size_t drawn = 0;  // of them, the first so many get a picture
  float threshold = .25f, hierarchy = .5f;
  bool extended = false, save_labels = false, track = false;
  std::string json;  // file; empty: none
};

Request read_request(const Arguments& arguments, const ModelFiles& files) {
  Request request;
  request.images = files.others;
  request.drawn = request.images.size();
  if (const std::string list = arguments.text("list"); !list.empty()) {
    const Dataset more(list);
    for (size_t i = 0; i < more.size(); ++i) request.images.push_back(more.image(i));
  }
  if (request.images.empty()) fail("no images; expected: darknet detector test DATA CFG WEIGHTS IMAGE... or -list FILE");
  request.threshold = static_cast<float>(arguments.real("thresh", 0, 1));
  request.hierarchy = static_cast<float>(arguments.real("hier", 0, 1));
  request.extended = arguments.has("ext_output");
  request.save_labels = arguments.has("save_labels");
  request.track = arguments.has("track");
  request.json = arguments.text("out");
  return request;
}

// predictions.jpg for one image; otherwise predictions_NAME.jpg, made unique where two images share a name.
fs::path picture_name(const Request& request, const std::string& image, std::set<std::string>& used) {
  if (request.drawn == 1) return "predictions.jpg";
  const std::string base = concat("predictions_", fs::path(image).stem().string());
  std::string name = base;
  for (int n = 2; !used.insert(name).second; ++n) name = concat(base, "_", n);
  return name + ".jpg";
}

void draw(const Request& request, const ImageDetections& found, const Names& names, const std::string& path, const fs::path& picture) {
  Image image = load_image(path);
  draw_detections(image, draw_items(found, names, request.threshold));
  save_image(picture, image);
}

void save_label_file(const Request& request, const ImageDetections& found, const Names& names, const std::string& path) {
  const fs::path file = label_paths(path).front();
  make_directories(file.parent_path());
  write_file(file, label_rows(found, names, request.threshold));
}

}  // namespace

int test(const Arguments& arguments) {
  const ModelFiles files = model_files(arguments);
  const Request request = read_request(arguments, files);
  const DataFile data = read_data_file(files.data);
  Network network = load_model(files.cfg, *files.weights);
  const std::unique_ptr<Device> opened = inference_device(arguments);
  Device& device = *opened;
  EvaluatorOptions options = evaluator_options(network, device, request.images.size());
  if (request.drawn == request.images.size()) options.mini_batch = 1;  // the time of each image is what people look at
  options.threshold = request.threshold;
  options.hierarchy = request.hierarchy;
  options.letter_box |= arguments.has("letter_box");
  options.embeddings = request.track;
  std::optional<Tracker> tracker;
  if (request.track) tracker = make_tracker(network);
  Evaluator evaluator(network, device, options);
  const Names names = class_names(data, evaluator.classes());
  nlohmann::ordered_json frames = nlohmann::ordered_json::array();
  std::set<std::string> used;
  size_t failed = 0;
  evaluator.run(request.images, [&](ImageDetections&& found) {
    const std::string& path = request.images[found.index];
    if (tracker && found.error.empty()) tracker->next(found.detections);
    if (!request.json.empty()) frames.push_back(detection_json(found, path, names, request.threshold));
    if (!found.error.empty()) {
      ++failed;
      std::cerr << "error: " << found.error << std::endl;
      return true;
    }
    log::say(concat(path, ": Predicted in ", fixed(1000 * found.seconds, 6), " milli-seconds."));
    for (const std::string& line : detection_lines(found, names, request.threshold, request.extended)) log::say(line);
    if (found.index < request.drawn) draw(request, found, names, path, picture_name(request, path, used));
    if (request.save_labels) save_label_file(request, found, names, path);
    return true;
  });
  if (!request.json.empty()) write_file(request.json, json_text_of_any(frames, 1) + "\n");
  return failed > 0 ? 1 : 0;
}

}  // namespace dn::cli
