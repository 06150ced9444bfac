// A Kernel is one layer on one device for one shape. It asks for memory (Needs) and is then run as a step of a plan over addresses it is handed
// with every call (Io); it owns nothing but its compiled primitives, and at inference its packed weights. Nothing else reaches a kernel: no globals, no other layer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/host_device.h"
#include "image/truth.h"
#include "nn/param.h"
#include "tensor/tensor.h"

namespace dn {

// How a gradient is delivered. The plan decides: the first writer in time overwrites, later ones accumulate.
enum class Write { none, overwrite, accumulate };

// What the plan knows when it has a kernel built.
struct KernelArgs {
  std::vector<TensorDesc> x;
  TensorDesc y;
  Shape network_input;         // of the whole network; a detection head relates its boxes to it
  bool training = false;       // forward keeps what backward needs; false: inference (batch normalization folded where possible)
  bool backward = false;       // backward will be called
  bool frozen = false;         // parameters get no gradient, normalization uses its running statistics
  std::vector<Write> dx;       // per input
  // A sum of two that the layer of one source finishes (Layer::finishes_sums): that layer adds `residual`, shaped as y, to what it would write; the sum's own
  // kernel finds y made.
  std::optional<TensorDesc> residual;
  bool made = false;
  bool keeps_dy = false;       // dy is another layer's gradient too, whose backward comes later: it must stay as it is
};

struct Needs {
  bool x_in_backward = false;        // every x must survive until backward
  bool y_in_backward = false;        // y must survive until backward
  std::vector<size_t> saved;         // bytes, forward -> backward
  int saved_once = -1;               // the one of them that a second forward pass (Pass::again) finds as the first left it: statistics
  int output_phase = 0;              // forward phases from this one on read `saved` only, not x, without scratch, and write y; the earlier ones do not
  size_t forward_scratch = 0;        // bytes, dead after the call
  size_t backward_scratch = 0;
  size_t kept = 0;                   // bytes of the kernel's own: weights packed once for many calls; only counted
};

// What a detection head says of one mini-batch, darknet's per-head line. Sums over its images.
struct LossReport {
  double cost = 0;            // what the iteration's loss sums up
  double iou_sum = 0;         // over the assignments
  int64_t assigned = 0;       // truth-anchor assignments
  int64_t truths = 0;         // boxes seen
  int64_t rewritten = 0;      // assignments that met an already assigned cell
  double class_loss = 0, iou_loss = 0, total_loss = 0;
  // Of [region] and [detection], for their log line: sums of probabilities over what was assigned, and over all.
  double class_sum = 0, all_classes_sum = 0, objectness_sum = 0, any_objectness_sum = 0;
  int64_t classified = 0;     // cells taught a class
  int64_t predictions = 0;    // boxes predicted
  int64_t recalled = 0;       // assignments that overlap their truth by more than half
  DN_HD LossReport& operator+=(const LossReport& other) {
    cost += other.cost;
    iou_sum += other.iou_sum;
    assigned += other.assigned;
    truths += other.truths;
    rewritten += other.rewritten;
    class_loss += other.class_loss;
    iou_loss += other.iou_loss;
    total_loss += other.total_loss;
    class_sum += other.class_sum;
    all_classes_sum += other.all_classes_sum;
    objectness_sum += other.objectness_sum;
    any_objectness_sum += other.any_objectness_sum;
    classified += other.classified;
    predictions += other.predictions;
    recalled += other.recalled;
    return *this;
  }
};

class LabelRejection;

struct Io {
  std::span<const Tensor> x;
  std::span<const Tensor> dx;              // data is null where Write::none
  Tensor y, dy;                            // backward may destroy dy, but for KernelArgs::keeps_dy; a loss layer has no dy
  Tensor residual;                         // as KernelArgs::residual
  std::span<std::byte* const> saved;       // as asked in Needs, 64-byte aligned
  std::byte* scratch = nullptr;            // 64-byte aligned
  std::span<const ParamView> params;       // in the order of Layer::params
  NormState* norm = nullptr;               // of the layer (ParamStore::norm_state), on the host
  int64_t* norm_updates = nullptr;         // NormState::updates on a device that keeps a copy of the parameters
  LossReport* loss = nullptr;              // for layers with a loss
  LabelRejection* rejection = nullptr;     // of the network, for heads that reject labels; null: every label is learnt
};

namespace comm {
class Group;
}

// The numbers of one call.
struct Pass {
  // A batch whose statistics are met in a forward pass of their own has two over all its mini-batches: gather, without backward, and finish.
  // estimate: forward only, to set the running statistics from this batch (precise_bn).
  enum class Stage { only, gather, finish, estimate };
  bool training = false;
  bool again = false;                      // a second forward pass, in backward: statistics are found, not taken (Needs::saved_once)
  Write param_grads = Write::overwrite;    // overwrite in the first mini-batch of a batch, accumulate afterwards
  int micro_step = 0, micro_steps = 1;     // index of the mini-batch in its batch, and how many there are
  uint64_t iteration = 0;
  uint64_t seed = 0;
  uint64_t first_image = 0;                // index in the batch of image 0 of this mini-batch; random numbers are drawn per image
  double progress = 0;                     // iteration / max_batches
  uint64_t weights_version = 0;            // ParamStore::version
  float loss_scale = 1;                    // on the gradients that heads hand on; the optimizer divides by it (16-bit gradients)
  std::span<const std::vector<TruthBox>> truth;   // per image of the mini-batch; empty at inference
  int phase = 0;                           // 0 .. phases-1
  bool continues = false;                  // the images follow those of the call before (video; a sequence over mini-batches), recurrent layers go on from their state
  Stage stage = Stage::only;
  const comm::Group* group = nullptr;      // the ranks of this run; null: alone
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual Needs needs() const = 0;
  // A schedule may run phase p for every mini-batch of a batch before p+1 (exact full-batch normalization); by default a kernel has one.
  virtual int forward_phases() const { return 1; }
  virtual int backward_phases() const { return 1; }
  virtual void forward(const Io& io, const Pass& pass) = 0;
  // Reads dy, writes dx as KernelArgs::dx says, writes or accumulates parameter gradients as Pass::param_grads says.
  virtual void backward(const Io& io, const Pass& pass) = 0;
  // Activation-sized layout conversions in one forward and backward; the plan sums them up and the intended total is zero.
  virtual int reorders() const { return 0; }

  // Devices beside the host. What a pass brings along is put on the device before its first phase: truths, weights packed anew.
  virtual void prepare(const Io&, const Pass&) {}
  // Whether forward and backward do nothing but put work on the device, the same for every pass but for what prepare() and cuda::PassNumbers bring, so that they can
  // be recorded.
  virtual bool recordable() const { return true; }
  // Of a loss that does not go to Io::loss but stays on a device: what the last forward pass said, and the sum over the backward passes since the last
  // call, added to `sum`.
  virtual bool keeps_losses() const { return false; }
  virtual void fetch_losses(LossReport& /*last*/, LossReport& /*sum*/) {}
};

}  // namespace dn
