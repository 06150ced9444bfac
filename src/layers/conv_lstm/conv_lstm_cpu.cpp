// [conv_lstm] on the CPU: the convolutions' own kernels and sweeps over their sums. U runs for all frames at once (with bottleneck at each step), W and V
// run at each step.
//   saved[0]  z of f, i, g, o and c, each [T Q, output]; with bottleneck [h', x], W_f [h', x] and b; then what the kernels keep
// It is written once and stays (Needs::saved_once): a second forward pass finds its statistics there. h is y. At inference this lies in scratch.
#include <algorithm>
#include <cmath>

#include "device/cpu/device.h"
#include "layers/conv_lstm/conv_lstm.h"
#include "nn/channels.h"
#include "nn/normalize.h"
#include "nn/part_kernel.h"

namespace dn {
namespace {

// f, i and o are logistic.
float gate(float z) { return activate(Activation::logistic, z); }
float gate_slope(float s) { return s * (1 - s); }

class ConvLstmCpu : public Kernel {
 public:
  ConvLstmCpu(const ConvLstm& layer, cpu::Device& device, const KernelArgs& args)
      : threads_(device.threads()),
        args_(args),
        spec_(layer.spec()),
        activation_(layer.activation()),
        steps_(args.training ? layer.time_steps() : 1),
        all_(args.y.dense()),
        step_(all_),
        joined_(all_) {
    step_.shape.n /= steps_;
    joined_.shape.n /= steps_;
    joined_.shape.c += args.x[0].shape.c;
    h_before_.resize(step_.count());
    c_before_.resize(step_.count());
    place_.saved = kept_bytes();
    for (int which = 0; which < ConvLstm::kParts; ++which)
      if (layer.has(which)) make(layer, device, which);
  }

  Needs needs() const override {
    Needs n;
    n.x_in_backward = n.y_in_backward = args_.backward;
    n.kept = h_before_.bytes() + c_before_.bytes();
    size_t forward = 0, backward = 0;
    for (const PartKernel& part : parts_) {
      if (!part) continue;
      forward = std::max(forward, part.needs().forward_scratch);
      backward = std::max(backward, part.needs().backward_scratch);
      n.kept += part.needs().kept;
    }
    n.forward_scratch = step_bytes() + (args_.training ? 0 : kept_bytes()) + forward;
    if (args_.backward) n.backward_scratch = backward_bytes() + backward;
    if (args_.training) n.saved = {place_.saved}, n.saved_once = 0;
    return n;
  }

  int reorders() const override {
    int count = 0;
    for (int u = ConvLstm::kUf; u <= ConvLstm::kUo; ++u) count += parts_[static_cast<size_t>(u)].reorders();
    return count;
  }

  void forward(const Io& io, const Pass& pass) override {
    const Kept kept = kept_in(args_.training ? io.saved[0] : io.scratch + step_bytes());
    float* sum = reinterpret_cast<float*>(io.scratch);
    std::byte* scratch = io.scratch + step_bytes() + (args_.training ? 0 : kept_bytes());
    std::array<NormState, ConvLstm::kParts> counts;  // all parts count as the layer does; the last one's count stays
    for (NormState& count : counts) count = io.norm ? *io.norm : NormState{};
    const auto run = [&](int which, const Tensor& x, const Tensor& y, int call) {
      NormState* norm = which == ConvLstm::kUo ? io.norm : &counts[static_cast<size_t>(which)];
      parts_[static_cast<size_t>(which)].forward(io, pass, scratch, x, y, call, norm);
    };
    const auto add = [&](int which, const float* x, float* z, int t) {
      run(which, {step_, const_cast<float*>(x)}, {step_, sum}, t);
      add_to(threads_, z, sum, step_.count());
    };
    const float *h = h_before_.begin(pass), *c = c_before_.begin(pass);
    for (int k = 0; k < ConvLstm::kGates && !spec_.bottleneck; ++k) run(ConvLstm::kUf + k, io.x[0], {all_, kept.z[static_cast<size_t>(k)]}, 0);
    for (int t = 0; t < steps_; ++t) {
      float* z[ConvLstm::kGates];
      for (size_t k = 0; k < ConvLstm::kGates; ++k) z[k] = kept.z[k] + at_step(t);
      if (spec_.bottleneck) {
        join(h, io.x[0], t, kept);
        run(ConvLstm::kWf, {joined_, kept.joined + joined_at(t)}, {step_, kept.narrow + at_step(t)}, t);
        activate_narrow(kept, t);
        for (int k = 0; k < ConvLstm::kGates; ++k) run(ConvLstm::kUf + k, {step_, kept.b + at_step(t)}, {step_, z[k]}, t);
      } else {
        for (int k = 0; k < ConvLstm::kGates; ++k) add(ConvLstm::kWf + k, h, z[k], t);
      }
      if (spec_.peephole) add(ConvLstm::kVf, c, z[ConvLstm::kF], t), add(ConvLstm::kVi, c, z[ConvLstm::kI], t);
      next_cell(z, c, kept.c + at_step(t));
      c = kept.c + at_step(t);
      if (spec_.peephole) add(ConvLstm::kVo, c, z[ConvLstm::kO], t);
      next_output(z[ConvLstm::kO], c, kept, t, io.y.data + at_step(t));
      h = io.y.data + at_step(t);
    }
    h_before_.end(threads_, h, pass);
    c_before_.end(threads_, c, pass);
  }

  void backward(const Io& io, const Pass& pass) override {
    const Kept kept = kept_in(io.saved[0]);
    const Gradients g = gradients_in(io.scratch);
    std::byte* scratch = io.scratch + backward_bytes();
    const auto back = [&](int which, const Tensor& x, const Tensor& dx, const Tensor& dy, int t, int first) {
      parts_[static_cast<size_t>(which)].backward(io, pass, scratch, x, dx, dy, t, first);
    };
    // Kernels may destroy the gradient they are given.
    const auto back_copy = [&](int which, const float* x, float* dx, const float* dy, int t) {
      copy_to(threads_, g.copy, dy, step_.count());
      back(which, {step_, const_cast<float*>(x)}, {step_, dx}, {step_, g.copy}, t, steps_ - 1);
    };
    zero(threads_, g.dh, step_.count());
    zero(threads_, g.dc, step_.count());
    for (int t = steps_ - 1; t >= 0; --t) {
      const float *h = t == 0 ? h_before_.before() : io.y.data + at_step(t - 1), *c = t == 0 ? c_before_.before() : kept.c + at_step(t - 1);
      float* dz[ConvLstm::kGates];
      for (size_t k = 0; k < ConvLstm::kGates; ++k) dz[k] = g.dz[k] + (spec_.bottleneck ? 0 : at_step(t));
      add_to(threads_, g.dh, io.dy.data + at_step(t), step_.count());
      output_gradient(kept, t, g, dz[ConvLstm::kO]);
      if (spec_.peephole) back_copy(ConvLstm::kVo, kept.c + at_step(t), g.dc, dz[ConvLstm::kO], t);
      cell_gradient(kept, t, c, g, dz);  // g.dc: of c'
      if (spec_.peephole) back_copy(ConvLstm::kVf, c, g.dc, dz[ConvLstm::kF], t), back_copy(ConvLstm::kVi, c, g.dc, dz[ConvLstm::kI], t);
      if (spec_.bottleneck) {
        for (int k = 0; k < ConvLstm::kGates; ++k)
          back(ConvLstm::kUf + k, {step_, kept.b + at_step(t)}, {step_, g.db}, {step_, dz[k]}, t, steps_ - 1);
        narrow_gradient(kept, t, g);
        back(ConvLstm::kWf, {joined_, kept.joined + joined_at(t)}, {joined_, g.joined}, {step_, g.db}, t, steps_ - 1);
        part_joined(io, t, g);  // g.dh: of h'
      } else {
        for (int k = 0; k < ConvLstm::kGates; ++k) back_copy(ConvLstm::kWf + k, h, g.dh, dz[k], t);
      }
      if (spec_.time_normalizer != 1) scale(g.dh), scale(g.dc);
    }
    for (int k = 0; k < ConvLstm::kGates && !spec_.bottleneck; ++k)
      back(ConvLstm::kUf + k, io.x[0], io.dx[0], {all_, g.dz[static_cast<size_t>(k)]}, 0, 0);
  }

 private:
  // The buffers of a pass, in `saved`.
  struct Kept {
    std::array<float*, ConvLstm::kGates> z;
    float *c, *joined, *narrow, *b;  // from joined on: with bottleneck only
  };
  struct Gradients {
    float *dh, *dc, *copy;                    // of one step
    std::array<float*, ConvLstm::kGates> dz;  // of all steps; with bottleneck of one
    float *db, *joined;
  };

  void make(const ConvLstm& layer, cpu::Device& device, int which) {
    const bool of_input = which >= ConvLstm::kUf && !spec_.bottleneck, joined = which == ConvLstm::kWf && spec_.bottleneck;
    KernelArgs args = args_;
    args.x = {of_input ? args_.x[0] : joined ? joined_ : step_};
    args.y = of_input ? all_ : step_;
    const bool first = joined || which == ConvLstm::kUf || which == ConvLstm::kWf;  // who overwrites the gradient that others add to
    if (!of_input) args.dx = {!args_.backward ? Write::none : first ? Write::overwrite : Write::accumulate};
    if (of_input && !first && args_.dx[0] != Write::none) args.dx = {Write::accumulate};
    // The gates of the bottleneck and the output's peephole never see a state that is only zeros; the bottleneck itself sees the input beside it.
    const bool from_zero = !of_input && !spec_.bottleneck ? which != ConvLstm::kVo : which < ConvLstm::kVo;
    parts_[static_cast<size_t>(which)] =
        PartKernel(layer.compile_part(which, device, args), layer.part_params(which, args_.x[0].shape), of_input ? 1 : steps_, from_zero, place_);
  }

  size_t at_step(int t) const { return static_cast<size_t>(t) * step_.count(); }
  size_t joined_at(int t) const { return static_cast<size_t>(t) * joined_.count(); }
  size_t step_bytes() const { return part_aligned(step_.bytes()); }
  size_t all_bytes() const { return part_aligned(all_.bytes()); }
  size_t all_joined_bytes() const { return part_aligned(joined_.bytes() * static_cast<size_t>(steps_)); }
  size_t kept_bytes() const { return (ConvLstm::kGates + 1) * all_bytes() + (spec_.bottleneck ? all_joined_bytes() + 2 * all_bytes() : 0); }
  size_t backward_bytes() const {
    return 3 * step_bytes() +
           (spec_.bottleneck ? (ConvLstm::kGates + 1) * step_bytes() + part_aligned(joined_.bytes()) : ConvLstm::kGates * all_bytes());
  }
  static float* take(std::byte*& at, size_t bytes) {
    float* taken = reinterpret_cast<float*>(at);
    at += bytes;
    return taken;
  }
  Kept kept_in(std::byte* at) const {
    Kept k{};
    for (float*& z : k.z) z = take(at, all_bytes());
    k.c = take(at, all_bytes());
    if (spec_.bottleneck) k.joined = take(at, all_joined_bytes()), k.narrow = take(at, all_bytes()), k.b = take(at, all_bytes());
    return k;
  }
  Gradients gradients_in(std::byte* at) const {
    Gradients g{};
    for (float** buffer : {&g.dh, &g.dc, &g.copy}) *buffer = take(at, step_bytes());
    for (float*& dz : g.dz) dz = take(at, spec_.bottleneck ? step_bytes() : all_bytes());
    if (spec_.bottleneck) g.db = take(at, step_bytes()), g.joined = take(at, part_aligned(joined_.bytes()));
    return g;
  }

  template <class Body>
  void each(const Body& body) const {
    cpu::parallel_pieces(threads_, step_.count(), kElementwiseGrain, [&](size_t first, size_t end) {
      for (size_t i = first; i < end; ++i) body(i);
    });
  }
  void scale(float* gradient) const {
    each([&](size_t i) { gradient[i] *= spec_.time_normalizer; });
  }

  // Channels beyond the last stay zero only where the activation function leaves zero alone.
  void next_cell(float* const* z, const float* last, float* c) const {
    const float limit = spec_.state_constrain;
    each([&](size_t i) {
      const float value = gate(z[ConvLstm::kF][i]) * last[i] + gate(z[ConvLstm::kI][i]) * activate(activation_, z[ConvLstm::kG][i]);
      c[i] = limit > 0 ? std::clamp(value, -limit, limit) : value;
    });
    clear_padding(threads_, {step_, c});
  }
  void next_output(const float* o, const float* c, const Kept& kept, int t, float* h) const {
    each([&](size_t i) { h[i] = gate(o[i]) * activate(activation_, c[i]); });
    clear_padding(threads_, {step_, h});
    if (spec_.bottleneck && spec_.shortcut) add_half(kept.b + at_step(t), h);
  }
  // With shortcut: the first half of the channels of b and h, or of their gradients.
  void add_half(float* from, float* to) const {
    for (int n = 0; n < step_.shape.n; ++n) copy_channels(threads_, {step_, from}, n, 0, {step_, to}, n, 0, step_.shape.c / 2, true);
  }

  void join(const float* h, const Tensor& x, int t, const Kept& kept) const {
    const Tensor to{joined_, kept.joined + joined_at(t)}, state{step_, const_cast<float*>(h)};
    const int channels = step_.shape.c, sequences = step_.shape.n;
    zero(threads_, to.data, joined_.count());
    for (int n = 0; n < sequences; ++n) {
      copy_channels(threads_, state, n, 0, to, n, 0, channels, false);
      copy_channels(threads_, x, t * sequences + n, 0, to, n, channels, x.desc.shape.c, false);
    }
  }
  void activate_narrow(const Kept& kept, int t) const {
    const float* from = kept.narrow + at_step(t);
    float* b = kept.b + at_step(t);
    each([&](size_t i) { b[i] = activate(activation_, from[i]); });
    clear_padding(threads_, {step_, b});
  }

  // From that of h: those of z_o and, added to what later steps say, of c.
  void output_gradient(const Kept& kept, int t, const Gradients& g, float* dzo) const {
    const float *z = kept.z[ConvLstm::kO] + at_step(t), *c = kept.c + at_step(t);
    each([&](size_t i) {
      const float o = gate(z[i]);
      dzo[i] = g.dh[i] * activate(activation_, c[i]) * gate_slope(o);
      g.dc[i] += g.dh[i] * o * activation_slope(activation_, c[i]);
    });
  }
  // From that of c: those of z_f, z_i, z_g and of c' in its place.
  void cell_gradient(const Kept& kept, int t, const float* last, const Gradients& g, float* const* dz) const {
    const size_t at = at_step(t);
    const float limit = spec_.state_constrain;
    each([&](size_t i) {
      const float zg = kept.z[ConvLstm::kG][at + i], f = gate(kept.z[ConvLstm::kF][at + i]), in = gate(kept.z[ConvLstm::kI][at + i]);
      const float dc = limit > 0 && std::abs(kept.c[at + i]) >= limit ? 0 : g.dc[i];
      dz[ConvLstm::kF][i] = dc * last[i] * gate_slope(f);
      dz[ConvLstm::kI][i] = dc * activate(activation_, zg) * gate_slope(in);
      dz[ConvLstm::kG][i] = dc * in * activation_slope(activation_, zg);
      g.dc[i] = dc * f;
    });
  }
  void narrow_gradient(const Kept& kept, int t, const Gradients& g) const {
    if (spec_.shortcut) add_half(g.dh, g.db);
    const float* z = kept.narrow + at_step(t);
    each([&](size_t i) { g.db[i] *= activation_slope(activation_, z[i]); });
  }
  void part_joined(const Io& io, int t, const Gradients& g) const {
    const int channels = step_.shape.c, sequences = step_.shape.n;
    for (int n = 0; n < sequences; ++n) {
      copy_channels(threads_, {joined_, g.joined}, n, 0, {step_, g.dh}, n, 0, channels, false);
      if (args_.dx[0] == Write::none) continue;
      const bool add = args_.dx[0] == Write::accumulate;
      copy_channels(threads_, {joined_, g.joined}, n, channels, io.dx[0], t * sequences + n, 0, args_.x[0].shape.c, add);
    }
    if (args_.dx[0] == Write::overwrite && t == 0) clear_padding(threads_, io.dx[0]);
  }

  int threads_;
  KernelArgs args_;
  ConvLstmSpec spec_;
  Activation activation_;
  int steps_;
  TensorDesc all_, step_, joined_;  // of all steps; of one; [h', x] of one
  PartPlace place_;
  std::array<PartKernel, ConvLstm::kParts> parts_;
  CarriedState h_before_, c_before_;
};

}  // namespace

std::unique_ptr<Kernel> ConvLstm::compile_cpu(const ConvLstm& layer, cpu::Device& device, const KernelArgs& args) {
  check_whole_sequences(layer, args, layer.time_steps());
  return std::make_unique<ConvLstmCpu>(layer, device, args);
}

}  // namespace dn
