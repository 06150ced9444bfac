// [maxpool] on the CPU. Three ways, chosen once per kernel:
//   direct     every window on its own: small windows (2x2/2 and 3x3/2 are bound by memory)
//   separable  row maxima in a ring of `size` rows, then column maxima: 2 * size instead of size^2 comparisons (5/9/13 with stride 1).
//              The smallest row that holds the maximum, and its first column, is the first in row order: the winner is the same.
//   backward   each (image, channel block) or, for windows that tile the map, each row of windows owns the gradient cells it writes: no races, and
//              the order of additions never changes
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "layers/maxpool/maxpool_cpu.cpp"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

#include <algorithm>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/maxpool/maxpool.h"

#ifndef DN_LAYERS_MAXPOOL_CPU
#define DN_LAYERS_MAXPOOL_CPU
namespace dn {
namespace {

enum class Argmax { none, byte, two_bytes };

struct Pool {
  int size = 1, stride_y = 1, stride_x = 1, offset = 0;
  Shape in, out;
  int block = 16;
  Argmax argmax = Argmax::none;
  bool accumulate = false;
};

// Valid part of a window along one axis, as places inside the window.
struct Reach {
  int first, last;
};
inline Reach reach(int start, int size, int length) { return {start < 0 ? -start : 0, start + size > length ? length - start : size}; }

struct NoIndex {};  // inference: no winner is kept

}  // namespace
}  // namespace dn
#endif

HWY_BEFORE_NAMESPACE();
namespace dn {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

template <int B>
using Floats = hn::CappedTag<float, B>;
template <int B>
using Ints = hn::RebindToSigned<Floats<B>>;

// Where the winner of value `offset` is kept; inference has no such array.
template <class Index>
Index* index_at(Index* index, size_t offset) {
  if constexpr (std::is_same_v<Index, NoIndex>) return index;
  else return index + offset;
}

template <int B, class Index, class V>
void store_index(V winner, Index* to) {
  if constexpr (!std::is_same_v<Index, NoIndex>) {
    const hn::Rebind<Index, Ints<B>> narrow;
    hn::StoreU(hn::DemoteTo(narrow, winner), narrow, to);
  }
}

// One lane vector of one window: `x` at the window's (possibly outside) corner, cells [rows] x [columns].
template <int B, class Index>
HWY_INLINE void window_max(const float* x, ptrdiff_t row, int size, Reach rows, Reach columns, float* y, Index* index) {
  const Floats<B> d;
  const Ints<B> di;
  auto best = hn::Load(d, x + rows.first * row + columns.first * B);
  auto winner = hn::Set(di, rows.first * size + columns.first);
  for (int a = rows.first; a < rows.last; ++a)
    for (int b = columns.first; b < columns.last; ++b) {
      const auto v = hn::Load(d, x + a * row + b * B);
      const auto larger = hn::Gt(v, best);
      best = hn::IfThenElse(larger, v, best);
      if constexpr (!std::is_same_v<Index, NoIndex>) winner = hn::IfThenElse(hn::RebindMask(di, larger), hn::Set(di, a * size + b), winner);
    }
  hn::Store(best, d, y);
  store_index<B>(winner, index);
}

// Row i of one plane, every window on its own. kSize > 0: known while compiling.
template <int B, class Index, int kSize>
void direct_row(const Pool& p, const float* x, float* y, Index* index, int i) {
  const Floats<B> d;
  const int size = kSize > 0 ? kSize : p.size, top = i * p.stride_y - p.offset;
  const ptrdiff_t row = static_cast<ptrdiff_t>(p.in.w) * B;
  const Reach rows = reach(top, size, p.in.h);
  for (int j = 0; j < p.out.w; ++j) {
    const int left = j * p.stride_x - p.offset;
    const Reach columns = reach(left, size, p.in.w);
    const float* corner = x + top * row + static_cast<ptrdiff_t>(left) * B;
    const bool whole = rows.last - rows.first == size && columns.last - columns.first == size;
    const size_t to = (static_cast<size_t>(i) * p.out.w + j) * B;
    for (size_t l = 0; l < B; l += hn::Lanes(d)) {
      if (whole)
        window_max<B>(corner + l, row, size, {0, size}, {0, size}, y + to + l, index_at(index, to + l));
      else
        window_max<B>(corner + l, row, size, rows, columns, y + to + l, index_at(index, to + l));
    }
  }
}

// Maxima of row `a` of x over the windows' columns, with the winner's column.
template <int B, class Index>
void row_maxima(const Pool& p, const float* x, float* maxima, uint8_t* places) {
  const Floats<B> d;
  for (int j = 0; j < p.out.w; ++j) {
    const int left = j * p.stride_x - p.offset;
    for (size_t l = 0; l < B; l += hn::Lanes(d)) {
      using Place = std::conditional_t<std::is_same_v<Index, NoIndex>, NoIndex, uint8_t>;
      const size_t to = static_cast<size_t>(j) * B + l;
      window_max<B>(x + static_cast<ptrdiff_t>(left) * B + l, 0, p.size, {0, 1}, reach(left, p.size, p.in.w), maxima + to,
                    reinterpret_cast<Place*>(places + to));
    }
  }
}

// A whole plane through a ring of `size` rows of row maxima; `scratch` holds the ring's values, then its places.
template <int B, class Index>
void separable_plane(const Pool& p, const float* x, float* y, Index* index, std::byte* scratch) {
  const Floats<B> d;
  const Ints<B> di;
  const hn::Rebind<uint8_t, Ints<B>> bytes;
  const size_t row = static_cast<size_t>(p.out.w) * B;
  float* ring = reinterpret_cast<float*>(scratch);
  uint8_t* places = reinterpret_cast<uint8_t*>(ring + static_cast<size_t>(p.size) * row);
  for (int i = 0, done = 0; i < p.out.h; ++i) {
    const int top = i * p.stride_y - p.offset;
    const Reach rows = reach(top, p.size, p.in.h);
    for (done = std::max(done, top + rows.first); done < top + rows.last; ++done) {
      const size_t slot = static_cast<size_t>(done % p.size) * row;
      row_maxima<B, Index>(p, x + static_cast<size_t>(done) * p.in.w * B, ring + slot, places + slot);
    }
    for (size_t e = 0; e < row; e += hn::Lanes(d)) {
      const auto slot = [&](int a) { return static_cast<size_t>((top + a) % p.size) * row + e; };
      const auto place = [&](int a) {
        if constexpr (std::is_same_v<Index, NoIndex>) return hn::Zero(di);
        else return hn::Add(hn::PromoteTo(di, hn::LoadU(bytes, places + slot(a))), hn::Set(di, a * p.size));
      };
      auto best = hn::Load(d, ring + slot(rows.first));
      auto winner = place(rows.first);
      for (int a = rows.first + 1; a < rows.last; ++a) {
        const auto v = hn::Load(d, ring + slot(a));
        const auto larger = hn::Gt(v, best);
        best = hn::IfThenElse(larger, v, best);
        if constexpr (!std::is_same_v<Index, NoIndex>) winner = hn::IfThenElse(hn::RebindMask(di, larger), place(a), winner);
      }
      hn::Store(best, d, y + i * row + e);
      store_index<B>(winner, index_at(index, i * row + e));
    }
  }
}

template <int B, class Index>
void direct(const Pool& p, const float* x, float* y, Index* index, int i) {
  if (p.size == 2)
    direct_row<B, Index, 2>(p, x, y, index, i);
  else if (p.size == 3)
    direct_row<B, Index, 3>(p, x, y, index, i);
  else
    direct_row<B, Index, 0>(p, x, y, index, i);
}

// Adds dy where a window cell is the winner (or overwrites: kAdd false), for cells [rows] x [columns].
template <int B, class Index, bool kAdd>
HWY_INLINE void spread_window(const float* dy, const Index* index, float* dx, ptrdiff_t row, int size, Reach rows, Reach columns) {
  const Floats<B> d;
  const Ints<B> di;
  const hn::Rebind<Index, Ints<B>> narrow;
  const auto gradient = hn::Load(d, dy);
  const auto winner = hn::PromoteTo(di, hn::LoadU(narrow, index));
  for (int a = rows.first; a < rows.last; ++a)
    for (int b = columns.first; b < columns.last; ++b) {
      float* to = dx + a * row + b * B;
      const auto v = hn::IfThenElseZero(hn::RebindMask(d, hn::Eq(winner, hn::Set(di, a * size + b))), gradient);
      hn::Store(kAdd ? hn::Add(hn::Load(d, to), v) : v, d, to);
    }
}

// Windows that tile the map (stride = size, no offset): row i of windows owns its rows of dx, the last one also the rest below.
template <int B, class Index, bool kAdd>
void backward_tiles(const Pool& p, const float* dy, const Index* index, float* dx, int i) {
  const Floats<B> d;
  const ptrdiff_t row = static_cast<ptrdiff_t>(p.in.w) * B;
  const Reach rows = reach(i * p.size, p.size, p.in.h);
  float* band = dx + static_cast<ptrdiff_t>(i) * p.size * row;
  for (int j = 0; j < p.out.w; ++j) {
    const Reach columns = reach(j * p.size, p.size, p.in.w);
    const size_t from = (static_cast<size_t>(i) * p.out.w + j) * B;
    for (size_t l = 0; l < B; l += hn::Lanes(d))
      spread_window<B, Index, kAdd>(dy + from + l, index + from + l, band + static_cast<ptrdiff_t>(j) * p.size * B + l, row, p.size, rows, columns);
  }
  if (kAdd) return;
  const ptrdiff_t covered = std::min<ptrdiff_t>(static_cast<ptrdiff_t>(p.out.w) * p.size * B, row);
  for (int a = 0; a < rows.last; ++a) std::fill(band + a * row + covered, band + (a + 1) * row, 0.f);
  if (i + 1 == p.out.h) std::fill(band + rows.last * row, dx + p.in.h * row, 0.f);
}

// Any windows, one whole plane: rows are cleared just ahead of the windows that reach them.
template <int B, class Index>
void backward_plane(const Pool& p, const float* dy, const Index* index, float* dx, const int* steps) {
  const Floats<B> d;
  const ptrdiff_t row = static_cast<ptrdiff_t>(p.in.w) * B;
  ptrdiff_t cleared = p.accumulate ? p.in.h : 0;
  for (int i = 0; i < p.out.h; ++i) {
    const int top = i * p.stride_y - p.offset;
    const Reach rows = reach(top, p.size, p.in.h);
    for (; cleared < top + rows.last; ++cleared) std::fill_n(dx + cleared * row, row, 0.f);
    for (int j = 0; j < p.out.w; ++j) {
      const int left = j * p.stride_x - p.offset;
      const size_t from = (static_cast<size_t>(i) * p.out.w + j) * B;
      const ptrdiff_t corner = top * row + static_cast<ptrdiff_t>(left) * B;
      if (p.size <= 3) {
        const Reach columns = reach(left, p.size, p.in.w);
        for (size_t l = 0; l < B; l += hn::Lanes(d))
          spread_window<B, Index, true>(dy + from + l, index + from + l, dx + corner + static_cast<ptrdiff_t>(l), row, p.size, rows, columns);
      } else {
        for (int l = 0; l < B; ++l) dx[corner + steps[index[from + l]] + l] += dy[from + l];
      }
    }
  }
  for (; cleared < p.in.h; ++cleared) std::fill_n(dx + cleared * row, row, 0.f);
}

// The doors of this target: block size and index type become types.
template <class Body>
void with_types(const Pool& p, void* index, const Body& body) {
  const auto indexed = [&](auto* typed) {
    p.block == 16 ? body(std::integral_constant<int, 16>(), typed) : body(std::integral_constant<int, 8>(), typed);
  };
  if (p.argmax == Argmax::byte)
    indexed(static_cast<uint8_t*>(index));
  else if (p.argmax == Argmax::two_bytes)
    indexed(static_cast<uint16_t*>(index));
  else
    indexed(static_cast<NoIndex*>(index));
}

void forward_row(const Pool& p, const float* x, float* y, void* index, int i) {
  with_types(p, index, [&](auto b, auto* typed) { direct<b()>(p, x, y, typed, i); });
}
void forward_plane(const Pool& p, const float* x, float* y, void* index, std::byte* scratch) {
  with_types(p, index, [&](auto b, auto* typed) { separable_plane<b()>(p, x, y, typed, scratch); });
}
void gradient_row(const Pool& p, const float* dy, void* index, float* dx, int i) {
  with_types(p, index, [&](auto b, auto* typed) {
    using Index = std::remove_pointer_t<decltype(typed)>;
    if constexpr (!std::is_same_v<Index, NoIndex>)
      p.accumulate ? backward_tiles<b(), Index, true>(p, dy, typed, dx, i) : backward_tiles<b(), Index, false>(p, dy, typed, dx, i);
  });
}
void gradient_plane(const Pool& p, const float* dy, void* index, float* dx, const int* steps) {
  with_types(p, index, [&](auto b, auto* typed) {
    using Index = std::remove_pointer_t<decltype(typed)>;
    if constexpr (!std::is_same_v<Index, NoIndex>) backward_plane<b(), Index>(p, dy, typed, dx, steps);
  });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace dn
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {
namespace {

HWY_EXPORT(forward_row);
HWY_EXPORT(forward_plane);
HWY_EXPORT(gradient_row);
HWY_EXPORT(gradient_plane);

class MaxpoolCpu : public Kernel {
 public:
  MaxpoolCpu(const Maxpool& layer, cpu::Device& device, const KernelArgs& args) : device_(device), dx_(args.dx) {
    const MaxpoolSpec& spec = layer.spec();
    ensure(args.x[0].block == args.y.block && (args.y.block == 8 || args.y.block == 16), "maxpool needs blocked tensors");
    pool_ = {spec.size, spec.stride_y, spec.stride_x, spec.offset(), args.x[0].shape, args.y.shape, args.y.block};
    planes_ = static_cast<size_t>(args.y.shape.n) * static_cast<size_t>(args.y.channel_blocks());
    if (args.backward && !dx_.empty() && dx_[0] != Write::none) {
      pool_.argmax = spec.size <= 15 ? Argmax::byte : Argmax::two_bytes;
      index_bytes_ = args.y.count() * index_size();
    }
    separable_ = spec.stride_y + 1 < spec.size;
    tiles_ = spec.stride_y == spec.size && spec.stride_x == spec.size && spec.offset() == 0;
    const size_t ring = static_cast<size_t>(spec.size) * static_cast<size_t>(args.y.shape.w) * static_cast<size_t>(args.y.block);
    ring_bytes_ = separable_ ? round_up(ring * (sizeof(float) + 1), size_t{64}) : 0;
    for (int k = 0; index_bytes_ > 0 && k < spec.size * spec.size; ++k)
      steps_.push_back((k / spec.size * args.x[0].shape.w + k % spec.size) * args.y.block);
  }

  Needs needs() const override {
    Needs needs;
    if (index_bytes_ > 0) needs.saved = {index_bytes_};
    needs.forward_scratch = ring_bytes_ * static_cast<size_t>(device_.threads());
    return needs;
  }

  void forward(const Io& io, const Pass&) override {
    const float* x = io.x[0].data;
    float* y = io.y.data;
    std::byte* index = index_bytes_ > 0 ? io.saved[0] : nullptr;
    if (separable_) {
      const size_t workers = static_cast<size_t>(device_.threads());  // a worker owns a ring and a run of planes
      cpu::parallel_for(device_.threads(), workers, [&](size_t worker) {
        for (size_t plane = planes_ * worker / workers; plane < planes_ * (worker + 1) / workers; ++plane)
          HWY_DYNAMIC_DISPATCH(forward_plane)(pool_, x + plane * in(), y + plane * out(), index + plane * out() * index_size(),
                                              io.scratch + worker * ring_bytes_);
      });
    } else {
      const size_t rows = static_cast<size_t>(pool_.out.h);
      cpu::parallel_for(device_.threads(), planes_ * rows, [&](size_t item) {
        const size_t plane = item / rows;
        HWY_DYNAMIC_DISPATCH(forward_row)(pool_, x + plane * in(), y + plane * out(), index + plane * out() * index_size(),
                                          static_cast<int>(item % rows));
      });
    }
  }

  void backward(const Io& io, const Pass&) override {
    if (index_bytes_ == 0) return;
    Pool pool = pool_;
    pool.accumulate = dx_[0] == Write::accumulate;
    const float* dy = io.dy.data;
    float* dx = io.dx[0].data;
    std::byte* index = io.saved[0];
    const size_t rows = tiles_ ? static_cast<size_t>(pool_.out.h) : 1;
    cpu::parallel_for(device_.threads(), planes_ * rows, [&](size_t item) {
      const size_t plane = item / rows;
      std::byte* from = index + plane * out() * index_size();
      if (tiles_)
        HWY_DYNAMIC_DISPATCH(gradient_row)(pool, dy + plane * out(), from, dx + plane * in(), static_cast<int>(item % rows));
      else
        HWY_DYNAMIC_DISPATCH(gradient_plane)(pool, dy + plane * out(), from, dx + plane * in(), steps_.data());
    });
  }

 private:
  size_t in() const { return pool_.in.plane() * static_cast<size_t>(pool_.block); }    // floats of a plane of one channel block
  size_t out() const { return pool_.out.plane() * static_cast<size_t>(pool_.block); }
  size_t index_size() const { return pool_.argmax == Argmax::none ? 0 : pool_.argmax == Argmax::byte ? 1 : 2; }

  cpu::Device& device_;
  std::vector<Write> dx_;
  Pool pool_;
  size_t planes_ = 0, index_bytes_ = 0, ring_bytes_ = 0;
  bool separable_ = false, tiles_ = false;
  std::vector<int> steps_;  // winner's place in the window -> floats from the window's corner
};

}  // namespace

std::unique_ptr<Kernel> Maxpool::compile_cpu(const Maxpool& layer, cpu::Device& device, const KernelArgs& args) {
  return antialiased(layer.antialias(), device, args, layer.pooled_shape(args.x[0].shape), [&](const KernelArgs& own) -> std::unique_ptr<Kernel> {
    if (layer.spec().maxpool_depth) return compile_depth_cpu(device, own);
    return std::make_unique<MaxpoolCpu>(layer, device, own);
  });
}

}  // namespace dn
#endif
