// [normalization] on the CPU: an item is one row of pixels of one image, a pixel's channels are gathered in double and treated together.
#include <algorithm>
#include <cmath>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/normalization/normalization.h"

namespace dn {
namespace {

// sums[c] = sum of v over [c - before, c + after], without what is no channel. One sweep: `v` is replaced by its running sums.
void window_sums(std::vector<double>& v, int before, int after, std::vector<double>& sums) {
  const int channels = static_cast<int>(v.size());
  for (size_t c = 1; c < v.size(); ++c) v[c] += v[c - 1];
  for (int c = 0; c < channels; ++c) {
    const int last = std::min(c + after, channels - 1), ahead = c - before - 1;
    sums[static_cast<size_t>(c)] = v[static_cast<size_t>(last)] - (ahead >= 0 ? v[static_cast<size_t>(ahead)] : 0);
  }
}

class NormalizationCpu : public Kernel {
 public:
  NormalizationCpu(const Normalization& layer, cpu::Device& device, const KernelArgs& args)
      : device_(device), spec_(layer.spec()), before_(layer.before()), after_(layer.after()), desc_(args.y) {
    ensure(args.x[0].block == args.y.block, "normalization needs equally blocked tensors");
    if (args.backward && !args.dx.empty()) dx_ = args.dx[0];
  }
  Needs needs() const override { return {.x_in_backward = trains()}; }

  void forward(const Io& io, const Pass&) override {
    each_pixel([&](Pixel& p) {
      load(io.x[0].data, p.first, p.x);
      norms(p);
      for (size_t c = 0; c < p.x.size(); ++c) p.out[c] = p.x[c] * std::pow(p.norm[c], -static_cast<double>(spec_.beta));
      store(p, io.y.data, false);
    });
  }

  void backward(const Io& io, const Pass&) override {
    if (!trains()) return;
    const double beta = static_cast<double>(spec_.beta), factor = 2 * static_cast<double>(spec_.alpha) * beta;
    const size_t missing = static_cast<size_t>(after_);
    each_pixel([&](Pixel& p) {
      load(io.x[0].data, p.first, p.x);
      load(io.dy.data, p.first, p.dy);
      norms(p);
      double all = 0;
      for (size_t c = 0; c < p.x.size(); ++c) {
        const double power = std::pow(p.norm[c], -beta);
        p.out[c] = p.dy[c] * power;
        all += p.work[c] = p.dy[c] * p.x[c] * power / p.norm[c];
      }
      window_sums(p.work, after_, before_, p.norm);  // over the windows that hold a channel: before and after change places
      for (size_t c = 0; c < p.x.size(); ++c) p.out[c] -= factor * p.x[c] * (p.norm[c] - (c == missing ? all : 0));
      store(p, io.dx[0].data, dx_ == Write::accumulate);
    });
  }

 private:
  // One pixel's channels, and where the first of them lies.
  struct Pixel {
    explicit Pixel(size_t channels) : x(channels), dy(channels), norm(channels), work(channels), out(channels) {}
    size_t first = 0;
    std::vector<double> x, dy, norm, work, out;
  };

  bool trains() const { return dx_ != Write::none; }
  size_t place(const Pixel& p, size_t c) const { return place(p.first, c); }
  size_t place(size_t first, size_t c) const {
    const size_t block = static_cast<size_t>(desc_.block);
    return first + c / block * desc_.block_stride() + c % block;
  }
  void load(const float* from, size_t first, std::vector<double>& to) const {
    for (size_t c = 0; c < to.size(); ++c) to[c] = static_cast<double>(from[place(first, c)]);
  }
  void store(const Pixel& p, float* to, bool add) const {
    for (size_t c = 0; c < static_cast<size_t>(desc_.padded_channels()); ++c) {
      const float value = c < p.out.size() ? static_cast<float>(p.out[c]) : 0.f;
      float& target = to[place(p, c)];
      target = add ? target + value : value;
    }
  }

  void norms(Pixel& p) const {
    const size_t missing = static_cast<size_t>(after_);
    const double short_of = missing < p.x.size() ? p.x[missing] * p.x[missing] : 0;
    for (size_t c = 0; c < p.x.size(); ++c) p.work[c] = p.x[c] * p.x[c];
    window_sums(p.work, before_, after_, p.norm);
    for (double& n : p.norm) n = static_cast<double>(spec_.kappa) + static_cast<double>(spec_.alpha) * (n - short_of);
  }

  template <class Visit>
  void each_pixel(const Visit& visit) const {
    const size_t rows = static_cast<size_t>(desc_.shape.h);
    cpu::parallel_for(device_.threads(), static_cast<size_t>(desc_.shape.n) * rows, [&](size_t item) {
      Pixel pixel(static_cast<size_t>(desc_.shape.c));
      for (int j = 0; j < desc_.shape.w; ++j) {
        pixel.first = desc_.offset(static_cast<int>(item / rows), 0, static_cast<int>(item % rows), j);
        visit(pixel);
      }
    });
  }

  cpu::Device& device_;
  NormalizationSpec spec_;
  int before_, after_;
  TensorDesc desc_;
  Write dx_ = Write::none;
};

}  // namespace

std::unique_ptr<Kernel> Normalization::compile_cpu(const Normalization& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<NormalizationCpu>(layer, device, args);
}

}  // namespace dn
