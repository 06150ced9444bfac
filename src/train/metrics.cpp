#include "train/metrics.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"

namespace dn {
namespace {

std::optional<double> share(double part, double whole) { return whole > 0 ? std::optional(part / whole) : std::nullopt; }

std::vector<double> family_levels(int points) {
  std::vector<double> levels;
  for (int i = 0; i < points; ++i) levels.push_back(static_cast<double>(i) / (points - 1));
  return levels;
}

}  // namespace

std::optional<double> ClassMetrics::precision() const {
  return share(static_cast<double>(true_positives), static_cast<double>(true_positives + false_positives));
}
std::optional<double> ClassMetrics::recall() const { return share(static_cast<double>(true_positives), static_cast<double>(truths)); }
std::optional<double> ClassMetrics::f1() const {
  return share(2 * static_cast<double>(true_positives), static_cast<double>(true_positives + false_positives + truths));
}
std::optional<double> ClassMetrics::mean_iou() const { return share(iou_sum, static_cast<double>(true_positives + false_positives)); }

// The labels of one image, each with its number in the whole set.
struct Metrics::ImageTruths {
  std::vector<TruthBox> boxes;
  std::span<const TruthBox> difficult;
  int64_t first = 0;
};

void check_points(int points) {
  if (points != 0 && points != 11 && points != 101) fail("-points ", points, ": expected 0 (area under the curve), 11 or 101");
}

Metrics::Metrics(const MetricsOptions& options) : options_(options), coco_(options.classes) {
  check_points(options.points);
  classes_.resize(static_cast<size_t>(options.classes));
}

void Metrics::add(std::span<const Detection> detections, std::span<const TruthBox> truths, std::span<const TruthBox> difficult, int width,
                  int height) {
  ImageTruths own{{}, difficult, truths_};
  for (const TruthBox& truth : truths) {
    if (truth.class_id < 0 || truth.class_id >= options_.classes) {
      ++foreign_truths_;
      continue;
    }
    own.boxes.push_back(truth);
    ++classes_[static_cast<size_t>(truth.class_id)].sums.truths;
  }
  truths_ += static_cast<int64_t>(own.boxes.size());
  ++images_;
  add_claims(detections, own);
  coco_.add(detections, truths, difficult, width, height);
}

void Metrics::add_claims(std::span<const Detection> detections, const ImageTruths& truths) {
  std::unordered_set<int64_t> claimed;   // truths some earlier detection of this image claims
  for (const Detection& d : detections) {
    const size_t known = std::min(d.prob.size(), classes_.size());
    for (size_t c = 0; c < known; ++c) {
      if (!(d.prob[c] > 0)) continue;
      const auto is_class = [&](const TruthBox& t) { return t.class_id == static_cast<int>(c); };
      int64_t truth = -1;
      float best = 0;
      for (size_t i = 0; i < truths.boxes.size(); ++i) {
        if (!is_class(truths.boxes[i])) continue;
        const float overlap = iou(d.box, truths.boxes[i].box);
        if (static_cast<double>(overlap) > options_.iou_thresh && overlap > best) best = overlap, truth = truths.first + static_cast<int64_t>(i);
      }
      const auto on = [&](const TruthBox& t) { return is_class(t) && static_cast<double>(iou(d.box, t.box)) > options_.iou_thresh; };
      if (truth < 0 && std::any_of(truths.difficult.begin(), truths.difficult.end(), on)) continue;
      PerClass& own = classes_[c];
      own.claims.push_back({d.prob[c], truth});
      ++own.sums.detections;
      const bool first = truth >= 0 && claimed.insert(truth).second;
      if (!(static_cast<double>(d.prob[c]) > options_.thresh)) continue;
      if (first) {
        ++own.sums.true_positives;
        own.sums.iou_sum += best;
      } else {
        ++own.sums.false_positives;
      }
    }
  }
}

namespace {

// The order in which claims are judged: falling probability, equals as they came.
template <class Claims>
std::vector<size_t> falling(const Claims& claims) {
  std::vector<size_t> order(claims.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return claims[a].prob > claims[b].prob; });
  return order;
}

}  // namespace

MapReport Metrics::result() const {
  MapReport out;
  out.options = options_;
  out.images = images_;
  out.foreign_truths = foreign_truths_;
  const std::vector<double> family = family_levels(options_.points);
  out.coco = coco_.result();
  double ap_sum = 0;
  for (size_t c = 0; c < classes_.size(); ++c) {
    const PerClass& own = classes_[c];
    ClassMetrics row = own.sums;
    if (row.truths > 0) {
      std::vector<bool> right;
      std::unordered_set<int64_t> claimed;
      for (const size_t i : falling(own.claims)) right.push_back(own.claims[i].truth >= 0 && claimed.insert(own.claims[i].truth).second);
      row.ap = average_precision(right, row.truths, family);
      row.ap50_95 = out.coco.classes[c].ap;
      ap_sum += *row.ap;
    }
    out.total.truths += row.truths;
    out.total.detections += row.detections;
    out.total.true_positives += row.true_positives;
    out.total.false_positives += row.false_positives;
    out.total.iou_sum += row.iou_sum;
    out.classes.push_back(row);
  }
  out.map = ap_sum / static_cast<double>(classes_.size());
  out.map50_95 = out.coco.numbers[kAp].value_or(0);
  return out;
}

std::string percent_text(const std::optional<double>& value, int digits) { return value ? fixed(100 * *value, digits) : "n/a"; }

void RecallCount::add(std::span<const Detection> detections, std::span<const TruthBox> labels, double objectness_thresh, double iou_thresh) {
  ++images;
  const auto counts = [&](const Detection& d) { return static_cast<double>(d.objectness) > objectness_thresh; };
  proposals += std::count_if(detections.begin(), detections.end(), counts);
  for (const TruthBox& truth : labels) {
    ++truths;
    float best = 0;
    for (const Detection& d : detections)
      if (counts(d)) best = std::max(best, iou(d.box, truth.box));
    iou_sum += best;
    found += static_cast<double>(best) > iou_thresh;
  }
}

std::optional<double> RecallCount::recall() const { return share(static_cast<double>(found), static_cast<double>(truths)); }
std::optional<double> RecallCount::mean_iou() const { return share(iou_sum, static_cast<double>(truths)); }
std::optional<double> RecallCount::proposals_per_image() const { return share(static_cast<double>(proposals), static_cast<double>(images)); }

}  // namespace dn
