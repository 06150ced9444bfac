// detector valid: detections of the validation list in the result formats of benchmarks (eval= in the .data file).
//
//   voc       results/comp4_det_test_CLASS.txt   NAME prob left top right bottom    (pixels, 1-based, cut at the image)
//   coco      results/coco_results.json          [{image_id, category_id, bbox: [x, y, w, h], score}]
//   bdd       results/bdd_results.json           [{name, category, timestamp, bbox: [left, top, right, bottom], score}]
//   kitti     results/data/NAME.txt              class -1 -1 -10 left top right bottom -1 -1 -1 -1000 -1000 -1000 -10 score
//   imagenet  results/imagenet-detection.txt     image class prob left top right bottom
#include <algorithm>
#include <map>
#include <memory>

#include "base/log.h"
#include "cli/common.h"
#include "cli/detection_output.h"
#include "data/dataset.h"
#include "train/snapshots.h"
#include "train/validation.h"

namespace dn::cli {
namespace {

constexpr float kThreshold = .001f, kNms = .6f;

struct Corners {
  double left, top, right, bottom;
};

Corners pixel_corners(const Box& box, int width, int height) {
  const auto cut = [](double v, double high) { return std::clamp(v, 0.0, high); };
  const double x = static_cast<double>(box.x), y = static_cast<double>(box.y), w = static_cast<double>(box.w), h = static_cast<double>(box.h);
  return {cut((x - w / 2) * width, width), cut((y - h / 2) * height, height), cut((x + w / 2) * width, width), cut((y + h / 2) * height, height)};
}

struct Context {
  fs::path folder;
  std::string base;  // -out; empty: the format's own
  Names names;
  std::vector<int> numbers;  // category number of each class
};

class ResultWriter {
 public:
  explicit ResultWriter(const Context& context) : context_(context) {}
  virtual ~ResultWriter() = default;
  virtual void image(const std::string& path, const ImageDetections& found) = 0;
  virtual std::vector<fs::path> finish() = 0;

 protected:
  // Calls visit(class, probability, corners) for everything above the threshold.
  template <class Visit>
  void each(const ImageDetections& found, const Visit& visit) const {
    for (const Detection& d : found.detections)
      for (size_t c = 0; c < d.prob.size(); ++c)
        if (d.prob[c] > kThreshold) visit(c, static_cast<double>(d.prob[c]), pixel_corners(d.box, found.width, found.height));
  }
  fs::path file(std::string_view usual, std::string_view extension) const {
    return context_.folder / concat(context_.base.empty() ? usual : std::string_view(context_.base), extension);
  }
  const Context& context_;
};

class VocWriter : public ResultWriter {
 public:
  explicit VocWriter(const Context& context) : ResultWriter(context), rows_(context.names.size()) {}
  void image(const std::string& path, const ImageDetections& found) override {
    const std::string id = fs::path(path).stem().string();
    each(found, [&](size_t c, double prob, const Corners& b) {
      rows_[c] += concat(id, " ", fixed(prob, 6), " ", fixed(b.left + 1, 6), " ", fixed(b.top + 1, 6), " ",
                         fixed(std::min<double>(found.width, b.right + 1), 6), " ", fixed(std::min<double>(found.height, b.bottom + 1), 6), "\n");
    });
  }
  std::vector<fs::path> finish() override {
    std::vector<fs::path> paths;
    for (size_t c = 0; c < rows_.size(); ++c) write_file(paths.emplace_back(file("comp4_det_test_", concat(context_.names[c], ".txt"))), rows_[c]);
    return paths;
  }

 private:
  std::vector<std::string> rows_;  // per class; one open file per class would not do for thousands
};

// The benchmark's own number of an image: the last run of digits in its name (COCO_val2014_000000000042 -> 42).
int64_t image_number(const std::string& path) {
  const std::string name = fs::path(path).stem().string();
  const size_t end = name.find_last_of("0123456789");
  if (end == std::string::npos) fail(path, ": no number in the file's name: expected a COCO image number");
  size_t first = end;
  while (first > 0 && name[first - 1] >= '0' && name[first - 1] <= '9') --first;
  return parse_integer(name.substr(first, end + 1 - first)).value_or(0);
}

class JsonWriter : public ResultWriter {
 public:
  JsonWriter(const Context& context, bool coco)
      : ResultWriter(context), coco_(coco), path_(file(coco ? "coco_results" : "bdd_results", ".json")), file_(path_) {
    file_.write("[");
  }
  void image(const std::string& path, const ImageDetections& found) override {
    const int64_t number = coco_ ? image_number(path) : 0;
    each(found, [&](size_t c, double prob, const Corners& b) {
      nlohmann::ordered_json row;
      if (coco_)
        row = {{"image_id", number},
               {"category_id", context_.numbers[c]},
               {"bbox", {b.left, b.top, b.right - b.left, b.bottom - b.top}},
               {"score", prob}};
      else
        row = {{"name", fs::path(path).filename().string()},
               {"category", context_.names[c]},
               {"timestamp", 1000},
               {"bbox", {b.left, b.top, b.right, b.bottom}},
               {"score", prob}};
      file_.write(first_ ? "\n" : ",\n");
      first_ = false;
      file_.write(row.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
    });
  }
  std::vector<fs::path> finish() override {
    file_.write("\n]\n");
    file_.commit();
    return {path_};
  }

 private:
  bool coco_, first_ = true;
  fs::path path_;
  AtomicFile file_;
};

class KittiWriter : public ResultWriter {
 public:
  explicit KittiWriter(const Context& context) : ResultWriter(context) { make_directories(context.folder / "data"); }
  void image(const std::string& path, const ImageDetections& found) override {
    std::string text;
    each(found, [&](size_t c, double prob, const Corners& b) {
      text += concat(context_.names[c], " -1 -1 -10 ", fixed(b.left, 2), " ", fixed(b.top, 2), " ", fixed(b.right, 2), " ", fixed(b.bottom, 2),
                     " -1 -1 -1 -1000 -1000 -1000 -10 ", fixed(prob, 6), "\n");
    });
    write_file(context_.folder / "data" / concat(fs::path(path).stem().string(), ".txt"), text);
  }
  std::vector<fs::path> finish() override { return {context_.folder / "data"}; }
};

class ImagenetWriter : public ResultWriter {
 public:
  explicit ImagenetWriter(const Context& context) : ResultWriter(context), path_(file("imagenet-detection", ".txt")), file_(path_) {}
  void image(const std::string&, const ImageDetections& found) override {
    each(found, [&](size_t c, double prob, const Corners& b) {
      file_.write(concat(found.index + 1, " ", context_.numbers[c], " ", fixed(prob, 6), " ", fixed(b.left, 6), " ", fixed(b.top, 6), " ",
                         fixed(b.right, 6), " ", fixed(b.bottom, 6), "\n"));
    });
  }
  std::vector<fs::path> finish() override {
    file_.commit();
    return {path_};
  }

 private:
  fs::path path_;
  AtomicFile file_;
};

// COCO numbers its 80 detection classes 1..90 with ten numbers left out.
std::vector<int> category_numbers(const DataFile& data, size_t classes) {
  std::vector<int> numbers;
  if (!data.map.empty()) {
    const fs::path path = resolve_path(data.map, data.file);
    for (const std::string& line : read_lines(path))
      if (const std::string_view text = trim(line); !text.empty()) {
        const auto number = parse_integer(text);
        if (!number) fail(path.string(), ": '", text, "': expected one whole number a line");
        numbers.push_back(static_cast<int>(*number));
      }
    if (numbers.size() < classes) fail(path.string(), ": ", numbers.size(), " numbers: expected ", classes, ", one per class");
    return numbers;
  }
  constexpr int kLeftOut[] = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83};
  for (int number = 1; numbers.size() < classes; ++number)
    if (data.eval != "coco" || classes != 80 || std::find(std::begin(kLeftOut), std::end(kLeftOut), number) == std::end(kLeftOut))
      numbers.push_back(number);
  return numbers;
}

std::unique_ptr<ResultWriter> open_writer(const std::string& eval, const Context& context) {
  if (eval == "coco" || eval == "bdd") return std::make_unique<JsonWriter>(context, eval == "coco");
  if (eval == "kitti") return std::make_unique<KittiWriter>(context);
  if (eval == "imagenet") return std::make_unique<ImagenetWriter>(context);
  return std::make_unique<VocWriter>(context);
}

}  // namespace

int valid(const Arguments& arguments) {
  const ModelFiles files = model_files(arguments.positional);
  const DataFile data = read_data_file(files.data);
  if (data.valid.empty()) fail(data.file, ": valid is missing: expected the path of a list of images");
  const Dataset images(resolve_path(data.valid, data.file));
  Network network = load_model(files.cfg, *files.weights);
  cpu::Device device(device_options(arguments));
  EvaluatorOptions options = evaluator_options(network, device, images.size());
  options.threshold = kThreshold;
  options.nms = kNms;
  options.letter_box |= arguments.has("letter_box");
  Evaluator evaluator(network, device, options);
  const Names names = class_names(data, evaluator.classes());
  const Context context{output_folder(data.results, data.file), arguments.text("out"), names, category_numbers(data, names.size())};
  make_directories(context.folder);
  const std::unique_ptr<ResultWriter> writer = open_writer(data.eval, context);
  std::vector<std::string> paths;
  for (size_t i = 0; i < images.size(); ++i) paths.push_back(images.image(i));
  log::Progress progress(data.eval, static_cast<int64_t>(paths.size()), "images");
  size_t failed = 0;
  evaluator.run(paths, [&](ImageDetections&& found) {
    if (!found.error.empty()) {
      ++failed;
      log::warn(found.error);
    } else {
      writer->image(paths[found.index], found);
    }
    progress.update(static_cast<int64_t>(found.index) + 1);
    return true;
  });
  for (const fs::path& path : writer->finish()) log::say(path.string());
  return failed > 0 ? 1 : 0;
}

}  // namespace dn::cli
