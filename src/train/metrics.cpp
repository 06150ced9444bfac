#include "train/metrics.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "base/error.h"
#include "base/text.h"

namespace dn {
namespace {

std::optional<double> share(double part, double whole) { return whole > 0 ? std::optional(part / whole) : std::nullopt; }

constexpr double coco_threshold(int i) { return .5 + .05 * i; }

// pycocotools multiplies, the family divides; where a recall meets a level exactly, the last bit decides.
std::vector<double> coco_levels() {
  std::vector<double> levels;
  for (int i = 0; i <= 100; ++i) levels.push_back(i * .01);
  return levels;
}

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

Metrics::Metrics(const MetricsOptions& options) : options_(options) {
  if (options.points != 0 && options.points != 11 && options.points != 101)
    fail("-points ", options.points, ": expected 0 (area under the curve), 11 or 101");
  ensure(options.classes > 0, "metrics of no classes");
  classes_.resize(static_cast<size_t>(options.classes));
}

void Metrics::add(std::span<const Detection> detections, std::span<const TruthBox> truths, std::span<const TruthBox> difficult) {
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
  for (int c = 0; c < options_.classes; ++c) add_coco(detections, own, c);
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

// Greedy matching of one class of one image at all ten thresholds.
void Metrics::add_coco(std::span<const Detection> detections, const ImageTruths& truths, int class_id) {
  const size_t c = static_cast<size_t>(class_id);
  std::vector<size_t> order;
  for (size_t i = 0; i < detections.size(); ++i)
    if (c < detections[i].prob.size() && detections[i].prob[c] > 0) order.push_back(i);
  if (order.empty()) return;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return detections[a].prob[c] > detections[b].prob[c]; });
  if (order.size() > kCocoDetections) order.resize(kCocoDetections);
  std::vector<Box> boxes;
  size_t regular = 0;   // truths come first, difficult ones after
  for (const TruthBox& t : truths.boxes)
    if (t.class_id == class_id) boxes.push_back(t.box);
  regular = boxes.size();
  for (const TruthBox& t : truths.difficult)
    if (t.class_id == class_id) boxes.push_back(t.box);
  std::vector<uint16_t> taken(boxes.size(), 0);   // bit per threshold
  std::vector<float> overlap(boxes.size());
  for (const size_t i : order) {
    for (size_t t = 0; t < boxes.size(); ++t) overlap[t] = iou(detections[i].box, boxes[t]);
    CocoClaim claim{detections[i].prob[c], 0, 0};
    for (int k = 0; k < kCocoThresholds; ++k) {
      const uint16_t bit = static_cast<uint16_t>(1u << k);
      const double enough = coco_threshold(k) - 1e-7;   // an overlap rounded to float still meets the threshold it lies on
      const auto take = [&](size_t from, size_t to, uint16_t& mark) {
        size_t best = to;
        for (size_t t = from; t < to; ++t)
          if (!(taken[t] & bit) && static_cast<double>(overlap[t]) >= enough && (best == to || overlap[t] >= overlap[best])) best = t;
        if (best == to) return false;
        taken[best] = static_cast<uint16_t>(taken[best] | bit);
        mark = static_cast<uint16_t>(mark | bit);
        return true;
      };
      if (!take(0, regular, claim.right)) take(regular, boxes.size(), claim.ignored);
    }
    classes_[c].coco.push_back(claim);
  }
}

double average_precision(const std::vector<bool>& right, int64_t truths, std::span<const double> levels) {
  const size_t count = right.size();
  std::vector<double> precision(count), recall(count);
  int64_t hits = 0;
  for (size_t i = 0; i < count; ++i) {
    hits += right[i];
    precision[i] = static_cast<double>(hits) / static_cast<double>(i + 1);
    recall[i] = static_cast<double>(hits) / static_cast<double>(truths);
  }
  for (size_t i = count; i-- > 1;) precision[i - 1] = std::max(precision[i - 1], precision[i]);   // best at this recall or beyond
  double sum = 0;
  if (levels.empty()) {
    for (size_t i = 0; i < count; ++i) sum += (recall[i] - (i ? recall[i - 1] : 0)) * precision[i];
    return sum;
  }
  size_t i = 0;
  for (const double level : levels) {
    while (i < count && recall[i] < level) ++i;
    if (i < count) sum += precision[i];
  }
  return sum / static_cast<double>(levels.size());
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
  const std::vector<double> family = family_levels(options_.points), coco = coco_levels();
  double ap_sum = 0, coco_sum = 0;
  int64_t with_truths = 0;
  for (const PerClass& own : classes_) {
    ClassMetrics row = own.sums;
    if (row.truths > 0) {
      std::vector<bool> right;
      std::unordered_set<int64_t> claimed;
      for (const size_t i : falling(own.claims)) right.push_back(own.claims[i].truth >= 0 && claimed.insert(own.claims[i].truth).second);
      row.ap = average_precision(right, row.truths, family);
      const std::vector<size_t> order = falling(own.coco);
      double sum = 0;
      for (int k = 0; k < kCocoThresholds; ++k) {
        right.clear();
        for (const size_t i : order)
          if (!(own.coco[i].ignored >> k & 1)) right.push_back(own.coco[i].right >> k & 1);
        sum += average_precision(right, row.truths, coco);
      }
      row.ap50_95 = sum / kCocoThresholds;
      ap_sum += *row.ap;
      coco_sum += *row.ap50_95;
      ++with_truths;
    }
    out.total.truths += row.truths;
    out.total.detections += row.detections;
    out.total.true_positives += row.true_positives;
    out.total.false_positives += row.false_positives;
    out.total.iou_sum += row.iou_sum;
    out.classes.push_back(row);
  }
  if (with_truths > 0) {
    out.map = ap_sum / static_cast<double>(classes_.size());
    out.map50_95 = coco_sum / static_cast<double>(with_truths);
  }
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
