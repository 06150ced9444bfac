// What the readers of other data sets' annotations give and the writer of YOLO labels takes: images of two parts with boxes in pixels.
//
//   read_voc, read_coco, read_kitti, read_bdd  ->  AnnotatedSet  ->  order_classes  ->  write_yolo
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/files.h"

namespace dn {

inline constexpr int kNoClass = -1;   // of a class that is left out
inline constexpr int kAnyClass = -2;  // of a region where no detection of any class is judged

struct AnnotatedObject {
  double left = 0, top = 0, right = 0, bottom = 0;  // edges, pixels from the image's upper left corner
  int class_id = 0;
  bool difficult = false;  // not trained on; a detection on it is neither right nor wrong
};

struct AnnotatedImage {
  fs::path file;
  int width = 0, height = 0;  // as annotated; 0: as the file says
  std::vector<AnnotatedObject> objects;
};

struct AnnotatedSet {
  std::string format;              // voc, coco, kitti, bdd: names the files and eval=
  std::vector<std::string> names;  // of the classes
  std::vector<AnnotatedImage> train, valid;
};

// Numbers for class names, in the order in which they come.
class ClassNumbers {
 public:
  int number(std::string_view name);
  const std::vector<std::string>& names() const { return names_; }

 private:
  std::vector<std::string> names_;
  std::unordered_map<std::string, int> numbers_;
};

// Renumbers the classes: as in `order` when every class found is there or it is `exact` (then others are left out, and said), else by the alphabet.
void order_classes(AnnotatedSet& set, std::span<const std::string> order, bool exact);

// Every image of a set without a division of its own, into training and validation: of each run of round(1 / share) images the last is for validation.
void divide(std::vector<AnnotatedImage>&& images, double share, AnnotatedSet& set);

// Each reader throws Error "FILE:PLACE: ..." at an annotation that cannot be understood. `valid_share` is for sets that do not say which images
// are for validation.
//
// DIR is a VOCyyyy folder (Annotations, ImageSets/Main, JPEGImages), one that holds several of them, or one with XML files beside its images.
// Where there are annotated test lists these are for validation and trainval for training, else val and train. A box covers the pixels
// xmin..xmax, counted from 1.
AnnotatedSet read_voc(const fs::path& dir, double valid_share);

// Annotation files: `train` and `valid` when given, else found in DIR (annotations/instances_train*.json and _val*.json, or train/ and valid/
// with _annotations.coco.json). Images are looked for in DIR/train2017, DIR/images/train2017 (the part of the file's name behind instances_), DIR,
// DIR/images and beside the file. Classes are numbered in the order of the category ids. Crowds are difficult.
AnnotatedSet read_coco(const fs::path& dir, const fs::path& train, const fs::path& valid, double valid_share);

// DIR or DIR/training holds label_2 and image_2; ImageSets/train.txt and val.txt divide it when they are there. DontCare regions belong to any class.
AnnotatedSet read_kitti(const fs::path& dir, double valid_share);

// DIR holds det_train*.json and det_val*.json (or bdd100k_labels_images_train.json and _val.json), in it or in labels/ or labels/det_20/, and
// images/100k/train and val. What has no box (lanes, drivable areas) is no object.
AnnotatedSet read_bdd(const fs::path& dir, double valid_share);

// The classes in their benchmark's order; empty: in the order in which they are read.
std::span<const std::string> usual_order(std::string_view format);

// For the readers: lines of a list, its first words; files of an extension, sorted by name; the first of these that exists, else the first.
std::vector<std::string> first_words(const fs::path& list);
std::vector<fs::path> files_with(const fs::path& folder, std::string_view extension);
fs::path first_existing(const std::vector<fs::path>& candidates);
fs::path image_in(const fs::path& folder, const std::string& stem);  // with one of the extensions of images

}  // namespace dn
