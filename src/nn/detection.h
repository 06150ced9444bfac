// What a detection head gives at inference, and non-maximum suppression over it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "image/box.h"
#include "image/truth.h"
#include "nn/kernel.h"
#include "tensor/tensor.h"

namespace dn {

struct Detection {
  Box box;                    // relative to the network input until uncropped by the caller
  float objectness = 0;
  std::vector<float> prob;    // per class, objectness included, 0 at or below the threshold
  // Of heads with an embedding layer: where in the head the box stood, and what that layer says of the object (take_embeddings).
  int anchor = 0;             // position in the head's mask
  size_t cell = 0;            // row * columns + column
  std::vector<float> embedding = {};
  int64_t track = 0;          // number of the object through a video (nn/tracker.h); 0: none
};

// A cell of a head that a truth is assigned to in training by its place and shape.
struct PositiveCell {
  int anchor = 0;             // as in Detection
  size_t cell = 0;
  int class_id = 0;           // the head's
  uint64_t object = 0;        // TruthBox::track_id; 0: unknown
};

// How detections of successive frames become tracks (nn/tracker.h).
struct TrackRules {
  float similarity = .8f;     // least similarity of an object with its track
  float ciou_share = .01f;    // of the boxes' CIoU in the similarity; the rest is the embeddings' cosine
  int history = 5;            // frames an object may have been out of sight
  int frames_to_track = 1;    // sightings before an object gets a number
  int frames_to_show = 1;     // sightings before it is shown
};

enum class NmsKind { standard, greedy, diou };   // nms_kind = default | greedynms | diounms

// What is wanted of an output.
struct DecodeOptions {
  float threshold = .005f;      // of objectness and of class probabilities, which are 0 at or below it
  float hierarchy = .5f;        // class trees: a node is entered while its probability is above this
  std::span<const int> report;  // the classes whose probabilities are wanted, in this order; empty: all of the head's
  size_t count(int classes) const { return report.empty() ? static_cast<size_t>(classes) : report.size(); }
  int class_at(size_t i) const { return report.empty() ? static_cast<int>(i) : report[i]; }
};

// What the loader, the trainer and the evaluator must know of a head.
class Head {
 public:
  virtual ~Head() = default;
  virtual int classes() const = 0;
  // The head's class of each class of the labels; empty: the same.
  virtual std::span<const int> class_map() const { return {}; }
  virtual bool has_class_tree() const { return false; }
  int label_classes() const { return class_map().empty() ? classes() : static_cast<int>(class_map().size()); }
  virtual int max_truths() const = 0;      // boxes per image used in training
  virtual float jitter() const = 0;
  virtual float resize() const = 0;
  virtual float random() const = 0;        // 0 off, 1 = 1.4, else the factor
  virtual NmsKind nms_kind() const = 0;
  virtual float beta_nms() const = 0;
  // Appends the detections of one image of the head's (plain) output with objectness > threshold. `net` is the network's input shape.
  // Detection::anchor and cell tell where each stood.
  virtual void decode(const Tensor& output, int image, const Shape& net, const DecodeOptions& options, std::vector<Detection>& out) const = 0;
  // What the family prints of a mini-batch for heads of this kind, here once for a whole batch; empty: nothing.
  virtual std::string loss_line(const LossReport&) const { return {}; }

  // What a layer that learns from this head's objects ([contrastive]) must know: boxes per cell, and the cells that an image's truths are assigned
  // to, in the order of the truths; a later one of a cell stands for it. Heads without such an assignment have none.
  virtual int anchors_per_cell() const { return 0; }
  virtual std::vector<PositiveCell> positives(std::span<const TruthBox> /*truths*/, const Shape& /*grid*/, const Shape& /*net*/) const { return {}; }
  // The layer whose output describes the objects, anchors_per_cell() runs of channels; -1: none.
  virtual int embedding_layer() const { return -1; }
  virtual const TrackRules* tracking() const { return nullptr; }   // of heads with an embedding layer
};

// Detection::embedding of all, from the output of the head's embedding layer for their image.
void take_embeddings(const Tensor& output, int image, int anchors, std::span<Detection> detections);

// Per class, by falling probability: a lower one that overlaps a kept one by more than `threshold` gets probability 0.
// kind: IoU (standard), the reported DIoU of box.h (greedy), IoU - (d/c)^beta (diou).
void suppress(std::vector<Detection>& detections, int classes, float threshold, NmsKind kind, float beta);

}  // namespace dn
