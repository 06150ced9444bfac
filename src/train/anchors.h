// Anchor sizes for a data set: k-means over the sizes of its boxes, scaled to the network input. The distance is 1 - IoU of centred boxes, a centre
// the mean of its members (Redmon and Farhadi, "YOLO9000", 2017); an empty cluster keeps its centre. Seeding is k-means++ (Arthur and Vassilvitskii
// 2007) from a named random stream, several times over; the best mean IoU wins. The same labels give the same anchors with any number of threads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "image/truth.h"

namespace dn {

struct AnchorOptions {
  int clusters = 5;
  int width = 0, height = 0;      // network input; up to 32 they are cells of a YOLOv2 grid and sizes are written with decimals
  int classes = 0;                // for the counters; 0: as many as the labels name
  uint64_t seed = 0;
  int restarts = 8;
  int max_iterations = 1000;      // of one start
  int threads = 1;
};

struct Anchor {
  float w = 0, h = 0;             // pixels of the network input
  int64_t boxes = 0;              // nearest to this anchor
};

struct AnchorResult {
  std::vector<Anchor> anchors;    // by rising area
  double mean_iou = 0;            // of the boxes with their nearest anchors
  double best_possible_recall = 0;   // share of boxes whose nearest anchor overlaps by more than .5: what an IoU-.5 match could reach by shape alone
  int64_t boxes = 0, skipped = 0; // used; without size, not finite, or larger than the picture
  std::vector<int64_t> counters_per_class;
  int iterations = 0;             // of the winning start
};

// `labels`: boxes relative to the network input, of all images. Throws Error when there are fewer different sizes than clusters.
AnchorResult find_anchors(std::span<const TruthBox> labels, const AnchorOptions& options);

// Contents of anchors.txt ("anchors = " takes it as it is) and of counters_per_class.txt.
std::string anchors_text(const AnchorResult& result, const AnchorOptions& options);
std::string counters_text(const AnchorResult& result);

}  // namespace dn
