// Annotations of the KITTI object benchmark: one text file an image, one row of 15 values an object:
// type truncated occluded alpha left top right bottom height width length x y z rotation (a 16th: score). Pixels count from 0.
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/log.h"
#include "data/convert/annotated_set.h"

namespace dn {
namespace {

constexpr size_t kColumns = 15, kFirstEdge = 4;

AnnotatedObject read_row(const std::string& place, std::string_view line, ClassNumbers& classes) {
  std::vector<std::string_view> words;
  for (std::string_view word : split(line, ' '))
    if (word = trim(word); !word.empty()) words.push_back(word);
  if (words.size() != kColumns && words.size() != kColumns + 1) fail(place, ": ", words.size(), " values: expected ", kColumns, ", type first");
  double edges[4];
  for (size_t i = 0; i < 4; ++i) {
    const auto value = parse_real(words[kFirstEdge + i]);
    if (!value) fail(place, ": '", words[kFirstEdge + i].substr(0, 40), "': expected a number, an edge of the box");
    edges[i] = *value;
  }
  if (words[0] == "DontCare") return {edges[0], edges[1], edges[2], edges[3], kAnyClass, true};
  return {edges[0], edges[1], edges[2], edges[3], classes.number(words[0]), false};
}

AnnotatedImage read_labels(const fs::path& root, const std::string& id, ClassNumbers& classes) {
  AnnotatedImage image;
  image.file = image_in(root / "image_2", id);
  const fs::path path = root / "label_2" / concat(id, ".txt");
  const std::vector<std::string> lines = read_lines(path);
  for (size_t i = 0; i < lines.size(); ++i)
    if (!trim(lines[i]).empty()) image.objects.push_back(read_row(concat(path.string(), ":", i + 1), trim(lines[i]), classes));
  return image;
}

}  // namespace

AnnotatedSet read_kitti(const fs::path& dir, double valid_share) {
  const fs::path root = fs::exists(dir / "training" / "label_2") ? dir / "training" : dir;
  const std::vector<fs::path> files = files_with(root / "label_2", ".txt");
  if (files.empty()) fail(dir.string(), ": no annotations of the KITTI form: expected label_2/*.txt in it or in its folder training");
  AnnotatedSet set;
  set.format = "kitti";
  ClassNumbers classes;
  const auto read = [&](const std::vector<std::string>& ids) {
    std::vector<AnnotatedImage> images;
    log::Progress progress("annotations", static_cast<int64_t>(ids.size()), "files");
    for (const std::string& id : ids) {
      images.push_back(read_labels(root, id, classes));
      progress.update(static_cast<int64_t>(images.size()));
    }
    return images;
  };
  if (const fs::path lists = dir / "ImageSets"; fs::exists(lists / "train.txt") && fs::exists(lists / "val.txt")) {
    set.train = read(first_words(lists / "train.txt"));
    set.valid = read(first_words(lists / "val.txt"));
  } else {
    std::vector<std::string> ids;
    for (const fs::path& file : files) ids.push_back(file.stem().string());
    divide(read(ids), valid_share, set);
  }
  set.names = classes.names();
  return set;
}

}  // namespace dn
