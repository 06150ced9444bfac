// Assignment of truths to cells and the loss of a head of anchors, on plain arrays. What teaches the box is the part that heads differ in.
//
// delta = -d Loss / d output, the sign and the scale of the darknet family:
//   objectness   obj_normalizer (target - p); target 0; nothing where the box overlaps a truth by more than ignore_thresh and, in [yolo], some class is
//                > .25
//   classes      one-hot - p at assigned cells; with counters_per_class the positive one times the multiplier of its class times cls_normalizer
//   box          AnchorLoss::box_delta
// objectness_smooth: where ignore_thresh is passed the overlap is the target. With exact_gradient the target of every assigned cell becomes its box's
// largest overlap with a truth, where the family leaves a cell that does not pass ignore_thresh at target 0 and one above truth_thresh at the square.
// A truth is assigned to the cell of its point and, of all anchors, to the one whose shape is nearest (if this head has it); with iou_thresh < 1
// also to every other anchor of this head whose shape overlaps by more than that.
#pragma once

#include <functional>
#include <span>

#include "image/truth.h"
#include "nn/anchor_rules.h"
#include "nn/kernel.h"
#include "nn/label_rejection.h"

namespace dn {

// The first `max` truths that a head can learn from, with its classes: those of known class (class_of >= 0) and with an extent.
std::vector<TruthBox> known_truths(std::span<const TruthBox> truths, int max, const std::function<int(int)>& class_of);

// The cell (row * columns + column) of a point in 0..1; 1 itself belongs to the last column or row.
size_t cell_of(const AnchorGrid& grid, float x, float y);

// Largest IoU of each of an anchor's boxes with any of the truths. workspace: 4 x grid.plane() floats; best: grid.plane().
void best_overlaps(const AnchorRules& rules, const AnchorGrid& grid, const float* output, int a, std::span<const TruthBox> truths, float* workspace,
                   float* best);

// Overlap of the shape w x h (relative) with one of all anchors, centres aligned.
float anchor_overlap(IouKind kind, const AnchorRules& rules, const AnchorGrid& grid, float w, float h, int anchor);

// The anchor of all whose shape overlaps a truth of w x h (relative) most, centres aligned; the first of equals.
int nearest_anchor(const AnchorRules& rules, const AnchorGrid& grid, float w, float h);

// visit(position in the mask, cell) for each place of this head that a truth is assigned to; the nearest anchor first. Shapes only; the head's output
// has no say.
template <class Visit>
void each_assignment(const AnchorRules& rules, const AnchorGrid& grid, const Box& truth, const Visit& visit) {
  const size_t cell = cell_of(grid, point_x(rules, truth), point_y(rules, truth));
  const int nearest = nearest_anchor(rules, grid, truth.w, truth.h);
  if (const int a = rules.mask_position(nearest); a >= 0) visit(a, cell);
  if (!(rules.iou_thresh < 1)) return;
  for (int n = 0; n < static_cast<int>(rules.anchors.size()); ++n) {
    const int a = rules.mask_position(n);
    if (a < 0 || n == nearest) continue;
    if (anchor_overlap(rules.iou_thresh_kind, rules, grid, truth.w, truth.h, n) > rules.iou_thresh) visit(a, cell);
  }
}

// Weight of the class gradient by the focal loss, gamma 2, alpha .5, when the class has probability p.
float focal_factor(float p);

// Sums over one image.
struct AnchorImageLoss {
  double box_squares = 0, other_squares = 0;   // of the deltas of x, y, w, h; of all others
  double iou_sum = 0;                          // over the assignments
  double dissimilarity_sum = 0;                // 1 - IoU, or 1 - GIoU when that is the loss
  int64_t assigned = 0, truths = 0, rewritten = 0;
};

// Which entries of an image's delta become 0 in the end, and where their sums go; null: none, unmeasured.
struct Rejection {
  LabelRejection::Bounds bounds = {};
  DeltaSums* sums = nullptr;
};

// One image. output, delta: [C,H,W]; delta is overwritten. Truths of unknown classes and without extent are passed over; at most rules.max_truths are
// seen.
class AnchorLoss {
 public:
  AnchorLoss(const AnchorRules& rules, const AnchorGrid& grid, const float* output, std::span<const TruthBox> truths, float* delta);
  virtual ~AnchorLoss() = default;
  AnchorImageLoss run(const Rejection& rejection);

 protected:
  // What one truth adds to the delta of the box entries of a cell, weights included: x, y, w, h, each followed by its uncertainty where there is one.
  // `multiplier` is that of the truth's class.
  virtual void box_delta(int a, size_t cell, const Box& truth, float multiplier, float g[8]) const = 0;

  size_t at(int a, int entry, size_t cell) const { return anchor_plane(rules_, grid_, a, entry) + cell; }
  float value(int a, BoxEntry e, size_t cell) const { return output_[at(a, rules_.entry_of(e), cell)]; }
  const AnchorSize& anchor(int a) const { return rules_.anchors[static_cast<size_t>(rules_.mask[static_cast<size_t>(a)])]; }
  // What x, y, w, h of a cell should be for this box.
  void targets(int a, size_t cell, const Box& truth, float t[4]) const;
  // d similarity / d output for iou, giou, diou, ciou: box.h reference_gradient, with e^w and e^h in w and h; with exact_gradient the derivative with
  // respect to the head's inputs: through the box, anchors, network size, exp (new_coords: the square), scale_x_y and the sigmoid.
  void similarity_gradient(int a, size_t cell, const Box& truth, float g[4]) const;
  // d v / d input of x, y, from v = s sigmoid(input) - (s - 1) / 2.
  float position_slope(float v) const;
  // Within +-max_delta; 0 for what is not finite.
  float bounded(float value) const;

  const AnchorRules& rules_;
  const AnchorGrid& grid_;
  size_t plane_;
  const float* output_;

 private:
  void score_anchor(int a);
  void meet(int a, size_t cell, float match);
  void assign_to(int a, size_t cell, const TruthBox& truth);
  void class_delta(int a, size_t cell, int class_id);
  void add_box_delta(int a, size_t cell, const Box& truth, float multiplier);
  float largest_overlap(const Box& box) const;
  float class_multiplier(int class_id) const;
  void share_box_deltas();
  void sort_touched();
  void add_up();

  float* delta_;
  std::vector<TruthBox> truths_;   // those this head knows, with its class ids
  std::vector<size_t> touched_;    // offsets of the x entry of cells with box deltas
  AnchorImageLoss sums_;
};

// The mini-batch's report, as the family prints it; images are summed in their order.
LossReport anchor_report(const AnchorRules& rules, std::span<const AnchorImageLoss> images);

}  // namespace dn
