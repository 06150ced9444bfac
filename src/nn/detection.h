// What a detection head gives at inference, and non-maximum suppression over it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "image/box.h"
#include "tensor/tensor.h"

namespace dn {

struct Detection {
  Box box;                    // relative to the network input until uncropped by the caller
  float objectness = 0;
  std::vector<float> prob;    // per class, objectness included, 0 at or below the threshold
};

enum class NmsKind { standard, greedy, diou };   // nms_kind = default | greedynms | diounms

// What the loader, the trainer and the evaluator must know of a head.
class Head {
 public:
  virtual ~Head() = default;
  virtual int classes() const = 0;
  virtual int max_truths() const = 0;      // boxes per image used in training
  virtual float jitter() const = 0;
  virtual float resize() const = 0;
  virtual float random() const = 0;        // 0 off, 1 = 1.4, else the factor
  virtual NmsKind nms_kind() const = 0;
  virtual float beta_nms() const = 0;
  // Appends the detections of one image of the head's (plain) output with objectness > threshold. `net` is the network's input shape.
  virtual void decode(const Tensor& output, int image, const Shape& net, float threshold, std::vector<Detection>& out) const = 0;
};

// Per class, by falling probability: a lower one that overlaps a kept one by more than `threshold` gets probability 0.
// kind: IoU (standard), the reported DIoU of box.h (greedy), IoU - (d/c)^beta (diou).
void suppress(std::vector<Detection>& detections, int classes, float threshold, NmsKind kind, float beta);

}  // namespace dn
