// Detection quality over a labelled set, from detections that went through non-maximum suppression. Images are added one by one; two judgements
// are made in the same pass:
//
//   map     The family's: a detection claims the truth of its class that it overlaps most, if by more than iou_thresh; of all claims on a truth the
//           most probable is right, later ones are wrong even if another truth was near. AP is the area under the interpolated precision-recall curve
//           (points 0) or the mean over 11 or 101 recall levels; the mean is over all classes, those without truths counting 0.
//   coco    The benchmark's twelve numbers (coco_metrics.h), of which AP@[.5:.95] is the first. Boxes marked difficult are its crowds.
//
// Precision, recall and the mean IoU are at the confidence threshold; there the first claim in the order of the detections counts, as in the family.
// Boxes marked difficult are no truths: a detection on one is neither right nor wrong. What is undefined (no detections, no truths) is empty, never
// NaN.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "image/truth.h"
#include "nn/detection.h"
#include "train/average_precision.h"
#include "train/coco_metrics.h"

namespace dn {

struct MetricsOptions {
  int classes = 0;
  double iou_thresh = .5;
  double thresh = .25;   // confidence for precision, recall, F1, mean IoU
  int points = 0;        // 0 area under the curve, 11, 101
};

struct ClassMetrics {
  int64_t truths = 0, detections = 0;
  std::optional<double> ap;                   // empty: no truths
  std::optional<double> ap50_95;
  int64_t true_positives = 0, false_positives = 0;   // at the confidence threshold
  double iou_sum = 0;                         // over those true positives
  int64_t false_negatives() const { return truths - true_positives; }
  std::optional<double> precision() const;
  std::optional<double> recall() const;
  std::optional<double> f1() const;
  std::optional<double> mean_iou() const;     // over all detections at the threshold, wrong ones with 0
};

struct MapReport {
  MetricsOptions options;
  std::vector<ClassMetrics> classes;
  ClassMetrics total;                         // sums; ap and ap50_95 empty
  double map = 0, map50_95 = 0;               // 0 as well when nothing could be measured
  CocoReport coco;
  int64_t images = 0;
  int64_t foreign_truths = 0;                 // labels of classes the network does not have; not counted as truths
  bool measured() const { return total.truths > 0; }   // otherwise both means are "n/a"
};

void check_points(int points);   // Error for points other than 0, 11, 101

class Metrics {
 public:
  explicit Metrics(const MetricsOptions& options);
  // The detections of one image, its labels and its size in pixels (0: not known, then it has no areas). Not for several threads at once: add in
  // image order, the result depends on nothing else.
  void add(std::span<const Detection> detections, std::span<const TruthBox> truths, std::span<const TruthBox> difficult = {}, int width = 0,
           int height = 0);
  MapReport result() const;

 private:
  // One detection of one class.
  struct Claim {
    float prob;
    int64_t truth;            // number of the truth it claims, -1: none
  };
  struct PerClass {
    std::vector<Claim> claims;
    ClassMetrics sums;
  };
  struct ImageTruths;

  void add_claims(std::span<const Detection> detections, const ImageTruths& truths);

  MetricsOptions options_;
  CocoMetrics coco_;
  std::vector<PerClass> classes_;
  int64_t images_ = 0, truths_ = 0, foreign_truths_ = 0;
};

// "62.50", or "n/a".
std::string percent_text(const std::optional<double>& share, int digits = 2);

// `detector recall`: how many truths some proposal (any class, objectness above a threshold) overlaps.
struct RecallCount {
  int64_t images = 0, truths = 0, found = 0, proposals = 0;
  double iou_sum = 0;         // best overlap of each truth
  void add(std::span<const Detection> detections, std::span<const TruthBox> truths, double objectness_thresh = .001, double iou_thresh = .5);
  std::optional<double> recall() const;
  std::optional<double> mean_iou() const;
  std::optional<double> proposals_per_image() const;
};

}  // namespace dn
