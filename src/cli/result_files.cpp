#include "cli/result_files.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "base/json.h"
#include "base/log.h"

namespace dn::cli {
namespace {

struct Corners {
  double left, top, right, bottom;
};

Corners pixel_corners(const Box& box, int width, int height) {
  const auto cut = [](double v, double high) { return std::clamp(v, 0.0, high); };
  const double x = static_cast<double>(box.x), y = static_cast<double>(box.y), w = static_cast<double>(box.w), h = static_cast<double>(box.h);
  return {cut((x - w / 2) * width, width), cut((y - h / 2) * height, height), cut((x + w / 2) * width, width), cut((y + h / 2) * height, height)};
}

class Writer : public ResultWriter {
 public:
  explicit Writer(ResultContext context) : context_(std::move(context)) { make_directories(context_.folder); }

 protected:
  // Calls visit(class, probability, corners) for everything above the threshold.
  template <class Visit>
  void each(const ImageDetections& found, const Visit& visit) const {
    for (const Detection& d : found.detections)
      for (size_t c = 0; c < d.prob.size(); ++c)
        if (d.prob[c] > context_.threshold) visit(c, static_cast<double>(d.prob[c]), pixel_corners(d.box, found.width, found.height));
  }
  fs::path file(std::string_view usual, std::string_view extension) const {
    return context_.folder / concat(context_.base.empty() ? usual : std::string_view(context_.base), extension);
  }
  const ResultContext context_;
};

class VocWriter : public Writer {
 public:
  explicit VocWriter(ResultContext context) : Writer(std::move(context)), rows_(context_.names.size()) {}
  void image(const std::string& path, const ImageDetections& found) override {
    const std::string id = fs::path(path).stem().string();
    const auto x = [&](double edge) { return fixed(std::min<double>(found.width, edge + 1), 6); };
    const auto y = [&](double edge) { return fixed(std::min<double>(found.height, edge + 1), 6); };
    each(found, [&](size_t c, double prob, const Corners& b) {
      rows_[c] += concat(id, " ", fixed(prob, 6), " ", x(b.left), " ", y(b.top), " ", x(b.right), " ", y(b.bottom), "\n");
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

class JsonWriter : public Writer {
 public:
  explicit JsonWriter(ResultContext context)
      : Writer(std::move(context)), coco_(context_.eval == "coco"), path_(file(coco_ ? "coco_results" : "bdd_results", ".json")), file_(path_) {
    file_.write("[");
  }
  void image(const std::string& path, const ImageDetections& found) override {
    const int64_t number = coco_ ? image_number(path) : 0;
    each(found, [&](size_t c, double prob, const Corners& b) {
      nlohmann::ordered_json row;
      if (coco_)
        row = {{"image_id", number},
               {"category_id", context_.numbers[c]},
               {"bbox", {pixels(b.left), pixels(b.top), pixels(b.right - b.left), pixels(b.bottom - b.top)}},
               {"score", rounded(prob, 1e6)}};
      else
        row = {{"name", fs::path(path).filename().string()},
               {"category", context_.names[c]},
               {"timestamp", 1000},
               {"bbox", {pixels(b.left), pixels(b.top), pixels(b.right), pixels(b.bottom)}},
               {"score", rounded(prob, 1e6)}};
      file_.write(first_ ? "\n" : ",\n");
      first_ = false;
      file_.write(json_text_of_any(row));
    });
  }
  std::vector<fs::path> finish() override {
    file_.write("\n]\n");
    file_.commit();
    return {path_};
  }

 private:
  static double rounded(double value, double parts) { return std::round(value * parts) / parts; }
  static double pixels(double value) { return rounded(value, 1e3); }

  bool coco_, first_ = true;
  fs::path path_;
  AtomicFile file_;
};

class KittiWriter : public Writer {
 public:
  explicit KittiWriter(ResultContext context) : Writer(std::move(context)), folder_(file("data", "")) { make_directories(folder_); }
  void image(const std::string& path, const ImageDetections& found) override {
    std::string text;
    each(found, [&](size_t c, double prob, const Corners& b) {
      text += concat(context_.names[c], " -1 -1 -10 ", fixed(b.left, 2), " ", fixed(b.top, 2), " ", fixed(b.right, 2), " ", fixed(b.bottom, 2),
                     " -1 -1 -1 -1000 -1000 -1000 -10 ", fixed(prob, 6), "\n");
    });
    write_file(folder_ / concat(fs::path(path).stem().string(), ".txt"), text);
  }
  std::vector<fs::path> finish() override { return {folder_}; }

 private:
  fs::path folder_;
};

class ImagenetWriter : public Writer {
 public:
  explicit ImagenetWriter(ResultContext context) : Writer(std::move(context)), path_(file("imagenet-detection", ".txt")), file_(path_) {}
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

// The classes that a benchmark evaluates, under all the names that it gave them.
constexpr std::string_view kBdd[] = {"bike",       "bicycle", "bus",   "car",           "motor",        "motorcycle", "person",
                                     "pedestrian", "rider",   "truck", "traffic light", "traffic sign", "train"};
constexpr std::string_view kKitti[] = {"car", "pedestrian", "cyclist"};

void warn_of_unknown(const ResultContext& context, std::span<const std::string_view> known) {
  for (const std::string& name : context.names)
    if (std::find(known.begin(), known.end(), lower(name)) == known.end())
      log::warn(concat("eval = ", context.eval, ": the benchmark does not evaluate a class '", name, "'"));
}

}  // namespace

int64_t image_number(const std::string& path) {
  const std::string name = fs::path(path).stem().string();
  const size_t end = name.find_last_of("0123456789");
  if (end == std::string::npos) fail(path, ": no digits in the file's name: expected the number of a COCO image, as in 000000000042.jpg");
  size_t first = end;
  while (first > 0 && name[first - 1] >= '0' && name[first - 1] <= '9') --first;
  const auto number = parse_integer(name.substr(first, end + 1 - first));
  if (!number) fail(path, ": the number in the file's name is too large: expected the number of a COCO image");
  return *number;
}

std::vector<int> map_numbers(const DataFile& data) {
  std::vector<int> numbers;
  const fs::path path = resolve_path(data.map, data.file);
  for (const std::string& line : read_lines(path))
    if (const std::string_view text = trim(line); !text.empty()) {
      const auto number = parse_integer(text);
      if (!number || *number < std::numeric_limits<int>::min() || *number > std::numeric_limits<int>::max())
        fail(path.string(), ": '", text, "': expected one whole number a line");
      numbers.push_back(static_cast<int>(*number));
    }
  return numbers;
}

std::vector<int> category_numbers(const DataFile& data, size_t classes) {
  std::vector<int> numbers;
  if (!data.map.empty()) {
    numbers = map_numbers(data);
    if (numbers.size() < classes)
      fail(resolve_path(data.map, data.file).string(), ": ", numbers.size(), " numbers: expected ", classes, ", one per class");
    return numbers;
  }
  constexpr int kLeftOut[] = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83};
  for (int number = 1; numbers.size() < classes; ++number)
    if (data.eval != "coco" || classes != 80 || std::find(std::begin(kLeftOut), std::end(kLeftOut), number) == std::end(kLeftOut))
      numbers.push_back(number);
  return numbers;
}

void check_results(const ResultContext& context, const std::vector<std::string>& paths) {
  if (context.eval == "bdd") warn_of_unknown(context, kBdd);
  if (context.eval == "kitti") warn_of_unknown(context, kKitti);
  for (const std::string& name : context.names)
    if (context.eval == "voc" && (name.empty() || name.find('/') != std::string::npos))
      fail("eval = voc: class name '", name, "': expected one that can be part of a file's name");
  if (context.eval == "imagenet") return;  // numbers its images by their place in the list
  std::map<std::string, const std::string*> seen;
  for (const std::string& path : paths) {
    const fs::path image(path);
    const std::string id = context.eval == "coco"  ? concat(image_number(path))
                           : context.eval == "bdd" ? image.filename().string()
                                                   : image.stem().string();
    if (const auto [first, added] = seen.emplace(id, &path); !added)
      fail(path, ": is called ", id, " in the results, as is ", *first->second, ": expected a name of its own for each image of the list");
  }
}

std::unique_ptr<ResultWriter> open_results(ResultContext context) {
  const std::string eval = context.eval;
  if (eval == "coco" || eval == "bdd") return std::make_unique<JsonWriter>(std::move(context));
  if (eval == "kitti") return std::make_unique<KittiWriter>(std::move(context));
  if (eval == "imagenet") return std::make_unique<ImagenetWriter>(std::move(context));
  return std::make_unique<VocWriter>(std::move(context));
}

}  // namespace dn::cli
