#include "data/convert/annotated_set.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/log.h"

namespace dn {
namespace {

const std::string kVoc[] = {"aeroplane",   "bicycle", "bird",  "boat",      "bottle", "bus",         "car",   "cat",  "chair", "cow",
                            "diningtable", "dog",     "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"};
const std::string kKitti[] = {"Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc"};
const std::string kBdd[] = {"pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle", "traffic light", "traffic sign"};

template <class Visit>
void each_object(AnnotatedSet& set, const Visit& visit) {
  for (auto* part : {&set.train, &set.valid})
    for (AnnotatedImage& image : *part)
      for (AnnotatedObject& object : image.objects) visit(object);
}

}  // namespace

std::span<const std::string> usual_order(std::string_view format) {
  if (format == "voc") return kVoc;
  if (format == "kitti") return kKitti;
  if (format == "bdd") return kBdd;
  return {};
}

int ClassNumbers::number(std::string_view name) {
  const auto [found, added] = numbers_.try_emplace(std::string(name), static_cast<int>(names_.size()));
  if (added) names_.emplace_back(name);
  return found->second;
}

void order_classes(AnnotatedSet& set, std::span<const std::string> order, bool exact) {
  std::vector<std::string> wanted(order.begin(), order.end());
  const auto position = [&](const std::string& name) {
    const auto found = std::find(wanted.begin(), wanted.end(), name);
    return found == wanted.end() ? kNoClass : static_cast<int>(found - wanted.begin());
  };
  if (!exact && std::any_of(set.names.begin(), set.names.end(), [&](const std::string& name) { return position(name) == kNoClass; })) {
    wanted = set.names;
    std::sort(wanted.begin(), wanted.end());
  }
  std::vector<int> numbers;
  for (const std::string& name : set.names) numbers.push_back(position(name));
  std::map<std::string, int64_t> left_out;
  each_object(set, [&](AnnotatedObject& object) {
    if (object.class_id < 0) return;
    const size_t old = static_cast<size_t>(object.class_id);
    object.class_id = numbers[old];
    if (object.class_id == kNoClass) ++left_out[set.names[old]];
  });
  for (const auto& [name, count] : left_out)
    log::warn(concat(count, " objects of class '", name, "' are left out: it is not among the names asked for"));
  set.names = std::move(wanted);
}

void divide(std::vector<AnnotatedImage>&& images, double share, AnnotatedSet& set) {
  ensure(share > 0 && share < 1, "a share between nothing and all");
  const size_t run = std::max<size_t>(2, static_cast<size_t>(std::lround(1 / share)));
  for (size_t i = 0; i < images.size(); ++i) {
    const bool last_chance = i + 1 == images.size() && i > 0 && set.valid.empty();
    (i % run == run - 1 || last_chance ? set.valid : set.train).push_back(std::move(images[i]));
  }
}

std::vector<std::string> first_words(const fs::path& list) {
  std::vector<std::string> words;
  for (const std::string& line : read_lines(list)) {
    const std::string_view text = trim(line);
    if (!text.empty()) words.emplace_back(text.substr(0, text.find_first_of(" \t")));
  }
  return words;
}

std::vector<fs::path> files_with(const fs::path& folder, std::string_view extension) {
  std::vector<fs::path> files;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code))
    if (lower(entry->path().extension().string()) == extension && entry->is_regular_file(code)) files.push_back(entry->path());
  if (code && code != std::errc::no_such_file_or_directory) fail(folder.string(), ": cannot list the folder: ", code.message());
  std::sort(files.begin(), files.end());
  return files;
}

fs::path first_existing(const std::vector<fs::path>& candidates) {
  std::error_code code;
  for (const fs::path& path : candidates)
    if (fs::exists(path, code)) return path;
  return candidates.front();
}

fs::path image_in(const fs::path& folder, const std::string& stem) {
  std::vector<fs::path> candidates;
  for (const char* extension : {".jpg", ".png", ".jpeg", ".JPG", ".PNG", ".JPEG", ".bmp", ".ppm"})
    candidates.push_back(folder / concat(stem, extension));
  return first_existing(candidates);
}

}  // namespace dn
