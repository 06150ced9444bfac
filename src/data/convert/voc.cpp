// Annotations of PASCAL VOC (and of the tools that write its form): one XML file an image.
//
//   <annotation><filename>000005.jpg</filename><size><width>500</width><height>375</height></size>
//     <object><name>chair</name><difficult>0</difficult><bndbox><xmin>263</xmin><ymin>211</ymin><xmax>324</xmax><ymax>339</ymax></bndbox></object>
#include <algorithm>
#include <utility>

#include <pugixml.hpp>

#include "base/error.h"
#include "base/log.h"
#include "data/convert/annotated_set.h"

namespace dn {
namespace {

bool is_folder(const fs::path& path) {
  std::error_code code;
  return fs::is_directory(path, code);
}

class XmlFile {
 public:
  explicit XmlFile(const fs::path& path) : name_(path.string()), text_(read_text(path)) {
    const pugi::xml_parse_result result = document_.load_buffer(text_.data(), text_.size());
    if (!result) fail(place(result.offset), ": not well-formed XML: ", result.description());
    root_ = document_.child("annotation");
    if (!root_) fail(place(0), ": expected <annotation> as the outermost element");
  }
  const pugi::xml_node& root() const { return root_; }

  // "FILE:LINE" of a byte.
  std::string place(std::ptrdiff_t offset) const {
    const size_t end = std::min(text_.size(), static_cast<size_t>(std::max<std::ptrdiff_t>(0, offset)));
    return concat(name_, ":", 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
  }
  std::string place(const pugi::xml_node& node) const { return place(node.offset_debug()); }

  std::string_view text(const pugi::xml_node& parent, const char* name) const {
    const std::string_view value = trim(parent.child(name).text().get());
    if (value.empty()) fail(place(parent), ": <", parent.name(), ">: <", name, "> is missing or empty");
    return value;
  }
  double number(const pugi::xml_node& parent, const char* name) const {
    const std::string_view value = text(parent, name);
    const auto number = parse_real(value);
    if (!number) fail(place(parent.child(name)), ": <", name, "> = '", value.substr(0, 40), "': expected a number");
    return *number;
  }

 private:
  std::string name_, text_;
  pugi::xml_document document_;
  pugi::xml_node root_;
};

int side(const XmlFile& xml, const pugi::xml_node& size, const char* name) {
  if (!size.child(name)) return 0;
  const double value = xml.number(size, name);
  if (value < 0 || value > 1e6 || value != static_cast<int>(value))
    fail(xml.place(size), ": <", name, "> = ", value, ": expected a whole number of pixels");
  return static_cast<int>(value);
}

// `images`: the folder where they lie.
AnnotatedImage read_annotation(const fs::path& path, const fs::path& images, ClassNumbers& classes) {
  const XmlFile xml(path);
  AnnotatedImage image;
  const std::string written = std::string(trim(xml.root().child("filename").text().get()));
  std::vector<fs::path> candidates{image_in(images, path.stem().string())};
  if (!written.empty()) candidates.push_back(images / fs::path(written).filename());
  image.file = first_existing(candidates);
  if (const pugi::xml_node size = xml.root().child("size")) {
    image.width = side(xml, size, "width");
    image.height = side(xml, size, "height");
  }
  for (const pugi::xml_node& node : xml.root().children("object")) {
    AnnotatedObject object;
    object.class_id = classes.number(xml.text(node, "name"));
    object.difficult = node.child("difficult") && xml.number(node, "difficult") != 0;
    const pugi::xml_node box = node.child("bndbox");
    if (!box) fail(xml.place(node), ": <object>: <bndbox> is missing");
    object.left = xml.number(box, "xmin") - 1;  // the first pixel is 1, and the last one is part of the object
    object.top = xml.number(box, "ymin") - 1;
    object.right = xml.number(box, "xmax");
    object.bottom = xml.number(box, "ymax");
    image.objects.push_back(object);
  }
  return image;
}

class VocReader {
 public:
  explicit VocReader(AnnotatedSet& set) : set_(set) {}

  void add_year(const fs::path& root, bool test_is_valid) {
    const fs::path lists = root / "ImageSets" / "Main";
    const auto ids = [&](const char* name) {
      return fs::exists(lists / concat(name, ".txt")) ? first_words(lists / concat(name, ".txt")) : std::vector<std::string>{};
    };
    std::vector<std::string> train = ids("train"), valid = ids("val");
    if (test_is_valid) {
      std::vector<std::string> both = ids("trainval");
      if (both.empty()) both = train, both.insert(both.end(), valid.begin(), valid.end());
      train = std::move(both);
      valid = has_test(root) ? ids("test") : std::vector<std::string>{};
    }
    add(root, train, set_.train);
    add(root, valid, set_.valid);
  }

  std::vector<AnnotatedImage> all(const fs::path& annotations, const fs::path& images) {
    const std::vector<fs::path> files = files_with(annotations, ".xml");
    std::vector<AnnotatedImage> read;
    log::Progress progress("annotations", static_cast<int64_t>(files.size()), "files");
    for (const fs::path& file : files) {
      read.push_back(read_annotation(file, images, classes_));
      progress.update(static_cast<int64_t>(read.size()));
    }
    return read;
  }

  static bool has_lists(const fs::path& root) {
    return fs::exists(root / "ImageSets" / "Main" / "train.txt") || fs::exists(root / "ImageSets" / "Main" / "trainval.txt");
  }
  // Whether the test images are annotated too; those of some years never were.
  static bool has_test(const fs::path& root) {
    const fs::path list = root / "ImageSets" / "Main" / "test.txt";
    if (!fs::exists(list)) return false;
    const std::vector<std::string> ids = first_words(list);
    return !ids.empty() && fs::exists(root / "Annotations" / concat(ids[0], ".xml"));
  }
  const ClassNumbers& classes() const { return classes_; }

 private:
  void add(const fs::path& root, const std::vector<std::string>& ids, std::vector<AnnotatedImage>& part) {
    log::Progress progress(concat("annotations of ", root.filename().string()), static_cast<int64_t>(ids.size()), "files");
    for (size_t i = 0; i < ids.size(); ++i) {
      part.push_back(read_annotation(root / "Annotations" / concat(ids[i], ".xml"), root / "JPEGImages", classes_));
      progress.update(static_cast<int64_t>(i) + 1);
    }
  }

  AnnotatedSet& set_;
  ClassNumbers classes_;
};

std::vector<fs::path> years(const fs::path& dir) {
  if (is_folder(dir / "Annotations")) return {dir};
  std::vector<fs::path> found;
  for (const fs::path& parent : {dir, dir / "VOCdevkit"}) {
    std::error_code code;
    for (fs::directory_iterator entry(parent, code), end; !code && entry != end; entry.increment(code))
      if (is_folder(entry->path() / "Annotations")) found.push_back(entry->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

AnnotatedSet read_voc(const fs::path& dir, double valid_share) {
  AnnotatedSet set;
  set.format = "voc";
  VocReader reader(set);
  const std::vector<fs::path> roots = years(dir);
  std::vector<AnnotatedImage> undivided;
  const bool test_is_valid = std::any_of(roots.begin(), roots.end(), VocReader::has_test);
  for (const fs::path& root : roots) {
    if (VocReader::has_lists(root)) {
      reader.add_year(root, test_is_valid);
      continue;
    }
    const fs::path images = is_folder(root / "JPEGImages") ? root / "JPEGImages" : is_folder(root / "images") ? root / "images" : root;
    for (AnnotatedImage& image : reader.all(root / "Annotations", images)) undivided.push_back(std::move(image));
  }
  if (roots.empty()) undivided = reader.all(dir, dir);
  if (set.train.empty() && set.valid.empty() && undivided.empty())
    fail(dir.string(), ": no annotations of the VOC form: expected a folder with Annotations/*.xml, or with XML files beside its images");
  if (set.valid.empty() && undivided.empty()) divide(std::exchange(set.train, {}), valid_share, set);
  divide(std::move(undivided), valid_share, set);
  set.names = reader.classes().names();
  return set;
}

}  // namespace dn
