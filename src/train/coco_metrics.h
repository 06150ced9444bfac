// The twelve numbers by which detectors are compared on COCO, from the definition of the benchmark (cocodataset.org, "Detection Evaluation";
// Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014):
//
//   AP          mean over IoU thresholds .50, .55 ... .95 and over classes of the interpolated precision at the recall levels 0, .01 ... 1
//   AP50, AP75  at one threshold
//   AP small, medium, large      of objects with an area up to 32^2 pixels, from there to 96^2, from there on (the borders belong to both)
//   AR1, AR10, AR100             mean over thresholds and classes of the recall with the 1, 10, 100 most probable detections per image and class
//   AR small, medium, large      with 100
//
// In an image, the detections of a class take truths by falling probability, each the free one that it overlaps most, if by no less than the
// threshold. Truths that do not count - crowds, and objects outside the range of areas - are taken only where no other is left; a detection on one is
// neither right nor wrong, and so is an unmatched detection whose own area is outside the range. A crowd may be taken by any number of detections;
// the overlap with it is the share of the detection that lies inside. Classes without truths do not enter the means.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "image/truth.h"
#include "nn/detection.h"

namespace dn {

inline constexpr int kCocoThresholds = 10;
inline constexpr int kCocoAreas = 4;  // all, small, medium, large
inline constexpr int kCocoNumbers = 12;
inline constexpr int kCocoDetections = 100;

enum CocoNumber { kAp, kAp50, kAp75, kApSmall, kApMedium, kApLarge, kAr1, kAr10, kAr100, kArSmall, kArMedium, kArLarge };
std::string_view coco_name(int number);  // "AP50"

struct CocoBox {  // pixels of the image
  double left = 0, top = 0, width = 0, height = 0;
  double area() const { return width * height; }
};

inline constexpr double kUnknownArea = -1;  // belongs to no range but "all"

struct CocoTruth {
  CocoBox box;
  int class_id = 0;
  double area = kUnknownArea;  // of the object; where only its box is known, of the box
  bool crowd = false;
};

struct CocoDetection {
  CocoBox box;
  int class_id = 0;
  float score = 0;
};

struct CocoReport {
  std::array<std::optional<double>, kCocoNumbers> numbers;  // empty: no truths
  struct Class {
    int64_t truths = 0;  // crowds not among them
    std::optional<double> ap, ap50, ap75, ar100;
  };
  std::vector<Class> classes;
};

class CocoMetrics {
 public:
  explicit CocoMetrics(int classes);
  // One image. Add in the order of the image numbers where equals should be judged as the benchmark's own program does.
  // What is of no class of ours is left out.
  void add(std::span<const CocoDetection> detections, std::span<const CocoTruth> truths);
  // The same from relative boxes; `difficult` are crowds. Of an image whose size is not known (0) no area is.
  void add(std::span<const Detection> detections, std::span<const TruthBox> truths, std::span<const TruthBox> difficult, int width, int height);
  CocoReport result() const;

 private:
  // One detection: which truths it took, a bit per threshold, for each range of areas.
  struct Claim {
    float score;
    uint8_t rank;  // among the detections of its class in its image
    std::array<uint16_t, kCocoAreas> right, ignored;
  };
  struct PerClass {
    std::vector<Claim> claims;
    std::array<int64_t, kCocoAreas> truths{};
  };
  struct Bucket {  // of one class in one image
    std::vector<CocoDetection> detections;
    std::vector<CocoTruth> truths;
  };

  void judge(Bucket& bucket, PerClass& own) const;

  std::vector<PerClass> classes_;
  std::vector<Bucket> buckets_;  // per class, empty between images
};

// Relative to an image -> pixels. A size of 0 counts as 1: overlaps are the same in any unit.
CocoBox coco_box(const Box& box, int width, int height);

}  // namespace dn
