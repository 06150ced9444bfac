// detector calc_anchors: anchors for a data set's boxes at a network size, and how often each class occurs.
#include "base/log.h"
#include "cli/common.h"
#include "data/dataset.h"
#include "data/labels.h"
#include "train/anchor_chart.h"

namespace dn::cli {
namespace {

int side(const Arguments& arguments, std::string_view name) {
  if (!arguments.has(name)) fail("option -", name, " is needed: the network's input ", name);
  return static_cast<int>(arguments.integer(name, 1, 16384));
}

// All boxes of the list; rows that cannot be used are said and left out.
std::vector<TruthBox> read_boxes(const Dataset& images, int classes) {
  std::vector<TruthBox> boxes;
  log::Progress progress("labels", static_cast<int64_t>(images.size()), "files");
  for (size_t i = 0; i < images.size(); ++i) {
    try {
      const Labels labels = load_labels(images.image(i), classes);
      for (const std::string& problem : labels.problems) log::warn(problem);
      boxes.insert(boxes.end(), labels.boxes.begin(), labels.boxes.end());
    } catch (const Error& e) {
      log::warn(e.what());
    }
    progress.update(static_cast<int64_t>(i) + 1);
  }
  if (boxes.empty()) fail(images.list().string(), ": no labelled box in ", images.size(), " images");
  return boxes;
}

}  // namespace

int calc_anchors(const Arguments& arguments) {
  AnchorOptions options;
  options.clusters = static_cast<int>(arguments.integer("num_of_clusters", 1, 1000));
  options.width = side(arguments, "width");
  options.height = side(arguments, "height");
  options.seed = static_cast<uint64_t>(arguments.integer("seed", 0, INT64_MAX));
  options.threads = cpu::Device(cpu_options(arguments)).threads();
  const DataFile data = read_data_file(arguments.positional[0]);
  if (data.train.empty()) fail(data.file, ": train is missing: expected the path of a list of images");
  constexpr int kAnyClass = 1'000'000;
  options.classes = data.classes;
  const Dataset images(resolve_path(data.train, data.file));
  const std::vector<TruthBox> boxes = read_boxes(images, data.classes > 0 ? data.classes : kAnyClass);
  const AnchorResult result = find_anchors(boxes, options);
  write_file("anchors.txt", anchors_text(result, options));
  write_file("counters_per_class.txt", counters_text(result));
  log::say(concat("num_of_clusters = ", options.clusters, ", width = ", options.width, ", height = ", options.height, "; ", result.boxes,
                  " boxes of ", images.size(), " images", result.skipped > 0 ? concat(", ", result.skipped, " left out") : ""));
  log::say(concat("anchors = ", trim(anchors_text(result, options))));
  log::say(concat("avg IoU = ", fixed(100 * result.mean_iou, 2),
                  " %, boxes that an anchor overlaps by more than half: ", fixed(100 * result.best_possible_recall, 2), " %"));
  log::say(concat("counters_per_class = ", trim(counters_text(result))));
  if (arguments.has("show")) save_image("anchors.png", anchor_chart(boxes, result, options));
  log::say(concat("saved: anchors.txt, counters_per_class.txt", arguments.has("show") ? ", anchors.png" : ""));
  return 0;
}

}  // namespace dn::cli
