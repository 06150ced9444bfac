// [crnn] on the CPU: the convolutions' own kernels, in and out for all frames at once, self for the frames of one step of time.
//   saved[0]  states s_t [T Q, hidden], then what the kernels of in, out and of self at each step keep
// It is written once and stays (Needs::saved_once): a second forward pass finds its statistics there.
#include <algorithm>

#include "device/cpu/device.h"
#include "layers/crnn/crnn.h"
#include "nn/elementwise.h"
#include "nn/norm_history.h"
#include "nn/part_kernel.h"

namespace dn {
namespace {

class CrnnCpu : public Kernel {
 public:
  CrnnCpu(const Crnn& layer, cpu::Device& device, const KernelArgs& args)
      : threads_(device.threads()), args_(args), shortcut_(layer.spec().shortcut), steps_(args.training ? layer.time_steps() : 1) {
    state_ = {layer.state_shape(args.x[0].shape), args.y.block};
    step_ = state_;
    step_.shape.n /= steps_;
    state_before_.resize(step_.count());
    place_.saved = part_aligned(state_.bytes());
    const std::vector<Write> write{Write::overwrite}, add{Write::accumulate}, none{Write::none};
    make(layer, device, Crnn::kIn, args.x[0], state_, args.dx);
    make(layer, device, Crnn::kSelf, step_, step_, args.backward ? add : none);
    make(layer, device, Crnn::kOut, state_, args.y, args.backward ? write : none);
  }

  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    n.kept = state_before_.bytes();
    n.forward_scratch = forward_buffers();
    n.backward_scratch = args_.backward ? backward_buffers() : 0;
    size_t forward = 0, backward = 0;
    for (const PartKernel& c : parts_) {
      forward = std::max(forward, c.needs().forward_scratch);
      backward = std::max(backward, c.needs().backward_scratch);
      n.kept += c.needs().kept;
    }
    n.forward_scratch += forward;
    if (args_.backward) n.backward_scratch += backward;
    if (args_.training) n.saved = {place_.saved}, n.saved_once = 0;
    return n;
  }

  int reorders() const override { return parts_[Crnn::kIn].reorders(); }

  void forward(const Io& io, const Pass& pass) override {
    float* input = reinterpret_cast<float*>(io.scratch);
    float* recurrent = input + part_aligned(state_.bytes()) / sizeof(float);
    float* states = args_.training ? reinterpret_cast<float*>(io.saved[0]) : recurrent + part_aligned(step_.bytes()) / sizeof(float);
    std::byte* scratch = io.scratch + forward_buffers();
    const float* last = state_before_.begin(pass);
    NormState of_in = io.norm ? *io.norm : NormState{}, of_self = of_in;  // all three count the mini-batches as the layer does
    parts_[Crnn::kIn].forward(io, pass, scratch, io.x[0], {state_, input}, 0, &of_in);
    for (int t = 0; t < steps_; last = states + at_step(t++)) {
      parts_[Crnn::kSelf].forward(io, pass, scratch, {step_, const_cast<float*>(last)}, {step_, recurrent}, t, &of_self);
      next_state(input + at_step(t), recurrent, last, states + at_step(t));
    }
    parts_[Crnn::kOut].forward(io, pass, scratch, {state_, states}, io.y, 0, io.norm);
    state_before_.end(threads_, last, pass);
  }

  void backward(const Io& io, const Pass& pass) override {
    float* gradient = reinterpret_cast<float*>(io.scratch);            // of the states
    float* step = gradient + part_aligned(state_.bytes()) / sizeof(float);  // a kernel may destroy the gradient it is given
    float* unused = step + part_aligned(step_.bytes()) / sizeof(float);     // of the state before the first
    float* states = reinterpret_cast<float*>(io.saved[0]);
    std::byte* scratch = io.scratch + backward_buffers();
    parts_[Crnn::kOut].backward(io, pass, scratch, {state_, states}, {state_, gradient}, io.dy, 0);
    zero(threads_, unused, step_.count());
    for (int t = steps_ - 1; t >= 0; --t) {
      copy_to(threads_, step, gradient + at_step(t), step_.count());
      float* earlier = t == 0 ? unused : gradient + at_step(t - 1);
      const Tensor x{step_, t == 0 ? state_before_.before() : states + at_step(t - 1)};
      parts_[Crnn::kSelf].backward(io, pass, scratch, x, {step_, earlier}, {step_, step}, t, steps_ - 1);
      if (shortcut_ && t > 0) add_to(threads_, earlier, gradient + at_step(t), step_.count());
    }
    parts_[Crnn::kIn].backward(io, pass, scratch, io.x[0], io.dx[0], {state_, gradient}, 0);
  }

 private:
  void make(const Crnn& layer, cpu::Device& device, int which, const TensorDesc& x, const TensorDesc& y, const std::vector<Write>& dx) {
    KernelArgs args = args_;
    args.x = {x};
    args.y = y;
    args.dx = dx;
    const bool self = which == Crnn::kSelf;
    parts_[static_cast<size_t>(which)] =
        PartKernel(layer.compile_part(which, device, args), layer.part_params(which, args_.x[0].shape), self ? steps_ : 1, self, place_);
  }

  size_t forward_buffers() const { return part_aligned(state_.bytes()) + part_aligned(step_.bytes()) + (args_.training ? 0 : part_aligned(state_.bytes())); }
  size_t backward_buffers() const { return part_aligned(state_.bytes()) + 2 * part_aligned(step_.bytes()); }
  size_t at_step(int t) const { return static_cast<size_t>(t) * step_.count(); }

  void next_state(const float* input, const float* recurrent, const float* last, float* state) const {
    cpu::parallel_pieces(threads_, step_.count(), kElementwiseGrain, [&](size_t first, size_t end) {
      for (size_t i = first; i < end; ++i) state[i] = input[i] + recurrent[i] + (shortcut_ ? last[i] : 0.f);
    });
  }

  int threads_;
  KernelArgs args_;
  bool shortcut_;
  int steps_;
  TensorDesc state_, step_;  // of all steps; of one
  PartPlace place_;
  std::array<PartKernel, Crnn::kParts> parts_;
  CarriedState state_before_;
};

}  // namespace

std::unique_ptr<Kernel> Crnn::compile_cpu(const Crnn& layer, cpu::Device& device, const KernelArgs& args) {
  check_whole_sequences(layer, args, layer.time_steps());
  return std::make_unique<CrnnCpu>(layer, device, args);
}

}  // namespace dn
