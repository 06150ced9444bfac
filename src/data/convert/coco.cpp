// See annotated_set.h: where COCO's files and images lie.
#include <algorithm>

#include "base/error.h"
#include "data/convert/annotated_set.h"
#include "data/convert/coco_file.h"

namespace dn {
namespace {

constexpr std::string_view kPrefix = "instances_";

// The annotation file of a part that DIR holds; empty: none.
fs::path find_file(const fs::path& dir, std::initializer_list<std::string_view> parts, const char* option) {
  std::vector<fs::path> found;
  std::error_code code;
  for (const std::string_view part : parts) {
    for (const fs::path& folder : {dir / "annotations", dir})
      for (const fs::path& file : files_with(folder, ".json"))
        if (file.filename().string().starts_with(concat(kPrefix, part)) && std::find(found.begin(), found.end(), file) == found.end())
          found.push_back(file);
    if (const fs::path file = dir / part / "_annotations.coco.json"; fs::exists(file, code)) found.push_back(file);
  }
  if (found.size() > 1) fail(dir.string(), ": ", found[0].string(), " and ", found[1].string(), ": expected one; choose it with -", option, " FILE");
  return found.empty() ? fs::path() : found[0];
}

class ImageFinder {
 public:
  ImageFinder(const fs::path& dir, const fs::path& annotations) {
    const std::string stem = annotations.stem().string();
    if (stem.starts_with(kPrefix)) {
      const std::string part = stem.substr(kPrefix.size());
      folders_ = {dir / part, dir / "images" / part};
    }
    for (const fs::path& folder : {dir, dir / "images", annotations.parent_path()}) folders_.push_back(folder);
  }
  fs::path operator()(const std::string& name) {
    std::error_code code;
    for (size_t i = 0; i < folders_.size(); ++i)
      if (fs::exists(folders_[i] / name, code)) {
        std::swap(folders_[0], folders_[i]);  // the others will be there too
        break;
      }
    return folders_[0] / name;
  }

 private:
  std::vector<fs::path> folders_;
};

std::vector<AnnotatedImage> read_part(const fs::path& dir, const fs::path& path, std::vector<std::string>& names) {
  const CocoFile file = read_coco_file(path);
  std::vector<std::string> own;
  for (const CocoFile::Category& category : file.categories) own.push_back(category.name);
  if (names.empty()) names = own;
  if (names != own) fail(path.string(), ": its categories are not those of the other file: expected the same ids and names in both");
  ImageFinder find(dir, path);
  std::vector<AnnotatedImage> images;
  for (const CocoFile::Image& image : file.images) {
    AnnotatedImage out{find(image.file), image.width, image.height, {}};
    for (const CocoFile::Object& o : image.objects)
      out.objects.push_back({o.left, o.top, o.left + o.width, o.top + o.height, static_cast<int>(o.category), o.crowd});
    images.push_back(std::move(out));
  }
  return images;
}

}  // namespace

AnnotatedSet read_coco(const fs::path& dir, const fs::path& train, const fs::path& valid, double valid_share) {
  const fs::path train_file = train.empty() ? find_file(dir, {"train"}, "train") : train;
  const fs::path valid_file = valid.empty() ? find_file(dir, {"val", "valid"}, "valid") : valid;
  if (train_file.empty() && valid_file.empty())
    fail(dir.string(),
         ": no annotations of the COCO form: expected annotations/instances_train*.json and instances_val*.json in it, or -train FILE "
         "-valid FILE");
  AnnotatedSet set;
  set.format = "coco";
  if (!train_file.empty()) set.train = read_part(dir, train_file, set.names);
  if (!valid_file.empty()) set.valid = read_part(dir, valid_file, set.names);
  if (train_file.empty() || valid_file.empty()) {
    std::vector<AnnotatedImage> all = std::move(train_file.empty() ? set.valid : set.train);
    set.train.clear();
    set.valid.clear();
    divide(std::move(all), valid_share, set);
  }
  return set;
}

}  // namespace dn
