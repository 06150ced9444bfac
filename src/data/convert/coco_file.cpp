#include "data/convert/coco_file.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"

namespace dn {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxFile = 4ull << 30;

struct Written {  // an annotation before its image and category are known
  int64_t image, category;
  CocoFile::Object object;
};

class Reader {
 public:
  explicit Reader(const fs::path& path) : path_(path.string()) {}

  CocoFile read() {
    const std::string text = read_text(path_, kMaxFile);
    log::Progress progress(concat("reading ", path_), 1, "files");
    json rest;
    try {
      // Every row of the three tables is taken and dropped as soon as it is complete.
      rest = parse_json(text, [this](int depth, json::parse_event_t event, json& value) {
        if (event == json::parse_event_t::key && depth == 1) open_table(value.get<std::string>());
        if (event == json::parse_event_t::key && depth == 3) return value != "segmentation";
        if (event != json::parse_event_t::object_end || depth != 2) return true;
        return take(value);
      });
    } catch (const json::parse_error& e) {
      fail(path_, ": not well-formed JSON: ", e.what());
    }
    for (const char* table : {"images", "annotations", "categories"}) {
      if (!rest.is_object() || !rest.contains(table)) fail(path_, ": ", table, " is missing: expected a COCO annotation file");
      if (!rest[table].is_array() || !rest[table].empty()) fail(path_, ": ", table, ": expected a list of objects");
    }
    return join();
  }

 private:
  void open_table(std::string name) {
    table_ = std::move(name);
    row_ = 0;
  }
  std::string place() const { return concat(path_, ": ", table_, "[", row_, "]"); }

  const json& field(const json& row, const char* name) const {
    const auto found = row.find(name);
    if (found == row.end()) fail(place(), ": ", name, " is missing");
    return *found;
  }
  int64_t whole(const json& row, const char* name) const {
    const json& value = field(row, name);
    if (!value.is_number_integer()) fail(place(), ": ", name, " = ", value.dump().substr(0, 60), ": expected a whole number");
    return value.get<int64_t>();
  }
  std::string text(const json& row, const char* name) const {
    const json& value = field(row, name);
    if (!value.is_string() || value.get_ref<const std::string&>().empty())
      fail(place(), ": ", name, " = ", value.dump().substr(0, 60), ": expected a text");
    return value.get<std::string>();
  }
  int side(const json& row, const char* name) const {
    if (!row.contains(name) || row[name].is_null()) return 0;
    const int64_t value = whole(row, name);
    if (value < 0 || value > 1'000'000) fail(place(), ": ", name, " = ", value, ": expected a number of pixels");
    return static_cast<int>(value);
  }

  Written annotation(const json& row) const {
    Written out{whole(row, "image_id"), whole(row, "category_id"), {}};
    const json& box = field(row, "bbox");
    const bool good = box.is_array() && box.size() == 4 && std::all_of(box.begin(), box.end(), [](const json& v) { return v.is_number(); });
    if (!good) fail(place(), ": bbox = ", box.dump().substr(0, 60), ": expected [left, top, width, height]");
    out.object.left = box[0], out.object.top = box[1], out.object.width = box[2], out.object.height = box[3];
    out.object.area = out.object.width * out.object.height;
    if (row.contains("area") && row["area"].is_number()) out.object.area = row["area"];
    if (row.contains("iscrowd")) out.object.crowd = row["iscrowd"] == 1 || row["iscrowd"] == true;
    return out;
  }

  // Whether the parser shall keep it.
  bool take(const json& row) {
    if (table_ == "images")
      file_.images.push_back({whole(row, "id"), text(row, "file_name"), side(row, "width"), side(row, "height"), {}});
    else if (table_ == "categories")
      file_.categories.push_back({whole(row, "id"), text(row, "name")});
    else if (table_ == "annotations")
      annotations_.push_back(annotation(row));
    else
      return true;
    ++row_;
    return false;
  }

  // Sorts a table by id and gives the place of each id.
  template <class Row>
  std::unordered_map<int64_t, size_t> index(std::vector<Row>& rows, const char* table) const {
    std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.id < b.id; });
    std::unordered_map<int64_t, size_t> places;
    for (size_t i = 0; i < rows.size(); ++i)
      if (!places.emplace(rows[i].id, i).second) fail(path_, ": ", table, ": the id ", rows[i].id, " occurs twice");
    return places;
  }

  CocoFile join() {
    const auto images = index(file_.images, "images"), categories = index(file_.categories, "categories");
    for (size_t i = 0; i < annotations_.size(); ++i) {
      Written& a = annotations_[i];
      const auto image = images.find(a.image), category = categories.find(a.category);
      if (image == images.end()) fail(path_, ": annotations[", i, "]: image_id = ", a.image, ": no such image");
      if (category == categories.end()) fail(path_, ": annotations[", i, "]: category_id = ", a.category, ": no such category");
      a.object.category = category->second;
      file_.images[image->second].objects.push_back(a.object);
    }
    return std::move(file_);
  }

  std::string path_, table_;
  size_t row_ = 0;
  CocoFile file_;
  std::vector<Written> annotations_;
};

}  // namespace

CocoFile read_coco_file(const fs::path& path) { return Reader(path).read(); }

}  // namespace dn
