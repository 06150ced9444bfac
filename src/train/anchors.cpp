#include "train/anchors.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/rng.h"
#include "device/cpu/parallel.h"

namespace dn {
namespace {

struct Size {
  float w, h;
  bool operator==(const Size&) const = default;
  auto operator<=>(const Size&) const = default;
};

constexpr size_t kGrain = 4096;   // boxes per piece of work; sums are merged in the order of the pieces

float centred_iou(const Size& a, const Size& b) {
  const float shared = std::min(a.w, b.w) * std::min(a.h, b.h);
  return shared / (a.w * a.h + b.w * b.h - shared);
}

struct Nearest {
  int centre;
  float overlap;
};

Nearest nearest_centre(const Size& box, const std::vector<Size>& centres) {
  Nearest best{0, -1};
  for (size_t k = 0; k < centres.size(); ++k)
    if (const float overlap = centred_iou(box, centres[k]); overlap > best.overlap) best = {static_cast<int>(k), overlap};
  return best;
}

struct Clusters {
  std::vector<Size> centres;
  std::vector<int64_t> members;
  double mean_iou = 0, recall = 0;
  int iterations = 0;
};

class KMeans {
 public:
  KMeans(const std::vector<Size>& boxes, const AnchorOptions& options) : boxes_(boxes), options_(options), assigned_(boxes.size(), -1) {}

  Clusters run(uint64_t start) {
    std::fill(assigned_.begin(), assigned_.end(), -1);
    Clusters now;
    now.centres = seed_centres(start);
    while (now.iterations < options_.max_iterations) {
      ++now.iterations;
      if (!assign(now)) break;
      move_centres(now);
    }
    assign(now);   // what is reported belongs to the final centres
    return now;
  }

 private:
  struct Piece {
    std::vector<double> w, h;
    std::vector<int64_t> count;
    double overlap = 0;
    int64_t matched = 0, changed = 0;
  };

  // A box drawn at random, then each next one with probability proportional to its distance from the nearest so far.
  std::vector<Size> seed_centres(uint64_t start) const {
    Rng rng(options_.seed, RandomUse::anchors, start);
    std::vector<Size> centres{boxes_[rng.below(static_cast<uint32_t>(boxes_.size()))]};
    std::vector<float> distance(boxes_.size(), 1);
    while (centres.size() < static_cast<size_t>(options_.clusters)) {
      double total = 0;
      for (size_t i = 0; i < boxes_.size(); ++i) {
        const float away = boxes_[i] == centres.back() ? 0 : std::max(1e-6f, 1 - centred_iou(boxes_[i], centres.back()));
        distance[i] = std::min(distance[i], away);
        total += distance[i];
      }
      double left = rng.uniform() * total;
      size_t chosen = boxes_.size();
      for (size_t i = 0; i < boxes_.size(); ++i) {
        if (distance[i] <= 0) continue;
        chosen = i;
        left -= distance[i];
        if (left < 0) break;
      }
      ensure(chosen < boxes_.size(), "as many different sizes as clusters");
      centres.push_back(boxes_[chosen]);
    }
    return centres;
  }

  // Whether any box changed its centre.
  bool assign(Clusters& now) {
    const size_t clusters = now.centres.size();
    const std::vector<double> none(clusters);
    pieces_.assign((boxes_.size() + kGrain - 1) / kGrain, Piece{none, none, std::vector<int64_t>(clusters)});
    cpu::parallel_pieces(options_.threads, boxes_.size(), kGrain, [&](size_t first, size_t last) {
      Piece& piece = pieces_[first / kGrain];
      for (size_t i = first; i < last; ++i) {
        const Nearest nearest = nearest_centre(boxes_[i], now.centres);
        const size_t k = static_cast<size_t>(nearest.centre);
        piece.changed += assigned_[i] != nearest.centre;
        assigned_[i] = nearest.centre;
        piece.w[k] += boxes_[i].w;
        piece.h[k] += boxes_[i].h;
        ++piece.count[k];
        piece.overlap += nearest.overlap;
        piece.matched += nearest.overlap > .5f;
      }
    });
    int64_t changed = 0, matched = 0;
    now.members.assign(clusters, 0);
    now.mean_iou = 0;
    for (const Piece& piece : pieces_) {
      changed += piece.changed;
      matched += piece.matched;
      now.mean_iou += piece.overlap;
      for (size_t k = 0; k < clusters; ++k) now.members[k] += piece.count[k];
    }
    now.mean_iou /= static_cast<double>(boxes_.size());
    now.recall = static_cast<double>(matched) / static_cast<double>(boxes_.size());
    return changed > 0;
  }

  void move_centres(Clusters& now) const {
    for (size_t k = 0; k < now.centres.size(); ++k) {
      if (now.members[k] == 0) continue;
      double w = 0, h = 0;
      for (const Piece& piece : pieces_) w += piece.w[k], h += piece.h[k];
      const double count = static_cast<double>(now.members[k]);
      now.centres[k] = {static_cast<float>(w / count), static_cast<float>(h / count)};
    }
  }

  const std::vector<Size>& boxes_;
  const AnchorOptions& options_;
  std::vector<int> assigned_;
  std::vector<Piece> pieces_;
};

std::string padded(double value, int digits, size_t width) {
  std::string text = fixed(value, digits);
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

bool has_size(const Box& box) { return box.w > 0 && box.h > 0 && box.w <= 1 && box.h <= 1; }

void check(const AnchorOptions& options) {
  if (options.clusters < 1 || options.clusters > 1000) fail("-num_of_clusters ", options.clusters, ": expected 1..1000");
  if (options.width < 1 || options.height < 1)
    fail("-width ", options.width, " -height ", options.height, ": expected the size of the network input, both at least 1");
  ensure(options.restarts > 0 && options.max_iterations > 0, "at least one start and one iteration");
}

}  // namespace

AnchorResult find_anchors(std::span<const TruthBox> labels, const AnchorOptions& options) {
  check(options);
  AnchorResult result;
  result.counters_per_class.resize(static_cast<size_t>(std::max(0, options.classes)));
  std::vector<Size> boxes;
  for (const TruthBox& label : labels) {
    if (!has_size(label.box)) {
      ++result.skipped;
      continue;
    }
    boxes.push_back({label.box.w * static_cast<float>(options.width), label.box.h * static_cast<float>(options.height)});
    if (label.class_id < 0) continue;
    const size_t c = static_cast<size_t>(label.class_id);
    if (options.classes <= 0 && c < 65536 && c >= result.counters_per_class.size()) result.counters_per_class.resize(c + 1);
    if (c < result.counters_per_class.size()) ++result.counters_per_class[c];
  }
  if (boxes.size() > UINT32_MAX) fail("anchors: ", boxes.size(), " boxes; expected fewer than 2^32");
  std::vector<Size> different = boxes;
  std::sort(different.begin(), different.end());
  different.erase(std::unique(different.begin(), different.end()), different.end());
  if (different.size() < static_cast<size_t>(options.clusters))
    fail("-num_of_clusters ", options.clusters, ": the labels hold ", different.size(), " different box sizes; expected at least as many");

  KMeans means(boxes, options);
  Clusters best;
  for (int start = 0; start < options.restarts; ++start) {
    Clusters now = means.run(static_cast<uint64_t>(start));
    if (start == 0 || now.mean_iou > best.mean_iou) best = std::move(now);
  }
  for (size_t k = 0; k < best.centres.size(); ++k) result.anchors.push_back({best.centres[k].w, best.centres[k].h, best.members[k]});
  const auto smaller = [](const Anchor& a, const Anchor& b) { return a.w * a.h < b.w * b.h; };
  std::stable_sort(result.anchors.begin(), result.anchors.end(), smaller);
  result.boxes = static_cast<int64_t>(boxes.size());
  result.mean_iou = best.mean_iou;
  result.best_possible_recall = best.recall;
  result.iterations = best.iterations;
  return result;
}

std::string anchors_text(const AnchorResult& result, const AnchorOptions& options) {
  const bool cells = options.width <= 32;
  std::string text;
  for (const Anchor& anchor : result.anchors) {
    if (!text.empty()) text += ", ";
    text += cells ? concat(fixed(anchor.w, 4), ",", fixed(anchor.h, 4)) : concat(padded(anchor.w, 0, 3), ",", padded(anchor.h, 0, 3));
  }
  return text + "\n";
}

std::string counters_text(const AnchorResult& result) {
  std::string text;
  for (const int64_t count : result.counters_per_class) text += concat(text.empty() ? "" : ", ", count);
  return text + "\n";
}

}  // namespace dn
