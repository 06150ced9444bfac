// [shortcut] on a GPU: a thread makes eight channels of a pixel.
//   forward   y = f(sum of the sources), two sources a launch; more of them meet in the scratch, in float
//   backward  dz = dy f'(z) in place (z is summed again, or y stands for it), then per source dx = g dz; with weights, see shortcut_weights_cuda.h
// Where the layer of a source has made the sum (KernelArgs::made) nothing is left to do forward, and backward at most the other source's gradient.
// Sources of another size are read, and their gradients written, at every k-th place (shortcut.h).
#include "device/cuda/launch.h"
#include "layers/shortcut/shortcut.h"
#include "layers/shortcut/shortcut_weights_cuda.h"
#include "nn/cuda/activation.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::kEight;
using cuda::View;

// A source; g: the table's row, null: 1.
struct Addend {
  View x;
  int step = 1;  // sampling_step
  const float* g = nullptr;
};

DN_HD void add_source(Eight& sum, const Addend& a, const View& y, size_t pixel, int channel) {
  Eight value;
  if (!sampled_eight(a.x, a.step, y, pixel, channel, value)) return;
  for (int k = 0; k < kEight; ++k) sum.v[k] += a.g ? a.g[channel + k] * value.v[k] : value.v[k];
}

// y = f(partial + a + b), or, where it is to be gone on from, partial = partial + a + b.
template <class Function>
struct SumBody {
  Addend a, b;  // b: maybe without data
  View y;
  float* partial;  // [pixel][padded channels]; null: two sources at most
  bool begins, ends;
  Function f;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(y, i);
    const View wide{partial, DType::f32};
    Eight sum{};
    if (!begins) sum = wide.get_eight(i * kEight);
    add_source(sum, a, y, pixel, channel);
    if (b.x.data) add_source(sum, b, y, pixel, channel);
    if (!ends) return wide.set_eight(i * kEight, sum);
    for (int k = 0; k < kEight; ++k) sum.v[k] = f.value(sum.v[k]);
    cuda::clear_padding(sum, channel, y.c);
    y.set_eight(y.at(pixel, channel), sum);
  }
};

// dy becomes dz.
template <class Function>
struct SlopeBody {
  View z, dy;
  Function f;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(dy, i);
    const Eight value = z.get_eight(z.at(pixel, channel));
    Eight gradient = dy.get_eight(dy.at(pixel, channel));
    for (int k = 0; k < kEight; ++k) gradient.v[k] *= f.slope(value.v[k]);
    cuda::clear_padding(gradient, channel, dy.c);
    dy.set_eight(dy.at(pixel, channel), gradient);
  }
};

// The gradient of a source.
struct Target {
  View dx;
  const float* g = nullptr;
  bool add = false;
  int channels = 0;  // that take part
  // `dz` of the eight: the place takes part.
  DN_HD void put(const Eight& dz, bool dz_there, size_t pixel, int channel) const {
    const bool there = dz_there && channel < channels;
    if (!there && add) return;
    Eight part{};
    for (int k = 0; k < kEight && there; ++k) part.v[k] = channel + k < channels ? (g ? g[channel + k] * dz.v[k] : dz.v[k]) : 0.f;
    cuda::put_eight(dx, dx.at(pixel, channel), part, add);
  }
};

// Both of the first two sources, of the output's size, with one look at dz.
struct PairBody {
  View dz;
  Target a, b;
  int groups;  // of the widest
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(i, groups);
    const bool there = channel < dz.padded;
    Eight value{};
    if (there) value = dz.get_eight(dz.at(pixel, channel));
    if (channel < a.dx.padded) a.put(value, there, pixel, channel);
    if (channel < b.dx.padded) b.put(value, there, pixel, channel);  // maybe the same tensor, added to
  }
};

// One source of any size: to it, dz is a map of the opposite step.
struct OneBody {
  View dz;
  Target to;
  int step;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(to.dx, i);
    Eight value{};
    const bool there = sampled_eight(dz, step == 1 ? 1 : -step, to.dx, pixel, channel, value);
    to.put(value, there, pixel, channel);
  }
};

// f'(z) can be read off y = f(z): both are positive together and the slope depends on the sign alone.
bool slope_from_output(Activation a) {
  return a == Activation::relu || a == Activation::leaky || a == Activation::revleaky || a == Activation::relie;
}

class ShortcutCuda : public Kernel {
 public:
  ShortcutCuda(const Shortcut& layer, cuda::Device& device, const KernelArgs& args)
      : device_(device), args_(args), activation_(layer.activation()), weights_(layer, args) {
    args_.dx.resize(args_.x.size(), Write::none);
    for (const TensorDesc& x : args_.x) steps_.push_back(sampling_step(x.shape, args_.y.shape));
  }

  Needs needs() const override {
    Needs needs;
    needs.forward_scratch = weights_.table_bytes() + (args_.x.size() > 2 ? z_bytes() : 0);
    if (args_.backward) {
      needs.y_in_backward = slope_from_output(activation_);
      needs.x_in_backward = trains_weights() || sums_again();
      needs.backward_scratch = weights_.table_bytes() + (sums_again() ? z_bytes() : 0) + (trains_weights() ? weights_.gradient_bytes() : 0);
    }
    return needs;
  }

  void forward(const Io& io, const Pass&) override {
    if (args_.made) return;
    weights_.normalize(device_.stream(), io);
    cuda::with_activation(activation_, [&](auto f) { sum(io, cuda::view(io.y), partial(io), f); });
  }

  void backward(const Io& io, const Pass& pass) override {
    weights_.normalize(device_.stream(), io);
    const View dz = cuda::view(io.dy);
    if (activation_ != Activation::linear) {
      View z = cuda::view(io.y);
      if (sums_again()) {
        z = cuda::view({wide(), partial(io)});
        sum(io, z, partial(io), cuda::Linear{});
      }
      cuda::with_activation(activation_, [&](auto f) { cuda::for_each(device_.stream(), dz.eights(), SlopeBody<decltype(f)>{z, dz, f}); });
    }
    share(io, dz);
    if (trains_weights() && !io.params[0].grad.empty())
      weights_.gradient(device_.stream(), io, pass, steps_, io.scratch + weights_.table_bytes() + (sums_again() ? z_bytes() : 0));
  }

 private:
  bool sums_again() const { return args_.backward && activation_ != Activation::linear && !slope_from_output(activation_); }
  bool trains_weights() const { return weights_.used() && args_.backward && !args_.frozen; }
  TensorDesc wide() const {
    TensorDesc d = args_.y.dense();
    d.dtype = DType::f32;
    return d;
  }
  size_t z_bytes() const { return round_up(wide().bytes(), size_t{64}); }
  float* partial(const Io& io) const { return reinterpret_cast<float*>(io.scratch + weights_.table_bytes()); }

  // y may be `partial` itself.
  template <class Function>
  void sum(const Io& io, const View& y, float* partial, Function f) const {
    const auto addend = [&](size_t s) {
      return s < io.x.size() ? Addend{cuda::view(io.x[s]), steps_[s], weights_.row(io, static_cast<int>(s))} : Addend{};
    };
    for (size_t s = 0; s < io.x.size(); s += 2)
      cuda::for_each(device_.stream(), y.eights(), SumBody<Function>{addend(s), addend(s + 1), y, partial, s == 0, s + 2 >= io.x.size(), f});
  }

  // Sources in order: a layer listed twice adds to its own gradient.
  void share(const Io& io, const View& dz) const {
    const auto target = [&](size_t s) {
      return Target{cuda::view(io.dx[s]), weights_.row(io, static_cast<int>(s)), args_.dx[s] == Write::accumulate,
                    std::min(args_.x[s].shape.c, args_.y.shape.c)};
    };
    const auto plain = [&](size_t s) { return s < io.x.size() && steps_[s] == 1 && args_.dx[s] != Write::none; };
    size_t s = 0;
    if (plain(0) && plain(1)) {
      const Target a = target(0), b = target(1);
      const int groups = std::max(a.dx.groups(), b.dx.groups());
      cuda::for_each(device_.stream(), dz.pixels() * static_cast<size_t>(groups), PairBody{dz, a, b, groups});
      s = 2;
    }
    for (; s < io.x.size(); ++s)
      if (args_.dx[s] != Write::none) {
        const Target to = target(s);
        cuda::for_each(device_.stream(), to.dx.eights(), OneBody{dz, to, steps_[s]});
      }
  }

  cuda::Device& device_;
  KernelArgs args_;
  Activation activation_;
  ShortcutWeights weights_;
  std::vector<int> steps_;  // per source
};

}  // namespace

std::unique_ptr<Kernel> Shortcut::compile_cuda(const Shortcut& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<ShortcutCuda>(layer, device, args);
}

}  // namespace dn
