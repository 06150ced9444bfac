// detector map -coco: the benchmark's twelve numbers over the validation list, of the boxes that `detector valid` writes, its objects from the labels
// or from a COCO annotation file.
#include <algorithm>
#include <unordered_map>

#include "base/log.h"
#include "cli/common.h"
#include "cli/text_table.h"
#include "data/convert/coco_file.h"
#include "train/metrics.h"
#include "train/stop_signal.h"
#include "train/validation.h"

namespace dn::cli {
namespace {

std::string three(const std::optional<double>& value) { return value ? fixed(*value, 3) : "n/a"; }

constexpr std::string_view kMeanings[kCocoNumbers] = {"IoU .50:.95",
                                                      "IoU .50",
                                                      "IoU .75",
                                                      "IoU .50:.95, area up to 32^2 pixels",
                                                      "IoU .50:.95, area 32^2 to 96^2",
                                                      "IoU .50:.95, area from 96^2",
                                                      "IoU .50:.95, 1 detection per class and image",
                                                      "IoU .50:.95, 10 detections per class and image",
                                                      "IoU .50:.95, 100 detections per class and image",
                                                      "IoU .50:.95, area up to 32^2 pixels",
                                                      "IoU .50:.95, area 32^2 to 96^2",
                                                      "IoU .50:.95, area from 96^2"};

void say_report(const CocoReport& report, const std::vector<std::string>& names) {
  for (int i = 0; i < kCocoNumbers; ++i) {
    std::string left(coco_name(i));
    left.resize(10, ' ');
    std::string value = three(report.numbers[static_cast<size_t>(i)]);
    value.resize(6, ' ');
    log::say(concat(" ", left, value, " ", kMeanings[i]));
  }
  std::vector<std::vector<std::string>> rows{{"class", "truths", "AP", "AP50", "AP75", "AR100"}};
  for (size_t c = 0; c < names.size(); ++c) {
    const CocoReport::Class& row = report.classes[c];
    rows.push_back({names[c], concat(row.truths), three(row.ap), three(row.ap50), three(row.ap75), three(row.ar100)});
  }
  log::say("");
  for (const std::string& line : text_table(rows)) log::say(line);
}

// Where the objects of an image come from.
class Truths {
 public:
  virtual ~Truths() = default;
  virtual const std::vector<std::string>& paths() const = 0;
  virtual const std::vector<std::string>& names() const = 0;
  virtual void add(CocoMetrics& metrics, const ImageDetections& found) const = 0;
};

class LabelTruths : public Truths {
 public:
  LabelTruths(const DataFile& data, const Head& head) : validation_(data, head, {}) {}
  const std::vector<std::string>& paths() const override { return validation_.paths(); }
  const std::vector<std::string>& names() const override { return validation_.names(); }
  void add(CocoMetrics& metrics, const ImageDetections& found) const override {
    metrics.add(found.detections, validation_.truths(found.index), validation_.difficult(found.index), found.width, found.height);
  }

 private:
  Validation validation_;
};

// Images are found by the names of their files, classes by their order.
class FileTruths : public Truths {
 public:
  FileTruths(const DataFile& data, int classes, const fs::path& path) : names_(class_names(data, classes)), file_(read_coco_file(path)) {
    if (file_.categories.size() != static_cast<size_t>(classes))
      fail(path.string(), ": ", file_.categories.size(), " categories: expected ", classes, ", the classes of the cfg's heads");
    if (data.valid.empty()) fail(data.file, ": valid is missing: expected the path of a list of images");
    const Dataset images(resolve_path(data.valid, data.file));
    std::unordered_map<std::string, size_t> places;
    for (size_t i = 0; i < file_.images.size(); ++i) places.emplace(fs::path(file_.images[i].file).stem().string(), i);
    std::vector<std::pair<size_t, std::string>> found;  // in the order of the image numbers: equals are judged as the benchmark does
    for (size_t i = 0; i < images.size(); ++i) {
      const std::string image = images.image(i);
      const auto place = places.find(fs::path(image).stem().string());
      if (place == places.end()) fail(image, ": not among the images of ", path.string());
      found.emplace_back(place->second, image);
    }
    std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [place, image] : found) {
      if (!places_.empty() && places_.back() == place) fail(image, ": stands twice in ", images.list().string());
      places_.push_back(place);
      paths_.push_back(image);
    }
    if (paths_.size() < file_.images.size())
      log::warn(concat(images.list().string(), ": ", file_.images.size() - paths_.size(), " of the ", file_.images.size(), " images of ",
                       path.string(), " are not in the list and not evaluated"));
  }
  const std::vector<std::string>& paths() const override { return paths_; }
  const std::vector<std::string>& names() const override { return names_; }
  void add(CocoMetrics& metrics, const ImageDetections& found) const override {
    const CocoFile::Image& image = file_.images[places_[found.index]];
    const int width = image.width > 0 ? image.width : found.width, height = image.height > 0 ? image.height : found.height;
    std::vector<CocoTruth> truths;
    for (const CocoFile::Object& o : image.objects)
      truths.push_back({{o.left, o.top, o.width, o.height}, static_cast<int>(o.category), o.area, o.crowd});
    std::vector<CocoDetection> detections;
    for (const Detection& d : found.detections)
      for (size_t c = 0; c < d.prob.size(); ++c)
        if (d.prob[c] > 0) detections.push_back({coco_box(d.box, width, height), static_cast<int>(c), d.prob[c]});
    metrics.add(detections, truths);
  }

 private:
  std::vector<std::string> names_, paths_;
  CocoFile file_;
  std::vector<size_t> places_;  // of each path: its image in the file
};

// Cut at the image's edges, as `detector valid` writes it.
Box within_image(const Box& box) {
  const auto cut = [](float edge) { return std::clamp(edge, 0.f, 1.f); };
  const float left = cut(box.x - box.w / 2), right = cut(box.x + box.w / 2), top = cut(box.y - box.h / 2), bottom = cut(box.y + box.h / 2);
  return {(left + right) / 2, (top + bottom) / 2, right - left, bottom - top};
}

}  // namespace

int map_coco(const Arguments& arguments) {
  for (const char* name : {"points", "iou_thresh", "thresh"})
    if (arguments.has(name)) fail("-", name, ": has no place beside -coco, whose thresholds and recall levels are fixed");
  const ModelFiles files = model_files(arguments);
  const DataFile data = read_data_file(files.data);
  Network network = load_model(files.cfg, *files.weights);
  const std::unique_ptr<Device> opened = inference_device(arguments);
  Device& device = *opened;
  if (network.heads().empty()) fail(network.file(), ": no detection head; expected [yolo] or another head");
  const Head& head = *network.heads().back();
  const int classes = head.label_classes();
  std::unique_ptr<Truths> truths;
  if (arguments.has("gt"))
    truths = std::make_unique<FileTruths>(data, classes, arguments.text("gt"));
  else
    truths = std::make_unique<LabelTruths>(data, head);
  EvaluatorOptions options = benchmark_options(network, device, truths->paths().size());
  options.letter_box |= arguments.has("letter_box");
  options.hierarchy = static_cast<float>(arguments.real("hier", 0, 1));
  options.report.assign(head.class_map().begin(), head.class_map().end());
  Evaluator evaluator(network, device, options);
  CocoMetrics metrics(evaluator.classes());
  const StopSignal stop;
  {
    log::Progress progress("evaluating", static_cast<int64_t>(truths->paths().size()), "images");
    evaluator.run(truths->paths(), [&](ImageDetections&& found) {
      if (StopSignal::received() != 0) return false;
      if (!found.error.empty()) log::warn(concat(found.error, " (counted as an image without detections)"));
      for (Detection& d : found.detections) d.box = within_image(d.box);
      truths->add(metrics, found);
      progress.update(static_cast<int64_t>(found.index) + 1);
      return true;
    });
  }
  if (StopSignal::received() != 0) return 128 + StopSignal::received();
  log::say(concat(" COCO: ", truths->paths().size(), " images; detections above ", options.threshold, ", suppression ", options.nms,
                  arguments.has("gt") ? "" : "; areas are those of the boxes"));
  say_report(metrics.result(), truths->names());
  return 0;
}

}  // namespace dn::cli
