// [dropout] on the CPU: one sweep, the mask computed on the way. An item is one channel block of one image.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/dropout/dropout_cpu.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/dropout/dropblock_cpu.h"

#ifndef DN_LAYERS_DROPOUT_CPU
#define DN_LAYERS_DROPOUT_CPU
namespace dn {
namespace {

// One channel block of one image.
struct Piece {
  uint32_t key0, key1, threshold;
  uint32_t first_channel, plane;
  float scale;
  bool accumulate;
};

}  // namespace
}  // namespace dn
#endif

HWY_BEFORE_NAMESPACE();
namespace dn {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

template <class D, class V>
V mix(D du, V v) {
  v = hn::Mul(hn::Xor(v, hn::ShiftRight<16>(v)), hn::Set(du, 0x7feb352du));
  v = hn::Mul(hn::Xor(v, hn::ShiftRight<15>(v)), hn::Set(du, 0x846ca68bu));
  return hn::Xor(v, hn::ShiftRight<16>(v));
}

template <int B, bool kAdd>
void drop_block(const Piece& p, const float* from, float* to) {
  const hn::CappedTag<float, B> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const auto key0 = hn::Set(du, p.key0), key1 = hn::Set(du, p.key1), threshold = hn::Set(du, p.threshold), plane = hn::Set(du, p.plane);
  const auto scale = hn::Set(d, p.scale);
  for (size_t l = 0; l < B; l += hn::Lanes(d)) {
    const auto first = hn::Mul(plane, hn::Iota(du, p.first_channel + static_cast<uint32_t>(l)));  // of each lane's channel
    for (uint32_t i = 0; i < p.plane; ++i) {
      const auto hash = mix(du, hn::Add(mix(du, hn::Xor(hn::Add(first, hn::Set(du, i)), key0)), key1));
      const size_t at = static_cast<size_t>(i) * B + l;
      const auto kept = hn::RebindMask(d, hn::Not(hn::Lt(hash, threshold)));
      const auto v = hn::IfThenElseZero(kept, hn::Mul(scale, hn::Load(d, from + at)));
      hn::Store(kAdd ? hn::Add(hn::Load(d, to + at), v) : v, d, to + at);
    }
  }
}

void drop(const Piece& p, int block, const float* from, float* to) {
  if (block == 16)
    p.accumulate ? drop_block<16, true>(p, from, to) : drop_block<16, false>(p, from, to);
  else
    p.accumulate ? drop_block<8, true>(p, from, to) : drop_block<8, false>(p, from, to);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace dn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {
namespace {

HWY_EXPORT(drop);

class DropoutCpu : public Kernel {
 public:
  DropoutCpu(const Dropout& layer, cpu::Device& device, const KernelArgs& args)
      : device_(device), dx_(args.dx), desc_(args.y), layer_(layer.index()), probability_(layer.spec().probability) {
    ensure(args.x[0].block == desc_.block && (desc_.block == 8 || desc_.block == 16), "dropout needs blocked tensors");
  }
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass& pass) override { apply(pass, io.x[0].data, io.y.data, false); }
  void backward(const Io& io, const Pass& pass) override {
    if (dx_.empty() || dx_[0] == Write::none) return;
    apply(pass, io.dy.data, io.dx[0].data, dx_[0] == Write::accumulate);
  }

 private:
  void apply(const Pass& pass, const float* from, float* to, bool accumulate) {
    std::vector<Piece> images;
    for (int n = 0; n < desc_.shape.n; ++n) {
      const DropoutMask mask(pass, layer_, n, probability_);
      const bool on = pass.training;  // threshold 0 drops nothing
      images.push_back({mask.key0(), mask.key1(), on ? mask.threshold() : 0, 0, static_cast<uint32_t>(desc_.shape.plane()),
                        on ? static_cast<float>(1 / (1 - probability_)) : 1, accumulate});
    }
    const size_t blocks = static_cast<size_t>(desc_.channel_blocks());
    cpu::parallel_for(device_.threads(), images.size() * blocks, [&](size_t item) {
      Piece piece = images[item / blocks];
      piece.first_channel = static_cast<uint32_t>(item % blocks) * static_cast<uint32_t>(desc_.block);
      HWY_DYNAMIC_DISPATCH(drop)(piece, desc_.block, from + item * desc_.block_stride(), to + item * desc_.block_stride());
    });
  }

  cpu::Device& device_;
  std::vector<Write> dx_;
  TensorDesc desc_;
  int layer_;
  double probability_;
};

}  // namespace

std::unique_ptr<Kernel> Dropout::compile_cpu(const Dropout& layer, cpu::Device& device, const KernelArgs& args) {
  if (layer.spec().dropblock) return compile_dropblock(layer, device, args);
  return std::make_unique<DropoutCpu>(layer, device, args);
}

}  // namespace dn
#endif
