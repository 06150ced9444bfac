#include "train/coco_metrics.h"

#include <algorithm>

#include "base/error.h"
#include "train/average_precision.h"

namespace dn {
namespace {

constexpr double kRounding = 1e-7;  // of an overlap that lies on a threshold but for float

struct AreaRange {
  double low, high;
  bool holds(double area) const { return area >= low && area <= high; }
};
constexpr AreaRange kRanges[kCocoAreas] = {{-1e300, 1e300}, {0, 32 * 32}, {32 * 32, 96 * 96}, {96 * 96, 1e10}};

constexpr double threshold(int k) { return .5 + .05 * k; }

std::vector<double> recall_levels() {
  std::vector<double> levels;
  for (int i = 0; i <= 100; ++i) levels.push_back(i * .01);
  return levels;
}

double overlap(const CocoBox& found, const CocoTruth& truth) {
  const CocoBox& t = truth.box;
  const double w = std::min(found.left + found.width, t.left + t.width) - std::max(found.left, t.left);
  const double h = std::min(found.top + found.height, t.top + t.height) - std::max(found.top, t.top);
  if (w <= 0 || h <= 0) return 0;
  const double shared = w * h, whole = truth.crowd ? found.area() : found.area() + t.area() - shared;
  return whole > 0 ? shared / whole : 0;
}

struct Candidate {  // a truth that a detection overlaps by no less than the lowest threshold
  size_t truth;
  double overlap;
};

std::vector<Candidate> candidates(const CocoBox& found, const std::vector<CocoTruth>& truths) {
  std::vector<Candidate> near;
  for (size_t i = 0; i < truths.size(); ++i)
    if (const double o = overlap(found, truths[i]); o >= threshold(0) - kRounding) near.push_back({i, o});
  return near;
}

// The mean of what is defined.
class Mean {
 public:
  void add(const std::optional<double>& value) {
    if (value) sum_ += *value, ++count_;
  }
  std::optional<double> value() const { return count_ > 0 ? std::optional(sum_ / static_cast<double>(count_)) : std::nullopt; }

 private:
  double sum_ = 0;
  int64_t count_ = 0;
};

constexpr std::string_view kNames[kCocoNumbers] = {"AP",  "AP50", "AP75",  "AP small", "AP medium", "AP large",
                                                   "AR1", "AR10", "AR100", "AR small", "AR medium", "AR large"};

}  // namespace

std::string_view coco_name(int number) { return kNames[number]; }

CocoBox coco_box(const Box& box, int width, int height) {
  const double w = width > 0 ? width : 1, h = height > 0 ? height : 1;
  const double bw = static_cast<double>(box.w), bh = static_cast<double>(box.h);
  return {(static_cast<double>(box.x) - bw / 2) * w, (static_cast<double>(box.y) - bh / 2) * h, bw * w, bh * h};
}

CocoMetrics::CocoMetrics(int classes) {
  ensure(classes > 0, "metrics of no classes");
  classes_.resize(static_cast<size_t>(classes));
  buckets_.resize(static_cast<size_t>(classes));
}

void CocoMetrics::add(std::span<const CocoDetection> detections, std::span<const CocoTruth> truths) {
  std::vector<size_t> present;  // classes with anything in this image
  const auto bucket = [&](int class_id) -> Bucket* {
    if (class_id < 0 || static_cast<size_t>(class_id) >= classes_.size()) return nullptr;
    Bucket& own = buckets_[static_cast<size_t>(class_id)];
    if (own.detections.empty() && own.truths.empty()) present.push_back(static_cast<size_t>(class_id));
    return &own;
  };
  for (const CocoTruth& t : truths)
    if (Bucket* own = bucket(t.class_id)) own->truths.push_back(t);
  for (const CocoDetection& d : detections)
    if (Bucket* own = bucket(d.class_id)) own->detections.push_back(d);
  for (const size_t c : present) {
    judge(buckets_[c], classes_[c]);
    buckets_[c].detections.clear();
    buckets_[c].truths.clear();
  }
}

void CocoMetrics::add(std::span<const Detection> detections, std::span<const TruthBox> truths, std::span<const TruthBox> difficult, int width,
                      int height) {
  std::vector<CocoDetection> found;
  for (const Detection& d : detections)
    for (size_t c = 0; c < std::min(d.prob.size(), classes_.size()); ++c)
      if (d.prob[c] > 0) found.push_back({coco_box(d.box, width, height), static_cast<int>(c), d.prob[c]});
  std::vector<CocoTruth> labels;
  const auto add_truths = [&](std::span<const TruthBox> boxes, bool crowd) {
    for (const TruthBox& t : boxes) {
      const CocoBox box = coco_box(t.box, width, height);
      labels.push_back({box, t.class_id, width > 0 ? box.area() : kUnknownArea, crowd});
    }
  };
  add_truths(truths, false);
  add_truths(difficult, true);
  add(found, labels);
}

void CocoMetrics::judge(Bucket& bucket, PerClass& own) const {
  std::vector<CocoDetection>& found = bucket.detections;
  const std::vector<CocoTruth>& truths = bucket.truths;
  std::stable_sort(found.begin(), found.end(), [](const CocoDetection& a, const CocoDetection& b) { return a.score > b.score; });
  if (found.size() > kCocoDetections) found.resize(kCocoDetections);
  const size_t first = own.claims.size();
  std::vector<std::vector<Candidate>> near;
  for (size_t d = 0; d < found.size(); ++d) {
    own.claims.push_back({found[d].score, static_cast<uint8_t>(d), {}, {}});
    near.push_back(candidates(found[d].box, truths));
  }
  std::vector<uint16_t> taken;  // of each truth, a bit per threshold
  for (size_t a = 0; a < kCocoAreas; ++a) {
    const auto counts = [&](const CocoTruth& t) { return !t.crowd && kRanges[a].holds(t.area); };
    own.truths[a] += std::count_if(truths.begin(), truths.end(), counts);
    taken.assign(truths.size(), 0);
    for (size_t d = 0; d < found.size(); ++d) {
      Claim& claim = own.claims[first + d];
      const bool inside = kRanges[a].holds(found[d].box.area());
      for (int k = 0; k < kCocoThresholds; ++k) {
        const uint16_t bit = static_cast<uint16_t>(1u << k);
        const Candidate* best = nullptr;
        bool best_counts = false;
        for (const Candidate& c : near[d]) {
          const CocoTruth& t = truths[c.truth];
          const bool regular = counts(t);
          if (c.overlap < threshold(k) - kRounding || ((taken[c.truth] & bit) && !t.crowd) || (best && best_counts && !regular)) continue;
          if (!best || (regular && !best_counts) || c.overlap >= best->overlap) best = &c, best_counts = regular;
        }
        if (best) taken[best->truth] = static_cast<uint16_t>(taken[best->truth] | bit);
        if (best_counts)
          claim.right[a] = static_cast<uint16_t>(claim.right[a] | bit);
        else if (best || !inside)
          claim.ignored[a] = static_cast<uint16_t>(claim.ignored[a] | bit);
      }
    }
  }
}

CocoReport CocoMetrics::result() const {
  CocoReport report;
  const std::vector<double> levels = recall_levels();
  std::array<Mean, kCocoNumbers> means;
  for (const PerClass& own : classes_) {
    CocoReport::Class row;
    row.truths = own.truths[0];
    std::vector<const Claim*> order;
    for (const Claim& claim : own.claims) order.push_back(&claim);
    std::stable_sort(order.begin(), order.end(), [](const Claim* a, const Claim* b) { return a->score > b->score; });
    // Precision by falling probability, and the recall of the `most` most probable of each image.
    const auto precision = [&](size_t a, int k) {
      std::vector<bool> right;
      for (const Claim* claim : order)
        if (!(claim->ignored[a] >> k & 1)) right.push_back(claim->right[a] >> k & 1);
      return average_precision(right, own.truths[a], levels);
    };
    const auto recall = [&](size_t a, int k, int most) {
      const auto hit = [&](const Claim& claim) { return claim.rank < most && (claim.right[a] >> k & 1); };
      return static_cast<double>(std::count_if(own.claims.begin(), own.claims.end(), hit)) / static_cast<double>(own.truths[a]);
    };
    for (size_t a = 0; a < kCocoAreas; ++a) {
      if (own.truths[a] == 0) continue;
      Mean ap, ar100;
      for (int k = 0; k < kCocoThresholds; ++k) {
        const double p = precision(a, k), r = recall(a, k, kCocoDetections);
        ap.add(p);
        ar100.add(r);
        if (a == 0 && k == 0) row.ap50 = p;
        if (a == 0 && k == 5) row.ap75 = p;
        means[a == 0 ? size_t{kAp} : kApSmall + a - 1].add(p);
        means[a == 0 ? size_t{kAr100} : kArSmall + a - 1].add(r);
        if (a > 0) continue;
        means[kAr1].add(recall(a, k, 1));
        means[kAr10].add(recall(a, k, 10));
      }
      if (a == 0) row.ap = ap.value(), row.ar100 = ar100.value();
    }
    means[kAp50].add(row.ap50);
    means[kAp75].add(row.ap75);
    report.classes.push_back(row);
  }
  for (size_t i = 0; i < kCocoNumbers; ++i) report.numbers[i] = means[i].value();
  return report;
}

}  // namespace dn
