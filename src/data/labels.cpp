// Label files: the path rule (compatibility notes 2.3) and a strict parser (2.4, 2.5).
#include "data/labels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <set>
#include <tuple>

#include "base/error.h"

namespace dn {
namespace {

struct Rule {
  std::string_view from, to;
};

// In this order, each on its first occurrence, as in the family.
constexpr Rule kRules[] = {
    {"/images/train2017/", "/labels/train2017/"},
    {"/images/val2017/", "/labels/val2017/"},
    {"/JPEGImages/", "/labels/"},
    {"\\images\\train2017\\", "\\labels\\train2017\\"},
    {"\\images\\val2017\\", "\\labels\\val2017\\"},
    {"/images/train2014/", "/labels/train2014/"},
    {"/images/val2014/", "/labels/val2014/"},
    {"\\images\\train2014\\", "\\labels\\train2014\\"},
    {"\\images\\val2014\\", "\\labels\\val2014\\"},
    {"\\JPEGImages\\", "\\labels\\"},
};

std::string with_txt(std::string path) {
  const size_t slash = path.find_last_of("/\\"), dot = path.rfind('.');
  if (dot != std::string::npos && (slash == std::string::npos || dot > slash + 1)) path.resize(dot);
  return path + ".txt";
}

// Start of the last folder of that name in the path, or npos.
size_t last_folder(const std::string& path, std::string_view name) {
  for (size_t at = path.rfind(name); at != std::string::npos; at = at == 0 ? std::string::npos : path.rfind(name, at - 1)) {
    const size_t end = at + name.size();
    const bool opens = at == 0 || path[at - 1] == '/' || path[at - 1] == '\\', closes = end < path.size() && (path[end] == '/' || path[end] == '\\');
    if (opens && closes) return at;
  }
  return std::string::npos;
}

struct Row {
  std::array<double, 5> number;
};

// Empty text: the row is good.
std::string read_row(std::string_view line, Row& row) {
  size_t count = 0;
  while (!(line = trim(line)).empty()) {
    const size_t end = std::min(line.find_first_of(" \t\r\v\f"), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(end);
    if (count < 5) {
      const std::optional<double> value = parse_real(word);
      if (!value) return concat("\"", word.substr(0, 40), "\" is not a finite number");
      row.number[count] = *value;
    }
    ++count;
  }
  return count == 5 ? std::string() : concat(count, count == 1 ? " value" : " values", ": expected 5: class x y width height");
}

// Cuts the box at the image's edges when it reaches beyond them; true when that changed more than rounding would.
bool clip(double& x, double& y, double& w, double& h) {
  constexpr double kRounding = 1e-4;
  const double left = x - w / 2, right = x + w / 2, top = y - h / 2, bottom = y + h / 2;
  const double beyond = std::max({-left, right - 1, -top, bottom - 1});
  if (beyond <= 0) return false;
  const double l = std::max(left, 0.0), r = std::min(right, 1.0), t = std::max(top, 0.0), b = std::min(bottom, 1.0);
  x = (l + r) / 2, y = (t + b) / 2, w = r - l, h = b - t;
  return beyond > kRounding;
}

std::string check_row(const Row& row, int classes, TruthBox& truth, bool& clipped) {
  auto [id, x, y, w, h] = row.number;
  if (id != std::floor(id)) return concat("class ", id, ": expected a whole number");
  if (id < 0 || id >= classes) return concat("class ", id, ": expected 0..", classes - 1);
  if (w <= 0 || h <= 0) return concat("width ", w, ", height ", h, ": expected more than 0");
  if (x == 0 && y == 0) return "centre 0 0: expected the middle of the object, relative to the image";
  if (x + w / 2 <= 0 || x - w / 2 >= 1 || y + h / 2 <= 0 || y - h / 2 >= 1)
    return concat("box ", x, " ", y, " ", w, " ", h, " lies outside the image: expected values relative to its size, 0..1");
  clipped = clip(x, y, w, h);
  truth = {{static_cast<float>(x), static_cast<float>(y), static_cast<float>(w), static_cast<float>(h)}, static_cast<int>(id)};
  if (!(truth.box.w > 0 && truth.box.h > 0)) return concat("width ", w, ", height ", h, ": too small for a box");
  return {};
}

}  // namespace

std::vector<fs::path> label_paths(const std::string& image) {
  std::string path(trim(image));
  bool replaced = false;
  for (const Rule& rule : kRules) {
    const size_t at = path.find(rule.from);
    if (at == std::string::npos) continue;
    path.replace(at, rule.from.size(), rule.to);
    replaced = true;
  }
  std::vector<fs::path> paths{with_txt(path)};
  if (replaced) return paths;
  for (const std::string_view folder : {"images", "JPEGImages"}) {
    const size_t at = last_folder(path, folder);
    if (at == std::string::npos) continue;
    path.replace(at, folder.size(), "labels");
    paths.emplace_back(with_txt(path));
    break;
  }
  return paths;
}

Labels parse_labels(std::string_view text, const std::string& name, int classes) {
  Labels labels;
  std::set<std::tuple<int, float, float, float, float>> seen;
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (int64_t line_number = 1; !text.empty(); ++line_number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    ++labels.rows;
    Row row{};
    TruthBox truth;
    bool clipped = false;
    std::string problem = read_row(line, row);
    if (problem.empty()) problem = check_row(row, classes, truth, clipped);
    if (problem.empty() && !seen.insert({truth.class_id, truth.box.x, truth.box.y, truth.box.w, truth.box.h}).second)
      problem = "repeats an earlier row";
    if (problem.empty()) {
      labels.boxes.push_back(truth);
      labels.clipped += clipped ? 1 : 0;
      continue;
    }
    ++labels.bad_rows;
    if (labels.problems.size() < kMaxProblemsPerFile) labels.problems.push_back(concat(name, ":", line_number, ": ", problem));
  }
  return labels;
}

Labels load_labels(const std::string& image, int classes) {
  for (const fs::path& path : label_paths(image)) {
    std::error_code code;
    if (!fs::exists(path, code) && (!code || code == std::errc::no_such_file_or_directory || code == std::errc::not_a_directory)) continue;
    Labels labels = parse_labels(read_text(path), path.string(), classes);
    labels.file = path;
    return labels;
  }
  return {};
}

}  // namespace dn
