// [normalization] on a GPU: a thread makes eight channels of a pixel; the sum over the window of one follows from that of its neighbour.
#include <cmath>

#include "device/cuda/launch.h"
#include "layers/normalization/normalization.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::kEight;
using cuda::View;

// sums of f(k) over k in [channel - before, channel + after] for eight channels from `first` on; what is no channel counts 0.
template <class F>
DN_HD Eight window_sums(int first, int channels, int before, int after, const F& f) {
  const auto value = [&](int k) { return k >= 0 && k < channels ? f(k) : 0.f; };
  const int from = first - before > 0 ? first - before : 0, to = first + after < channels ? first + after : channels - 1;
  float sum = 0;
  for (int k = from; k <= to; ++k) sum += f(k);
  Eight out;
  for (int i = 0; i < kEight; ++i) {
    out.v[i] = sum;
    sum += value(first + i + 1 + after) - value(first + i - before);
  }
  return out;
}

struct Rule {
  float alpha, beta, kappa;
  int before, after;
  // n_c of eight channels.
  DN_HD Eight norms(const View& x, size_t pixel, int channel) const {
    const auto square = [&](int k) {
      const float v = x.get(x.at(pixel, k));
      return v * v;
    };
    const float short_of = after < x.c ? square(after) : 0.f;
    Eight n = window_sums(channel, x.c, before, after, square);
    for (float& value : n.v) value = kappa + alpha * (value - short_of);
    return n;
  }
};

struct NormalizeBody {
  View x, y;
  Rule rule;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(y, i);
    const Eight n = rule.norms(x, pixel, channel);
    Eight value = x.get_eight(x.at(pixel, channel));
    for (int k = 0; k < kEight; ++k) value.v[k] *= std::pow(n.v[k], -rule.beta);
    cuda::clear_padding(value, channel, y.c);
    y.set_eight(y.at(pixel, channel), value);
  }
};

// t_k = dy_k x_k n_k^(-beta-1)
struct TermsBody {
  View x, dy, t;
  Rule rule;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(t, i);
    const Eight n = rule.norms(x, pixel, channel), input = x.get_eight(x.at(pixel, channel));
    Eight value = dy.get_eight(dy.at(pixel, channel));
    for (int k = 0; k < kEight; ++k) value.v[k] *= input.v[k] * std::pow(n.v[k], -rule.beta - 1);
    cuda::clear_padding(value, channel, t.c);
    t.set_eight(t.at(pixel, channel), value);
  }
};

struct GradientBody {
  View x, dy, t, dx;
  Rule rule;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(dx, i);
    const Eight n = rule.norms(x, pixel, channel), input = x.get_eight(x.at(pixel, channel)), slope = dy.get_eight(dy.at(pixel, channel));
    const auto term = [&](int k) { return t.get(t.at(pixel, k)); };
    Eight sums = window_sums(channel, dx.c, rule.after, rule.before, term);  // over the windows that hold a channel: before and after change places
    for (int k = 0; k < kEight; ++k)
      if (channel + k == rule.after)
        for (int c = 0; c < dx.c; ++c) sums.v[k] -= term(c);
    Eight value;
    for (int k = 0; k < kEight; ++k) value.v[k] = slope.v[k] * std::pow(n.v[k], -rule.beta) - 2 * rule.alpha * rule.beta * input.v[k] * sums.v[k];
    cuda::clear_padding(value, channel, dx.c);
    cuda::put_eight(dx, dx.at(pixel, channel), value, add);
  }
};

class NormalizationCuda : public Kernel {
 public:
  NormalizationCuda(const Normalization& layer, cuda::Device& device, const KernelArgs& args) : device_(device), terms_(args.y.dense()) {
    const NormalizationSpec& spec = layer.spec();
    rule_ = {spec.alpha, spec.beta, spec.kappa, layer.before(), layer.after()};
    terms_.dtype = DType::f32;
    if (args.backward && !args.dx.empty()) dx_ = args.dx[0];
  }
  Needs needs() const override {
    if (dx_ == Write::none) return {};
    return {.x_in_backward = true, .backward_scratch = terms_.bytes()};
  }

  void forward(const Io& io, const Pass&) override {
    const View y = cuda::view(io.y);
    cuda::for_each(device_.stream(), y.eights(), NormalizeBody{cuda::view(io.x[0]), y, rule_});
  }
  void backward(const Io& io, const Pass&) override {
    if (dx_ == Write::none) return;
    const View x = cuda::view(io.x[0]), dy = cuda::view(io.dy), dx = cuda::view(io.dx[0]);
    const View terms = cuda::view({terms_, reinterpret_cast<float*>(io.scratch)});
    cuda::for_each(device_.stream(), terms.eights(), TermsBody{x, dy, terms, rule_});
    cuda::for_each(device_.stream(), dx.eights(), GradientBody{x, dy, terms, dx, rule_, dx_ == Write::accumulate});
  }

 private:
  cuda::Device& device_;
  TensorDesc terms_;
  Rule rule_{};
  Write dx_ = Write::none;
};

}  // namespace

std::unique_ptr<Kernel> Normalization::compile_cuda(const Normalization& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<NormalizationCuda>(layer, device, args);
}

}  // namespace dn
