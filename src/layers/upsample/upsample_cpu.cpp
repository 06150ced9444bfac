// [upsample] on the CPU. Two primitives, each the other's transpose, serve both directions of both forms; one sweep over memory each.
//   spread:  large[i,j] = scale * small[i/s, j/s]        (enlarging forward, reducing backward; what no small cell covers is zero)
//   gather:  small[i,j] = scale * sum of large over the square     (enlarging backward, reducing forward)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/upsample/upsample_cpu.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/upsample/upsample.h"

#ifndef DN_LAYERS_UPSAMPLE_CPU
#define DN_LAYERS_UPSAMPLE_CPU
namespace dn {
namespace {

struct Resample {
  int factor = 1;
  float scale = 1;
  Shape small, large;
  int block = 16;
  bool accumulate = false;
};

}  // namespace
}  // namespace dn
#endif

HWY_BEFORE_NAMESPACE();
namespace dn {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

template <int B, bool kAdd, class V>
void put(V value, float* to) {
  const hn::CappedTag<float, B> d;
  hn::Store(kAdd ? hn::Add(hn::Load(d, to), value) : value, d, to);
}

// Row i of a small plane onto its rows of the large plane; the last row also clears what is left below.
template <int B, bool kAdd>
void spread_row(const Resample& r, const float* small, float* large, int i) {
  const hn::CappedTag<float, B> d;
  const size_t row = static_cast<size_t>(r.large.w) * B;
  const auto scale = hn::Set(d, r.scale);
  const int s = r.factor, covered = r.small.w * s;
  const float* from = small + static_cast<size_t>(i) * r.small.w * B;
  float* to = large + static_cast<size_t>(i) * s * row;
  for (int j = 0; j < r.small.w; ++j)
    for (size_t l = 0; l < B; l += hn::Lanes(d)) {
      const auto v = hn::Mul(scale, hn::Load(d, from + static_cast<size_t>(j) * B + l));
      for (int a = 0; a < s; ++a)
        for (int b = 0; b < s; ++b) put<B, kAdd>(v, to + a * row + (static_cast<size_t>(j) * s + b) * B + l);
    }
  if (kAdd) return;
  for (int a = 0; a < s; ++a) std::fill(to + a * row + static_cast<size_t>(covered) * B, to + (a + 1) * row, 0.f);
  if (i + 1 == r.small.h) std::fill(to + s * row, large + r.large.plane() * B, 0.f);
}

template <int B, bool kAdd>
void gather_row(const Resample& r, const float* large, float* small, int i) {
  const hn::CappedTag<float, B> d;
  const size_t row = static_cast<size_t>(r.large.w) * B;
  const auto scale = hn::Set(d, r.scale);
  const int s = r.factor;
  const float* from = large + static_cast<size_t>(i) * s * row;
  float* to = small + static_cast<size_t>(i) * r.small.w * B;
  for (int j = 0; j < r.small.w; ++j)
    for (size_t l = 0; l < B; l += hn::Lanes(d)) {
      auto sum = hn::Zero(d);
      for (int a = 0; a < s; ++a)
        for (int b = 0; b < s; ++b) sum = hn::Add(sum, hn::Load(d, from + a * row + (static_cast<size_t>(j) * s + b) * B + l));
      put<B, kAdd>(hn::Mul(scale, sum), to + static_cast<size_t>(j) * B + l);
    }
}

template <int B>
void spread(const Resample& r, const float* small, float* large, int i) {
  r.accumulate ? spread_row<B, true>(r, small, large, i) : spread_row<B, false>(r, small, large, i);
}
template <int B>
void gather(const Resample& r, const float* large, float* small, int i) {
  r.accumulate ? gather_row<B, true>(r, large, small, i) : gather_row<B, false>(r, large, small, i);
}

void spread_any(const Resample& r, const float* small, float* large, int i) {
  r.block == 16 ? spread<16>(r, small, large, i) : spread<8>(r, small, large, i);
}
void gather_any(const Resample& r, const float* large, float* small, int i) {
  r.block == 16 ? gather<16>(r, large, small, i) : gather<8>(r, large, small, i);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace dn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {
namespace {

HWY_EXPORT(spread_any);
HWY_EXPORT(gather_any);

class UpsampleCpu : public Kernel {
 public:
  UpsampleCpu(const Upsample& layer, cpu::Device& device, const KernelArgs& args) : enlarges_(layer.enlarges()), device_(device), dx_(args.dx) {
    ensure(args.x[0].block == args.y.block && (args.y.block == 8 || args.y.block == 16), "upsample needs blocked tensors");
    map_ = {layer.factor(), layer.spec().scale, enlarges_ ? args.x[0].shape : args.y.shape, enlarges_ ? args.y.shape : args.x[0].shape,
            args.y.block, false};
    planes_ = static_cast<size_t>(args.y.shape.n) * static_cast<size_t>(args.y.channel_blocks());
  }
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass&) override {
    if (enlarges_)
      spread_all(io.x[0].data, io.y.data, false);
    else
      gather_all(io.x[0].data, io.y.data, false);
  }
  void backward(const Io& io, const Pass&) override {
    if (dx_.empty() || dx_[0] == Write::none) return;
    const bool accumulate = dx_[0] == Write::accumulate;
    if (enlarges_)
      gather_all(io.dy.data, io.dx[0].data, accumulate);
    else
      spread_all(io.dy.data, io.dx[0].data, accumulate);
  }

 private:
  template <class Row>
  void each_row(bool accumulate, const Row& row) {
    Resample map = map_;
    map.accumulate = accumulate;
    const size_t rows = static_cast<size_t>(map.small.h), block = static_cast<size_t>(map.block);
    cpu::parallel_for(device_.threads(), planes_ * rows, [&](size_t item) {
      const size_t plane = item / rows;
      row(map, plane * map.small.plane() * block, plane * map.large.plane() * block, static_cast<int>(item % rows));
    });
  }
  void spread_all(const float* small, float* large, bool accumulate) {
    each_row(accumulate, [&](const Resample& map, size_t at_small, size_t at_large, int i) {
      HWY_DYNAMIC_DISPATCH(spread_any)(map, small + at_small, large + at_large, i);
    });
  }
  void gather_all(const float* large, float* small, bool accumulate) {
    each_row(accumulate, [&](const Resample& map, size_t at_small, size_t at_large, int i) {
      HWY_DYNAMIC_DISPATCH(gather_any)(map, large + at_large, small + at_small, i);
    });
  }

  bool enlarges_;
  cpu::Device& device_;
  std::vector<Write> dx_;
  Resample map_;
  size_t planes_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> Upsample::compile_cpu(const Upsample& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<UpsampleCpu>(layer, device, args);
}

}  // namespace dn
#endif
