// Annotations of BDD100K: a JSON list of images, each {"name", "labels": [{"category", "box2d": {"x1", "y1", "x2", "y2"}}]}. Read like COCO's: one
// image at a time, so that the outlines of lanes do not fill the memory.
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "data/convert/annotated_set.h"

namespace dn {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxFile = 4ull << 30;

double edge(const json& box, const char* name, const std::string& place) {
  const auto value = box.find(name);
  if (value == box.end() || !value->is_number()) fail(place, ": box2d.", name, " is ", value == box.end() ? "missing" : "not a number");
  return value->get<double>();
}

std::string text(const json& object, const char* name, const std::string& place) {
  const auto value = object.find(name);
  if (value == object.end() || !value->is_string()) fail(place, ": ", name, " is ", value == object.end() ? "missing" : "not a text");
  return value->get<std::string>();
}

AnnotatedImage read_image(const json& row, const fs::path& images, const std::string& place, ClassNumbers& classes) {
  AnnotatedImage image;
  image.file = images / text(row, "name", place);
  const auto labels = row.find("labels");
  if (labels == row.end() || labels->is_null()) return image;
  if (!labels->is_array()) fail(place, ": labels: expected a list");
  for (size_t i = 0; i < labels->size(); ++i) {
    const json& label = (*labels)[i];
    const std::string where = concat(place, ": labels[", i, "]");
    if (!label.is_object()) fail(where, ": expected an object");
    const auto box = label.find("box2d");
    if (box == label.end() || !box->is_object()) continue;
    image.objects.push_back({edge(*box, "x1", where), edge(*box, "y1", where), edge(*box, "x2", where), edge(*box, "y2", where),
                             classes.number(text(label, "category", where)), false});
  }
  return image;
}

std::vector<AnnotatedImage> read_file(const fs::path& path, const fs::path& images, ClassNumbers& classes) {
  std::vector<AnnotatedImage> read;
  const std::string contents = read_text(path, kMaxFile);
  log::Progress progress(concat("reading ", path.string()), 1, "files");
  try {
    const json rest = parse_json(contents, [&](int depth, json::parse_event_t event, json& value) {
      if (event == json::parse_event_t::key) return value != "poly2d" && value != "graph";
      if (event != json::parse_event_t::object_end || depth != 1) return true;
      read.push_back(read_image(value, images, concat(path.string(), ": [", read.size(), "]"), classes));
      return false;
    });
    if (!rest.is_array() || !rest.empty()) fail(path.string(), ": expected a list of images, each an object");
  } catch (const json::parse_error& e) {
    fail(path.string(), ": not well-formed JSON: ", e.what());
  }
  return read;
}

fs::path find_file(const fs::path& dir, std::string_view part) {
  for (const fs::path& folder : {dir / "labels" / "det_20", dir / "labels", dir})
    for (const fs::path& file : files_with(folder, ".json"))
      if (const std::string name = file.filename().string(); name.starts_with(concat("det_", part)) || name.starts_with(concat("det_v2_", part)) ||
                                                             name.ends_with(concat("labels_images_", part, ".json")))
        return file;
  return {};
}

}  // namespace

AnnotatedSet read_bdd(const fs::path& dir, double valid_share) {
  const fs::path train = find_file(dir, "train"), valid = find_file(dir, "val");
  if (train.empty()) fail(dir.string(), ": no annotations of the BDD100K form: expected det_train*.json in it, in labels or in labels/det_20");
  AnnotatedSet set;
  set.format = "bdd";
  ClassNumbers classes;
  const auto images = [&](const char* part) { return first_existing({dir / "images" / "100k" / part, dir / "images" / part, dir / part}); };
  set.train = read_file(train, images("train"), classes);
  if (valid.empty())
    divide(std::exchange(set.train, {}), valid_share, set);
  else
    set.valid = read_file(valid, images("val"), classes);
  set.names = classes.names();
  return set;
}

}  // namespace dn
