// What recurrent layers are made of: kernels inside a kernel, and a state that goes from one call to the next. A layer made of others ([crnn],
// [conv_lstm]) holds a PartKernel for each; it runs once for all frames, or once per step of time.
#pragma once

#include <memory>

#include "base/aligned.h"
#include "nn/elementwise.h"
#include "nn/kernel.h"
#include "nn/layer.h"

namespace dn {

// Buffers in `saved` and in scratch follow each other in steps of this many bytes.
inline size_t part_aligned(size_t bytes) { return round_up(bytes, size_t{64}); }

// Throws Error when a mini-batch of the training ends within a sequence.
void check_whole_sequences(const Layer& layer, const KernelArgs& args, int time_steps);

// Where the next part's parameters and saved bytes begin in those of the layer.
struct PartPlace {
  size_t param = 0, saved = 0;
};

class PartKernel {
 public:
  PartKernel() = default;
  // `specs`: its parameters; `calls`: in one forward pass. Without `from_zero` all of them are alike; with it the first of several sees a state that is
  // only zeros, and its statistics leave no trace in the running ones. Moves `place` behind itself.
  PartKernel(std::unique_ptr<Kernel> kernel, std::vector<ParamSpec> specs, int calls, bool from_zero, PartPlace& place);

  explicit operator bool() const { return kernel_ != nullptr; }
  const Needs& needs() const { return needs_; }
  int reorders() const { return kernel_->reorders(); }
  // `layer`: what the layer is handed; scratch: the part's own; call: 0 .. calls - 1; norm: counts the updates of its running statistics.
  void forward(const Io& layer, const Pass& pass, std::byte* scratch, const Tensor& x, const Tensor& y, int call, NormState* norm) const;
  // Of the calls of a pass, backward begins with `first`: it delivers the parameters' gradients as the pass says, the others add to them.
  void backward(const Io& layer, const Pass& pass, std::byte* scratch, const Tensor& x, const Tensor& dx, const Tensor& dy, int call,
                int first = 0) const;

 private:
  struct Call {
    std::vector<std::byte*> saved;
    Io io;
  };
  Call call_of(const Io& layer, std::byte* scratch, int call) const;
  void run(Call& call, Pass pass) const;
  void run_without_trace(Call& call, Pass pass) const;

  std::unique_ptr<Kernel> kernel_;
  Needs needs_;
  std::vector<ParamSpec> specs_;
  int calls_ = 1, untraced_ = 0;
  size_t first_param_ = 0, saved_ = 0, saved_bytes_ = 0;  // saved: of the first call; those of the others follow
};

// A state that is zero at the begin of a sequence and else what the call before left (Pass::continues). A pass that is computed again (Pass::again)
// finds it as it was.
class CarriedState {
 public:
  void resize(size_t floats) { begin_.assign(floats, 0.f), end_.assign(floats, 0.f); }
  size_t bytes() const { return (begin_.size() + end_.size()) * sizeof(float); }
  float* begin(const Pass& pass) {
    if (pass.again) return begin_.data();
    if (pass.continues)
      begin_.swap(end_);
    else
      std::fill(begin_.begin(), begin_.end(), 0.f);
    return begin_.data();
  }
  float* before() { return begin_.data(); }  // the state in front of the last call's first step
  void end(int threads, const float* state, const Pass& pass) {
    if (!pass.again) copy_to(threads, end_.data(), state, end_.size());
  }

 private:
  AlignedFloats begin_, end_;
};

}  // namespace dn
