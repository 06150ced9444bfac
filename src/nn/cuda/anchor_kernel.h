// Heads of anchors on a GPU: nn/anchor_loss.h with cells and truths side by side. Every cell of an image is scored by its own thread. A truth's place
// (anchor and cell) follows from shapes alone, so all of them are found at first; then the first truth of a place is its leader, and the leader's thread
// teaches the place all of its truths in their order: the order within a cell is the host's, and only there it matters. Sums have one order too.
#pragma once

#include "device/cuda/launch.h"
#include "nn/anchor_head.h"
#include "nn/cuda/head_kernel.h"

namespace dn::cuda {

// A mini-batch on the device.
struct AnchorBatch {
  AnchorCells cells;     // output and delta of image 0, no truths
  size_t per_image = 0;  // values
  HeadTruths truths;
  int images = 0, slots = 0;         // slots: for truths, per image and anchor
  int* places = nullptr;             // [image][anchor of the mask][slot]: cell that the truth is assigned to, -1: none
  AnchorMatch* matches = nullptr;    // [the same]
  unsigned char* touched = nullptr;  // [image][anchor of the mask][cell]: taught a box and classes

  DN_HD AnchorCells image(int n) const {
    AnchorCells own = cells;
    own.output += static_cast<size_t>(n) * per_image;
    own.delta += static_cast<size_t>(n) * per_image;
    own.truths = truths.of(n);
    own.truth_count = truths.count(n);
    return own;
  }
  DN_HD int masks() const { return cells.rules.mask_count; }
  DN_HD size_t row(int n, int a) const { return static_cast<size_t>(n) * static_cast<size_t>(masks()) + static_cast<size_t>(a); }
  DN_HD int* places_of(int n, int a) const { return places + row(n, a) * static_cast<size_t>(slots); }
  DN_HD AnchorMatch* matches_of(int n, int a) const { return matches + row(n, a) * static_cast<size_t>(slots); }
};

// As take_larger over all classes (nn/head_sweeps.h).
DN_HD inline float largest_class_of(const AnchorCells& cells, int a, size_t cell) {
  const float* const p = cells.output + cells.at(a, cells.rules.first_class(), cell);
  float largest = p[0];
  for (int c = 1; c < cells.rules.classes; ++c)
    if (const float other = p[static_cast<size_t>(c) * cells.grid.plane()]; !(largest > other)) largest = other;
  return largest;
}

template <class Teach>
struct ScoreBody {  // a cell of an anchor of an image
  AnchorBatch batch;
  DN_HD void operator()(size_t i) const {
    const size_t plane = batch.cells.grid.plane(), cell = i % plane;
    const int a = static_cast<int>(i / plane % static_cast<size_t>(batch.masks())),
              n = static_cast<int>(i / plane / static_cast<size_t>(batch.masks()));
    const AnchorCells cells = batch.image(n);
    cells.push_down(a, cell);
    bool touched = false;
    if (cells.truth_count > 0) {
      const float best = best_overlap_of(cells.box(a, cell), cells.truths, cells.truth_count);
      float match = best;
      if (match > cells.rules.ignore_thresh && cells.gated() && !(largest_class_of(cells, a, cell) > kConfidentClass)) match = 0;
      if (cells.meets(match, best)) touched = cells.meet(a, cell, match, Teach{});
    }
    batch.touched[i] = touched;
  }
};

template <class Teach>
struct AssignBody {  // a slot of an anchor of an image
  AnchorBatch batch;
  DN_HD void operator()(size_t i) const {
    const size_t row = i / static_cast<size_t>(batch.slots);
    const int t = static_cast<int>(i % static_cast<size_t>(batch.slots));
    const int a = static_cast<int>(row % static_cast<size_t>(batch.masks())), n = static_cast<int>(row / static_cast<size_t>(batch.masks()));
    if (t >= batch.truths.count(n)) return;
    const int* const places = batch.places_of(n, a);
    const int place = places[t];
    if (place < 0) return;
    for (int earlier = 0; earlier < t; ++earlier)
      if (places[earlier] == place) return;  // another leads
    const AnchorCells cells = batch.image(n);
    for (int k = t; k < cells.truth_count; ++k)
      if (places[k] == place) batch.matches_of(n, a)[k] = cells.assign(a, static_cast<size_t>(place), cells.truths[k], Teach{});
    batch.touched[row * cells.grid.plane() + static_cast<size_t>(place)] = 1;
  }
};

// Whether labels are left out of this pass, and which. On the device.
struct RejectionNow {
  bool active = false;
  RejectionBounds bounds;
};

class AnchorKernel : public HeadKernel {
 public:
  AnchorKernel(const AnchorHead& layer, Device& device, const KernelArgs& args);
  Needs needs() const override;
  void prepare(const Io& io, const Pass& pass) override;
  // LabelRejection has what was measured by then.
  void fetch_losses(LossReport& last, LossReport& sum) override;

 protected:
  void put_loss(const Io& io, const PlainView& y, const HeadTruths& truths, float* delta, LossReport* report) const override;
  // Scores all cells, then assigns the truths to their places.
  virtual void teach(Stream& stream, const AnchorBatch& batch) const = 0;

 private:
  struct Scratch {
    size_t places = 0, matches = 0, touched = 0, parts = 0, images = 0, bytes = 0;  // offsets
  };
  Scratch scratch() const;
  void collect_measured();

  const AnchorHead& layer_;
  DeviceLists lists_;
  AnchorView rules_;  // lists on the device
  AnchorGrid grid_;
  int blocks_;                                          // that sum up one image
  std::unique_ptr<DeviceMemory> rejection_, measured_;  // measured_: DeltaSums per image
  LabelRejection* measures_ = nullptr;                  // what is measured in the last pass is for it, null: nothing
  uint64_t measured_first_ = 0;                         // the pass's first image
};

template <class Teach>
class TaughtAnchorKernel : public AnchorKernel {
 public:
  using AnchorKernel::AnchorKernel;

 private:
  void teach(Stream& stream, const AnchorBatch& batch) const override {
    const size_t rows = static_cast<size_t>(batch.images) * static_cast<size_t>(batch.masks());
    for_each(stream, rows * batch.cells.grid.plane(), ScoreBody<Teach>{batch});
    for_each(stream, rows * static_cast<size_t>(batch.slots), AssignBody<Teach>{batch});
  }
};

}  // namespace dn::cuda
