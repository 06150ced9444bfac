// [shortcut] on the CPU: sweeps over pieces of (image, channel block, run of pixels), small enough that a piece's second visit meets the cache.
//   forward   y = sum of the sources' pieces, then the activation in place
//   backward  dz = dy f'(z) in place (z is summed again, or y stands for it), then per source dx = g dz and, with weights, sum of dz x per lane
// Sources of another size are brought to the output's beforehand, and their gradients back afterwards (resample_cpu.h); the scratch holds them so.
// Weight gradients are summed per piece in float and over pieces, in order, in double: the result depends on the shape only.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/shortcut/shortcut_cpu.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include <algorithm>
#include <array>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/shortcut/mix_weights.h"
#include "layers/shortcut/resample_cpu.h"
#include "layers/shortcut/shortcut.h"
#include "nn/activation-inl.h"

#ifndef DN_LAYERS_SHORTCUT_CPU
#define DN_LAYERS_SHORTCUT_CPU
namespace dn {
namespace {

constexpr size_t kPixels = 512;     // of a piece: 32 KiB at block 16
constexpr size_t kMaxSources = 64;

struct Addends {
  int block = 16;
  size_t pixels = 0;
  size_t count = 0;
  bool weighted = false;
  std::array<const float*, kMaxSources> x;
  std::array<const float*, kMaxSources> g;  // a value per lane, when weighted
};

// One source's share of a piece.
struct Share {
  int block = 16;
  size_t pixels = 0;
  int lanes = 0;               // that exist in source and output
  const float* g = nullptr;    // per lane; null: 1
  const float* x = nullptr;    // null: no weight gradient
  float* dx = nullptr;         // null: no gradient
  bool accumulate = false;
  float* dg = nullptr;         // sums per lane, with x
};

}  // namespace
}  // namespace dn
#endif

HWY_BEFORE_NAMESPACE();
namespace dn {
namespace HWY_NAMESPACE {
namespace {

template <int B>
void sum_block(const Addends& a, float* z) {
  const hn::CappedTag<float, B> d;
  const size_t count = a.pixels * B;
  if (a.weighted) {
    for (size_t l = 0; l < B; l += hn::Lanes(d))
      for (size_t e = l; e < count; e += B) {
        auto sum = hn::Mul(hn::Load(d, a.g[0] + l), hn::Load(d, a.x[0] + e));
        for (size_t s = 1; s < a.count; ++s) sum = hn::MulAdd(hn::Load(d, a.g[s] + l), hn::Load(d, a.x[s] + e), sum);
        hn::Store(sum, d, z + e);
      }
  } else if (a.count == 2) {
    const float *first = a.x[0], *second = a.x[1];
    for (size_t e = 0; e < count; e += hn::Lanes(d)) hn::Store(hn::Add(hn::Load(d, first + e), hn::Load(d, second + e)), d, z + e);
  } else {
    for (size_t e = 0; e < count; e += hn::Lanes(d)) {
      auto sum = hn::Load(d, a.x[0] + e);
      for (size_t s = 1; s < a.count; ++s) sum = hn::Add(sum, hn::Load(d, a.x[s] + e));
      hn::Store(sum, d, z + e);
    }
  }
}

// One source's share: dx and the sums for its weights.
template <int B, bool kAdd>
void share_block(const Share& p, const float* dz) {
  const hn::CappedTag<float, B> d;
  for (size_t l = 0; l < B; l += hn::Lanes(d)) {
    const size_t lanes = static_cast<size_t>(std::max(0, p.lanes - static_cast<int>(l)));
    const auto exists = hn::FirstN(d, std::min(lanes, hn::Lanes(d)));
    const auto g = hn::IfThenElseZero(exists, p.g ? hn::Load(d, p.g + l) : hn::Set(d, 1.f));
    auto sum = hn::Zero(d);
    for (size_t e = l; e < p.pixels * B; e += B) {
      const auto v = hn::Load(d, dz + e);
      if (p.x) sum = hn::MulAdd(v, hn::Load(d, p.x + e), sum);
      if (p.dx) {
        const auto part = hn::Mul(g, v);
        hn::Store(kAdd ? hn::Add(hn::Load(d, p.dx + e), part) : part, d, p.dx + e);
      }
    }
    if (p.x) hn::Store(hn::IfThenElseZero(exists, sum), d, p.dg + l);
  }
}

template <int B>
void activate_block(Activation activation, float* z, size_t pixels) {
  const hn::CappedTag<float, B> d;
  dispatch_activation(activation, [&](auto a) {
    for (size_t e = 0; e < pixels * B; e += hn::Lanes(d)) hn::Store(act<a()>(d, hn::Load(d, z + e)), d, z + e);
  });
}
template <int B>
void slope_block(Activation activation, const float* z, float* dy, size_t pixels) {
  const hn::CappedTag<float, B> d;
  dispatch_activation(activation, [&](auto a) {
    for (size_t e = 0; e < pixels * B; e += hn::Lanes(d)) hn::Store(hn::Mul(hn::Load(d, dy + e), slope<a()>(d, hn::Load(d, z + e))), d, dy + e);
  });
}

// The doors of this target: the block size becomes a type.
void activate_piece(Activation activation, int block, float* z, size_t pixels) {
  block == 16 ? activate_block<16>(activation, z, pixels) : activate_block<8>(activation, z, pixels);
}
void slope_piece(Activation activation, int block, const float* z, float* dy, size_t pixels) {
  block == 16 ? slope_block<16>(activation, z, dy, pixels) : slope_block<8>(activation, z, dy, pixels);
}
void sum_piece(const Addends& addends, float* z) { addends.block == 16 ? sum_block<16>(addends, z) : sum_block<8>(addends, z); }
void share_piece(const Share& share, const float* dz) {
  if (share.block == 16)
    share.accumulate ? share_block<16, true>(share, dz) : share_block<16, false>(share, dz);
  else
    share.accumulate ? share_block<8, true>(share, dz) : share_block<8, false>(share, dz);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace dn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {
namespace {

HWY_EXPORT(sum_piece);
HWY_EXPORT(share_piece);
HWY_EXPORT(activate_piece);
HWY_EXPORT(slope_piece);

// f'(z) can be read off y = f(z): both are positive together and the slope depends on the sign alone.
bool slope_from_output(Activation a) {
  return a == Activation::relu || a == Activation::leaky || a == Activation::revleaky || a == Activation::relie;
}

// Where an item lies.
struct Piece {
  size_t image, block, first, pixels;
};

class ShortcutCpu : public Kernel {
 public:
  ShortcutCpu(const Shortcut& layer, cpu::Device& device, const KernelArgs& args)
      : device_(device),
        args_(args),
        weighted_(layer.weighted()),
        per_channel_(layer.per_channel()),
        norm_(layer.norm()),
        activation_(layer.activation()) {
    ensure(args_.y.block == 8 || args_.y.block == 16, "shortcut needs blocked tensors");
    for (const TensorDesc& x : args_.x) {
      ensure(x.block == args_.y.block, "shortcut needs equally blocked tensors");
      blocks_ = std::max(blocks_, static_cast<size_t>(x.channel_blocks()));
    }
    ensure(args_.x.size() <= kMaxSources, "too many sources");
    args_.dx.resize(args_.x.size(), Write::none);
    runs_ = (args_.y.shape.plane() + kPixels - 1) / kPixels;
    padded_ = static_cast<size_t>(args_.y.padded_channels());
    resample();
  }

  Needs needs() const override {
    Needs needs;
    if (weighted_) needs.forward_scratch = table_bytes();
    if (!resampled_.empty()) needs.forward_scratch = sweep_scratch() + resampled_floats_ * sizeof(float);
    if (args_.backward) {
      needs.y_in_backward = slope_from_output(activation_);
      needs.x_in_backward = needs_x();
      needs.backward_scratch = sweep_scratch() + resampled_floats_ * sizeof(float);
    }
    return needs;
  }

  void forward(const Io& given, const Pass&) override {
    std::vector<Tensor> x(given.x.begin(), given.x.end());
    const Io io = gathered(given, x);
    const float* table = mix(io);
    cpu::parallel_for(device_.threads(), items(output_blocks()), [&](size_t item) {
      const Piece p = piece(item, output_blocks());
      float* y = at(io.y.data, args_.y, p);
      HWY_DYNAMIC_DISPATCH(sum_piece)(addends(io, table, p), y);
      if (activation_ != Activation::linear) HWY_DYNAMIC_DISPATCH(activate_piece)(activation_, args_.y.block, y, p.pixels);
      const size_t lanes = std::min(block(), static_cast<size_t>(args_.y.shape.c) - p.block * block());
      for (size_t e = 0; lanes < block() && e < p.pixels; ++e) std::fill(y + e * block() + lanes, y + (e + 1) * block(), 0.f);
    });
  }

  void backward(const Io& given, const Pass& pass) override {
    std::vector<Tensor> x(given.x.begin(), given.x.end()), dx(given.dx.begin(), given.dx.end());
    Io io = needs_x() ? gathered(given, x) : given;
    for (const Resampled& r : resampled_) dx[r.source] = {args_.x[r.source], r.write == Write::none ? nullptr : resampled(given, r.dx)};
    io.dx = dx;
    const float* table = mix(io);
    const bool train = trains_weights() && !io.params[0].grad.empty();
    float* sums = train ? reinterpret_cast<float*>(io.scratch + table_bytes()) : nullptr;
    cpu::parallel_for(device_.threads(), items(blocks_), [&](size_t item) { backward_piece(io, table, sums, piece(item, blocks_)); });
    if (train) weight_gradient(io, pass, sums);
    for (const Resampled& r : resampled_)
      if (r.write != Write::none) scatter_samples(device_.threads(), dx[r.source], r.step, given.dx[r.source], r.write);
  }

 private:
  // A source of another size, as the sweeps do not see it.
  struct Resampled {
    size_t source = 0;
    int step = 0;             // sampling_step
    Write write = Write::none;
    size_t x = 0, dx = 0;     // in the scratch: floats in front of its values and of its gradient
  };

  // From here on the sources have the output's width and height.
  void resample() {
    for (size_t s = 0; s < args_.x.size(); ++s) {
      const int step = sampling_step(args_.x[s].shape, args_.y.shape);
      if (step == 1) continue;
      args_.x[s].shape.h = args_.y.shape.h;
      args_.x[s].shape.w = args_.y.shape.w;
      const size_t floats = round_up(args_.x[s].count(), size_t{16});
      resampled_.push_back({s, step, args_.dx[s], resampled_floats_, resampled_floats_ + floats});
      if (args_.dx[s] != Write::none) args_.dx[s] = Write::overwrite;
      resampled_floats_ += 2 * floats;
    }
  }
  size_t sweep_scratch() const {
    const size_t sums = trains_weights() ? items(output_blocks()) * args_.x.size() * block() * sizeof(float) : 0;
    return round_up((weighted_ ? table_bytes() : 0) + sums, size_t{64});
  }
  float* resampled(const Io& io, size_t at) const { return reinterpret_cast<float*>(io.scratch + sweep_scratch()) + at; }
  // `io` with the resampled sources in the place of the given ones; x holds them.
  Io gathered(const Io& io, std::vector<Tensor>& x) const {
    for (const Resampled& r : resampled_) {
      x[r.source] = {args_.x[r.source], resampled(io, r.x)};
      gather_samples(device_.threads(), io.x[r.source], r.step, x[r.source]);
    }
    Io out = io;
    out.x = x;
    return out;
  }

  bool needs_x() const { return args_.backward && (trains_weights() || (activation_ != Activation::linear && !slope_from_output(activation_))); }
  bool trains_weights() const { return weighted_ && args_.backward && !args_.frozen; }
  size_t block() const { return static_cast<size_t>(args_.y.block); }
  size_t output_blocks() const { return static_cast<size_t>(args_.y.channel_blocks()); }
  size_t items(size_t blocks) const { return static_cast<size_t>(args_.y.shape.n) * blocks * runs_; }
  size_t table_bytes() const { return round_up(args_.x.size() * padded_ * sizeof(float), size_t{64}); }
  size_t item_of(const Piece& p) const { return (p.image * output_blocks() + p.block) * runs_ + p.first / kPixels; }
  Piece piece(size_t item, size_t blocks) const {
    const size_t first = item % runs_ * kPixels;
    return {item / runs_ / blocks, item / runs_ % blocks, first, std::min(kPixels, args_.y.shape.plane() - first)};
  }
  float* at(float* data, const TensorDesc& desc, const Piece& p) const {
    return data + p.image * desc.image_stride() + p.block * desc.block_stride() + p.first * block();
  }
  bool has_block(size_t source, const Piece& p) const { return p.block < static_cast<size_t>(args_.x[source].channel_blocks()); }

  // Weight s of channel c in the layer's parameters.
  size_t weight_index(size_t s, size_t c) const { return per_channel_ ? s * static_cast<size_t>(args_.y.shape.c) + c : s; }

  // The normalized weights as [source][padded channel] in scratch; null without weights.
  const float* mix(const Io& io) const {
    if (!weighted_) return nullptr;
    float* table = reinterpret_cast<float*>(io.scratch);
    std::fill_n(table, args_.x.size() * padded_, 0.f);
    std::vector<double> w(args_.x.size()), g(args_.x.size());
    for (size_t c = 0; c < static_cast<size_t>(args_.y.shape.c); ++c) {
      if (c == 0 || per_channel_) {
        for (size_t s = 0; s < w.size(); ++s) w[s] = static_cast<double>(io.params[0].value[weight_index(s, c)]);
        mix_weights(norm_, w, g);
      }
      for (size_t s = 0; s < g.size(); ++s) table[s * padded_ + c] = static_cast<float>(g[s]);
    }
    return table;
  }

  Addends addends(const Io& io, const float* table, const Piece& p) const {
    Addends a;
    a.block = args_.y.block;
    a.pixels = p.pixels;
    a.weighted = weighted_;
    for (size_t s = 0; s < args_.x.size(); ++s) {
      if (!has_block(s, p)) continue;
      a.x[a.count] = at(io.x[s].data, args_.x[s], p);
      a.g[a.count++] = table ? table + s * padded_ + p.block * block() : nullptr;
    }
    return a;
  }

  // `sums` (or null): [item of the output][source][lane].
  void backward_piece(const Io& io, const float* table, float* sums, const Piece& p) {
    alignas(64) std::array<float, kPixels * 16> z;
    const bool in_output = p.block < output_blocks();
    float* dz = in_output ? at(io.dy.data, args_.y, p) : nullptr;
    if (in_output && activation_ != Activation::linear) {
      const bool from_output = slope_from_output(activation_);
      if (!from_output) HWY_DYNAMIC_DISPATCH(sum_piece)(addends(io, table, p), z.data());
      HWY_DYNAMIC_DISPATCH(slope_piece)(activation_, args_.y.block, from_output ? at(io.y.data, args_.y, p) : z.data(), dz, p.pixels);
    }
    for (size_t s = 0; s < args_.x.size(); ++s) {  // in order: a layer listed twice adds to its own gradient
      float* sum = sums && in_output ? sums + (item_of(p) * args_.x.size() + s) * block() : nullptr;
      if (!has_block(s, p)) {
        if (sum) std::fill_n(sum, block(), 0.f);
        continue;
      }
      const Write write = args_.dx[s];
      float* dx = write == Write::none ? nullptr : at(io.dx[s].data, args_.x[s], p);
      if (!in_output) {
        if (write == Write::overwrite) std::fill_n(dx, p.pixels * block(), 0.f);
        continue;
      }
      const int lanes = std::min(args_.x[s].shape.c, args_.y.shape.c) - static_cast<int>(p.block * block());
      const Share share{args_.y.block, p.pixels, lanes, table ? table + s * padded_ + p.block * block() : nullptr,
                        sum ? at(io.x[s].data, args_.x[s], p) : nullptr, dx, write == Write::accumulate, sum};
      if (dx || sum) HWY_DYNAMIC_DISPATCH(share_piece)(share, dz);
    }
  }

  void weight_gradient(const Io& io, const Pass& pass, const float* sums) const {
    const size_t sources = args_.x.size(), channels = static_cast<size_t>(args_.y.shape.c);
    std::vector<double> dg(sources * padded_, 0.0);
    for (size_t item = 0; item < items(output_blocks()); ++item) {
      const size_t block_index = piece(item, output_blocks()).block;
      for (size_t s = 0; s < sources; ++s)
        for (size_t l = 0; l < block(); ++l)
          dg[s * padded_ + block_index * block() + l] += static_cast<double>(sums[(item * sources + s) * block() + l]);
    }
    const std::span<float> value = io.params[0].value, grad = io.params[0].grad;
    if (pass.param_grads == Write::overwrite) std::fill(grad.begin(), grad.end(), 0.f);
    std::vector<double> w(sources), column(sources, 0.0), dw(sources);
    for (size_t c = 0; c < channels; ++c) {
      for (size_t s = 0; s < sources; ++s) column[s] = dg[s * padded_ + c] + (per_channel_ ? 0 : column[s]);
      if (!per_channel_ && c + 1 < channels) continue;
      for (size_t s = 0; s < sources; ++s) w[s] = static_cast<double>(value[weight_index(s, c)]);
      mix_weights_gradient(norm_, w, column, dw);
      for (size_t s = 0; s < sources; ++s) grad[weight_index(s, c)] += static_cast<float>(dw[s]);
    }
  }

  cpu::Device& device_;
  KernelArgs args_;
  bool weighted_, per_channel_;
  MixNorm norm_;
  Activation activation_;
  size_t blocks_ = 0;   // channel blocks of the widest tensor
  size_t runs_ = 0;     // pieces of a plane
  size_t padded_ = 0;   // channels of y, padding included
  std::vector<Resampled> resampled_;
  size_t resampled_floats_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> Shortcut::compile_cpu(const Shortcut& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<ShortcutCpu>(layer, device, args);
}

}  // namespace dn
#endif
