// [crnn] on the CPU: the convolutions' own kernels, in and out for all frames at once, self for the frames of one step of time.
//   saved[0]  states s_t [T Q, hidden], then what the kernels of in, out and of self at each step keep
// It is written once and stays (Needs::saved_once): a second forward pass finds its statistics there.
#include <algorithm>

#include "base/aligned.h"
#include "device/cpu/device.h"
#include "layers/crnn/crnn.h"
#include "nn/elementwise.h"
#include "nn/norm_history.h"

namespace dn {
namespace {

constexpr size_t kAlignment = 64;

size_t aligned(size_t bytes) { return round_up(bytes, kAlignment); }

// One convolution: its kernel, its parameters among the layer's, its place in the saved memory.
struct Convolution {
  std::unique_ptr<Kernel> kernel;
  Needs needs;
  std::vector<ParamSpec> specs;
  size_t first_param = 0, saved = 0, saved_bytes = 0;  // saved: of its first call; the calls of self follow each other
};

class CrnnCpu : public Kernel {
 public:
  CrnnCpu(const Crnn& layer, cpu::Device& device, const KernelArgs& args)
      : threads_(device.threads()), args_(args), shortcut_(layer.spec().shortcut), steps_(args.training ? layer.time_steps() : 1) {
    state_ = {layer.state_shape(args.x[0].shape), args.y.block};
    step_ = state_;
    step_.shape.n /= steps_;
    initial_.assign(step_.count(), 0.f);
    const std::vector<Write> write{Write::overwrite}, add{Write::accumulate};
    make(layer, device, Crnn::kIn, args.x[0], state_, args.dx);
    make(layer, device, Crnn::kSelf, step_, step_, args.backward ? add : std::vector<Write>{Write::none});
    make(layer, device, Crnn::kOut, state_, args.y, args.backward ? write : std::vector<Write>{Write::none});
  }

  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    n.kept = initial_.size() * sizeof(float);
    n.forward_scratch = forward_buffers();
    n.backward_scratch = args_.backward ? backward_buffers() : 0;
    size_t forward = 0, backward = 0;
    for (const Convolution& c : parts_) {
      forward = std::max(forward, c.needs.forward_scratch);
      backward = std::max(backward, c.needs.backward_scratch);
      n.kept += c.needs.kept;
    }
    n.forward_scratch += forward;
    if (args_.backward) n.backward_scratch += backward;
    if (args_.training) n.saved = {saved_bytes_}, n.saved_once = 0;
    return n;
  }

  int reorders() const override { return parts_[Crnn::kIn].kernel->reorders(); }

  void forward(const Io& io, const Pass& pass) override {
    float* input = reinterpret_cast<float*>(io.scratch);
    float* recurrent = input + aligned(state_.bytes()) / sizeof(float);
    float* states = args_.training ? reinterpret_cast<float*>(io.saved[0]) : recurrent + aligned(step_.bytes()) / sizeof(float);
    if (!args_.training && !pass.continues) std::ranges::fill(initial_, 0.f);
    NormState of_in = io.norm ? *io.norm : NormState{}, of_self = of_in;  // all three count the mini-batches as the layer does
    run(parts_[Crnn::kIn], io, pass, io.x[0], {state_, input}, 0, &of_in);
    for (int t = 0; t < steps_; ++t) {
      const float* last = t == 0 ? initial_.data() : states + at_step(t - 1);
      const Tensor x{step_, const_cast<float*>(last)};
      if (t == 0 && steps_ > 1)
        run_without_trace(io, pass, x, {step_, recurrent}, of_self);
      else
        run(parts_[Crnn::kSelf], io, pass, x, {step_, recurrent}, t, &of_self);
      next_state(input + at_step(t), recurrent, last, states + at_step(t));
    }
    run(parts_[Crnn::kOut], io, pass, {state_, states}, io.y, 0, io.norm);
    if (!args_.training) copy_to(threads_, initial_.data(), states, step_.count());
  }

  void backward(const Io& io, const Pass& pass) override {
    float* gradient = reinterpret_cast<float*>(io.scratch);            // of the states
    float* step = gradient + aligned(state_.bytes()) / sizeof(float);  // a kernel may destroy the gradient it is given
    float* unused = step + aligned(step_.bytes()) / sizeof(float);     // of the state before the first
    float* states = reinterpret_cast<float*>(io.saved[0]);
    back(parts_[Crnn::kOut], io, pass, {state_, states}, {state_, gradient}, io.y, io.dy, 0);
    zero(threads_, unused, step_.count());
    for (int t = steps_ - 1; t >= 0; --t) {
      Pass now = pass;
      if (t < steps_ - 1) now.param_grads = Write::accumulate;
      copy_to(threads_, step, gradient + at_step(t), step_.count());
      float* earlier = t == 0 ? unused : gradient + at_step(t - 1);
      const Tensor x{step_, t == 0 ? initial_.data() : states + at_step(t - 1)};
      back(parts_[Crnn::kSelf], io, now, x, {step_, earlier}, {step_, nullptr}, {step_, step}, t);
      if (shortcut_ && t > 0) add_to(threads_, earlier, gradient + at_step(t), step_.count());
    }
    back(parts_[Crnn::kIn], io, pass, io.x[0], io.dx[0], {state_, nullptr}, {state_, gradient}, 0);
  }

 private:
  // Adds a convolution's kernel; in the saved memory the states come first.
  void make(const Crnn& layer, cpu::Device& device, int which, const TensorDesc& x, const TensorDesc& y, const std::vector<Write>& dx) {
    Convolution& c = parts_[static_cast<size_t>(which)];
    KernelArgs args = args_;
    args.x = {x};
    args.y = y;
    args.dx = dx;
    c.kernel = layer.compile_part(which, device, args);
    c.needs = c.kernel->needs();
    ensure(!c.needs.y_in_backward, "the outputs inside a crnn are not kept");
    c.specs = layer.part_params(which, args_.x[0].shape);
    if (which == Crnn::kIn)
      saved_bytes_ = aligned(state_.bytes());
    else
      c.first_param = parts_[static_cast<size_t>(which) - 1].first_param + parts_[static_cast<size_t>(which) - 1].specs.size();
    for (const size_t bytes : c.needs.saved) c.saved_bytes += aligned(bytes);
    c.saved = saved_bytes_;
    saved_bytes_ += c.saved_bytes * static_cast<size_t>(which == Crnn::kSelf ? steps_ : 1);
  }

  size_t forward_buffers() const { return aligned(state_.bytes()) + aligned(step_.bytes()) + (args_.training ? 0 : aligned(state_.bytes())); }
  size_t backward_buffers() const { return aligned(state_.bytes()) + 2 * aligned(step_.bytes()); }
  size_t at_step(int t) const { return static_cast<size_t>(t) * step_.count(); }

  void next_state(const float* input, const float* recurrent, const float* last, float* state) const {
    cpu::parallel_pieces(threads_, step_.count(), kElementwiseGrain, [&](size_t first, size_t end) {
      for (size_t i = first; i < end; ++i) state[i] = input[i] + recurrent[i] + (shortcut_ ? last[i] : 0.f);
    });
  }

  // What a convolution's kernel is handed at step t.
  struct Call {
    std::vector<std::byte*> saved;
    Io io;
  };
  Call call(const Convolution& c, const Io& io, int t, size_t buffers) const {
    Call out;
    std::byte* at = args_.training ? io.saved[0] + c.saved + static_cast<size_t>(t) * c.saved_bytes : nullptr;
    for (const size_t bytes : c.needs.saved) {
      out.saved.push_back(at);
      at += aligned(bytes);
    }
    out.io.saved = out.saved;
    out.io.scratch = io.scratch + buffers;
    out.io.params = io.params.subspan(c.first_param, c.specs.size());
    return out;
  }

  void run(const Convolution& c, const Io& io, Pass pass, const Tensor& x, const Tensor& y, int t, NormState* norm) const {
    Call now = call(c, io, t, forward_buffers());
    now.io.x = {&x, 1};
    now.io.y = y;
    now.io.norm = norm;
    for (pass.phase = 0; pass.phase < c.kernel->forward_phases(); ++pass.phase) c.kernel->forward(now.io, pass);
  }

  // Self at the first of several steps: its running statistics and their count move in copies.
  void run_without_trace(const Io& io, const Pass& pass, const Tensor& x, const Tensor& y, const NormState& norm) const {
    const Convolution& c = parts_[Crnn::kSelf];
    std::vector<ParamView> params(io.params.begin(), io.params.end());
    std::vector<std::vector<float>> copies;
    for (size_t i = 0; i < c.specs.size(); ++i) {
      if (c.specs[i].role != ParamRole::running_mean && c.specs[i].role != ParamRole::running_variance) continue;
      std::span<float>& value = params[c.first_param + i].value;
      value = copies.emplace_back(value.begin(), value.end());
    }
    Io hidden = io;
    hidden.params = params;
    NormState count = norm;
    run(c, hidden, pass, x, y, 0, &count);
  }

  void back(const Convolution& c, const Io& io, Pass pass, const Tensor& x, const Tensor& dx, const Tensor& y, const Tensor& dy, int t) const {
    Call now = call(c, io, t, backward_buffers());
    now.io.x = {&x, 1};
    now.io.dx = {&dx, 1};
    now.io.y = y;
    now.io.dy = dy;
    for (pass.phase = 0; pass.phase < c.kernel->backward_phases(); ++pass.phase) c.kernel->backward(now.io, pass);
  }

  int threads_;
  KernelArgs args_;
  bool shortcut_;
  int steps_;
  TensorDesc state_, step_;  // of all steps; of one
  std::array<Convolution, Crnn::kParts> parts_;
  size_t saved_bytes_ = 0;
  AlignedFloats initial_;  // s_{-1}: zero in training; at inference the state that the last call left
};

}  // namespace

std::unique_ptr<Kernel> Crnn::compile_cpu(const Crnn& layer, cpu::Device& device, const KernelArgs& args) {
  if (args.training && args.x[0].shape.n % layer.time_steps() != 0)
    fail(layer.section().where(), ": a mini-batch of ", args.x[0].shape.n,
         " images does not hold whole sequences; expected a multiple of time_steps = ", layer.time_steps());
  return std::make_unique<CrnnCpu>(layer, device, args);
}

}  // namespace dn
