// Boxes are written relative to the annotated size, with 8 decimals: a hundredth of a pixel of the largest image needs 7.
// NAME.names is written first and marks the folder as a conversion's, so that a broken run can be repeated; NAME.data is written last.
#include "data/convert/yolo_writer.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/log.h"
#include "data/bulk_files.h"
#include "data/labels.h"
#include "image/decode.h"

namespace dn {
namespace {

constexpr size_t kHeader = 1 << 16;  // bytes of an image file in which its size is found almost always

ImageSize image_size(const fs::path& path) {
  const InputFile file(path);
  for (const size_t length : {std::min<uint64_t>(kHeader, file.size()), std::min<uint64_t>(kMaxImageFile, file.size())}) {
    std::vector<std::byte> bytes(length);
    bytes.resize(file.read(0, bytes.data(), length));
    try {
      return read_image_size(bytes, path.string());
    } catch (const Error&) {
      if (bytes.size() >= std::min<uint64_t>(kMaxImageFile, file.size())) throw;
    }
  }
  fail(path.string(), ": no image");
}

class Writer {
 public:
  Writer(const AnnotatedSet& set, const YoloWriterOptions& options)
      : set_(set), options_(options), out_(options.out.empty() ? options.source : options.out) {}

  YoloWriterReport write() {
    check_folder();
    make_directories(out_);
    write_file(file(".names"), join(set_.names, "\n") + "\n");
    YoloWriterReport report;
    const std::string train = write_part(set_.train, "train", report.train), valid = write_part(set_.valid, "valid", report.valid);
    if (train.empty())
      fail(out_.string(), ": no usable training image among ", set_.train.size(),
           report.train.remarks.empty() ? "" : concat("; ", report.train.remarks[0]));
    write_file(out_ / "train.txt", train);
    std::string data = concat("classes = ", set_.names.size(), "\ntrain = train.txt\n");
    if (!valid.empty()) {
      write_file(out_ / "valid.txt", valid);
      data += "valid = valid.txt\n";
    }
    if (write_difficult()) data += "difficult = difficult.txt\n";
    data += concat("names = ", set_.format, ".names\nbackup = backup\nresults = results\neval = ", set_.format, "\n");
    report.data_file = file(".data");
    sync_all(out_);
    write_file(report.data_file, data);
    return report;
  }

 private:
  fs::path file(std::string_view extension) const { return out_ / concat(set_.format, extension); }

  // Nobody's own files are overwritten: a folder must be new, empty, or an earlier conversion's.
  void check_folder() const {
    std::error_code code;
    if (fs::exists(file(".names"), code)) return;
    if (!options_.out.empty()) {
      if (fs::exists(out_, code) && !fs::is_empty(out_, code))
        fail(out_.string(), ": is neither empty nor an earlier conversion (it has no ", set_.format, ".names): expected a new or empty folder");
      return;
    }
    for (const auto* part : {&set_.train, &set_.valid})
      for (const AnnotatedImage& image : *part)
        if (const fs::path label = label_paths(image.file.string()).front(); fs::exists(label, code))
          fail(label.string(), ": exists and was not written by a conversion: expected no labels there; choose a folder with -out");
    for (const char* name : {"train.txt", "valid.txt", "difficult.txt"})
      if (fs::exists(out_ / name, code)) fail((out_ / name).string(), ": exists and was not written by a conversion: choose a folder with -out");
  }

  // The list of the part.
  std::string write_part(const std::vector<AnnotatedImage>& images, const std::string& part, PartCounts& counts) {
    log::Progress progress(concat("labels of ", part), static_cast<int64_t>(images.size()), "images");
    std::string list;
    std::set<std::string> used;
    for (size_t i = 0; i < images.size(); ++i) {
      if (const std::string entry = write_image(images[i], part, used, counts); !entry.empty()) list += entry + "\n";
      progress.update(static_cast<int64_t>(i) + 1);
    }
    return list;
  }

  static void remark(int64_t& count, PartCounts& counts, const std::string& text) {
    if (count++ == 0) counts.remarks.push_back(text);
  }

  // The image's line in the list; empty: it is left out.
  std::string write_image(const AnnotatedImage& image, const std::string& part, std::set<std::string>& used, PartCounts& counts) {
    ImageSize size;
    try {
      size = image_size(image.file);
    } catch (const Error& e) {
      remark(counts.unusable_images, counts, concat("image left out: ", e.what()));
      return {};
    }
    const int width = image.width > 0 ? image.width : size.width, height = image.height > 0 ? image.height : size.height;
    if (width != size.width || height != size.height)
      remark(counts.other_size, counts,
             concat(image.file.string(), ": ", size.width, " x ", size.height, " pixels, annotated as ", width, " x ", height,
                    "; the latter is believed"));
    std::string usual, difficult;
    for (const AnnotatedObject& object : image.objects) add_rows(object, image, width, height, usual, difficult, counts);
    const std::string name = unused_name(image.file, used);
    const fs::path entry = options_.out.empty() ? entry_in_place(image.file) : fs::path(part) / concat(name, image.file.extension().string());
    if (!options_.out.empty()) provide(image.file, out_ / entry);
    write_label(entry, usual);
    ++counts.images;
    if (part == "valid") difficult_.emplace_back(concat("difficult/", name, ".jpg"), difficult);
    return entry.generic_string();
  }

  void add_rows(const AnnotatedObject& object, const AnnotatedImage& image, int width, int height, std::string& usual, std::string& difficult,
                PartCounts& counts) const {
    if (object.class_id == kNoClass) return;
    const double left = std::clamp<double>(object.left, 0, width), right = std::clamp<double>(object.right, 0, width);
    const double top = std::clamp<double>(object.top, 0, height), bottom = std::clamp<double>(object.bottom, 0, height);
    const std::string edges = concat(object.left, " ", object.top, " ", object.right, " ", object.bottom);
    if (right - left < 1e-3 || bottom - top < 1e-3)
      return remark(counts.empty, counts, concat(image.file.string(), ": box left out, nothing of it lies in the image: ", edges));
    // A pixel beyond the edge is nothing to tell: annotators count from 0 or from 1.
    if (object.left < -1 || object.top < -1 || object.right > width + 1 || object.bottom > height + 1)
      remark(counts.cut, counts, concat(image.file.string(), ": box reaches beyond the image and is cut: ", edges));
    const std::string box = concat(fixed((left + right) / 2 / width, 8), " ", fixed((top + bottom) / 2 / height, 8), " ",
                                   fixed((right - left) / width, 8), " ", fixed((bottom - top) / height, 8), "\n");
    const bool apart = object.class_id == kAnyClass || (object.difficult && !options_.keep_difficult);
    const int first = object.class_id == kAnyClass ? 0 : object.class_id;
    const int last = object.class_id == kAnyClass ? static_cast<int>(set_.names.size()) - 1 : object.class_id;
    for (int c = first; c <= last; ++c) {
      const std::string row = concat(c, " ", box);
      std::string& rows = apart ? difficult : usual;
      if (concat("\n", rows).find("\n" + row) != std::string::npos) {
        ++counts.repeated;
        continue;
      }
      rows += row;
      if (c == first) ++(apart ? counts.difficult : counts.objects);
    }
  }

  fs::path entry_in_place(const fs::path& image) const {
    const fs::path relative = image.lexically_relative(out_);
    return relative.empty() ? fs::absolute(image) : relative;
  }

  static std::string unused_name(const fs::path& image, std::set<std::string>& used) {
    const std::string stem = image.stem().string();
    std::string name = stem;
    for (int n = 2; !used.insert(name).second; ++n) name = concat(stem, "_", n);
    return name;
  }

  void provide(const fs::path& image, const fs::path& place) const {
    std::error_code code;
    make_directories(place.parent_path());
    fs::remove(place, code);
    if (options_.copy)
      fs::copy_file(image, place, code);
    else
      fs::create_symlink(fs::absolute(image), place, code);
    if (code)
      fail(place.string(), ": cannot ", options_.copy ? "copy the image here" : "link to the image (with -copy it would be copied)", ": ",
           code.message());
  }

  void write_label(const fs::path& entry, const std::string& rows) const {
    const fs::path label = label_paths((out_ / entry).string()).front();
    make_directories(label.parent_path());
    write_plainly(label, rows);
  }

  // The list of difficult boxes runs parallel to valid.txt; its images need not exist. False: there are no such boxes.
  bool write_difficult() const {
    if (std::all_of(difficult_.begin(), difficult_.end(), [](const auto& d) { return d.second.empty(); })) return false;
    std::string list;
    for (const auto& [entry, rows] : difficult_) {
      list += entry + "\n";
      write_label(entry, rows);
    }
    write_file(out_ / "difficult.txt", list);
    return true;
  }

  const AnnotatedSet& set_;
  const YoloWriterOptions& options_;
  fs::path out_;
  std::vector<std::pair<std::string, std::string>> difficult_;  // of each validation image: entry of its list, rows
};

void describe(std::vector<std::string>& lines, const char* part, const char* difficult, const PartCounts& counts) {
  lines.push_back(concat(part, ": ", counts.images, " images, ", counts.objects, " objects",
                         counts.difficult > 0 ? concat("; ", counts.difficult, " difficult ones ", difficult) : ""));
  const auto note = [&](int64_t count, const char* text) {
    if (count > 0) lines.push_back(concat("  ", count, text));
  };
  note(counts.unusable_images, " images are missing or unreadable and left out");
  note(counts.other_size, " images have another size than their annotation says");
  note(counts.cut, " boxes reach beyond their image and are cut at its edge");
  note(counts.empty, " boxes are left out because nothing of them lies in the image");
  note(counts.repeated, " boxes are left out because they repeat another one");
}

}  // namespace

YoloWriterReport write_yolo(const AnnotatedSet& set, const YoloWriterOptions& options) { return Writer(set, options).write(); }

std::vector<std::string> summary(const YoloWriterReport& report) {
  std::vector<std::string> lines;
  describe(lines, "training", "left out", report.train);
  describe(lines, "validation", "listed apart (difficult.txt)", report.valid);
  return lines;
}

}  // namespace dn
