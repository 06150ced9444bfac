// The bodies of update_kernels.h. What happens to one value is written in train/sweeps.h.
#include "train/cuda/update_kernels.h"

#include "device/cuda/launch.h"
#include "nn/cuda/block_sums.h"

namespace dn::cuda {
namespace {

constexpr int kBlock = BlockSums<double>::kThreads;

struct alignas(16) Four {  // what one load instruction brings; segments begin at multiples of 16 floats, pieces at multiples of 4
  float v[4];
};
DN_HD const Four* fours(const float* at) { return reinterpret_cast<const Four*>(at); }
DN_HD Four* fours(float* at) { return reinterpret_cast<Four*>(at); }

struct NoState {};

struct ScanBody {
  static constexpr int kThreads = kBlock, kPhases = 3;
  using State = NoState;
  using Shared = BlockSums<UpdateVerdict>;
  const UpdatePiece* pieces;
  const float* grads;
  float unscale;
  UpdateVerdict* of_pieces;

  template <int phase>
  DN_HD void run(const Place& place, State&, Shared& shared) const {
    if constexpr (phase == 0)
      shared.of[place.thread] = scan(place);
    else if constexpr (phase == 1)
      shared.fold_runs(place.thread);
    else if (place.thread == 0)
      of_pieces[place.x] = shared.fold_all();
  }

  DN_HD UpdateVerdict scan(const Place& place) const {
    const UpdatePiece piece = pieces[place.x];
    const float* g = grads + piece.offset;
    GradientRun run;
    for (int i = place.thread; i < piece.count / 4; i += kBlock) {
      const Four four = fours(g)[i];
      for (int k = 0; k < 4; ++k) run.take(four.v[k] * unscale);
    }
    if (const int i = piece.count / 4 * 4 + place.thread; i < piece.count) run.take(g[i] * unscale);
    return {static_cast<double>(run.squares), run.largest, run.finite ? kNoPiece : place.x};
  }
};

// One block: all pieces' results into one.
struct VerdictBody {
  static constexpr int kThreads = kBlock, kPhases = 3;
  using State = NoState;
  using Shared = BlockSums<UpdateVerdict>;
  const UpdateVerdict* of_pieces;
  int count;
  UpdateVerdict* verdict;

  template <int phase>
  DN_HD void run(const Place& place, State&, Shared& shared) const {
    if constexpr (phase == 0) {
      UpdateVerdict sum;
      for (int i = place.thread; i < count; i += kBlock) sum += of_pieces[i];
      shared.of[place.thread] = sum;
    } else if constexpr (phase == 1) {
      shared.fold_runs(place.thread);
    } else if (place.thread == 0) {
      *verdict = shared.fold_all();
    }
  }
};

struct CentralizeBody {
  static constexpr int kThreads = kBlock, kPhases = 4;
  using State = NoState;
  using Shared = BlockSums<double>;
  const UpdatePiece* filters;
  float* grads;
  const UpdateVerdict* verdict;

  template <int phase>
  DN_HD void run(const Place& place, State&, Shared& shared) const {
    if (verdict->broken != kNoPiece) return;
    const UpdatePiece filter = filters[place.x];
    float* g = grads + filter.offset;
    if constexpr (phase == 0) {
      double sum = 0;
      for (int i = place.thread; i < filter.count; i += kBlock) sum += static_cast<double>(g[i]);
      shared.of[place.thread] = sum;
    } else if constexpr (phase == 1) {
      shared.fold_runs(place.thread);
    } else if constexpr (phase == 2) {
      if (place.thread == 0) shared.fold_all();
    } else {
      const auto mean = static_cast<float>(shared.of[0] / static_cast<double>(filter.count));
      for (int i = place.thread; i < filter.count; i += kBlock) g[i] -= mean;
    }
  }
};

template <bool adam>
struct UpdateBody {
  static constexpr int kThreads = kBlock, kPhases = 1;
  using State = NoState;
  using Shared = NoState;
  const UpdatePiece* pieces;
  const UpdateRule* rules;
  float unscale;
  UpdateArrays arrays;
  const UpdateVerdict* verdict;

  DN_HD void entry(const UpdateRule& rule, float g, float& v, float& s, float& w) const {
    if constexpr (adam)
      rule.adam(g * unscale, v, s, w);
    else
      rule.sgd(g * unscale, v, w);
    if (rule.hold > 0) w = clamped(w, rule.hold);
  }

  template <int phase>
  DN_HD void run(const Place& place, State&, Shared&) const {
    if (verdict->broken != kNoPiece) return;
    const UpdatePiece piece = pieces[place.x];
    const UpdateRule rule = rules[piece.rule];
    const float* g = arrays.grads + piece.offset;
    float *w = arrays.values + piece.offset, *v = arrays.velocity + piece.offset, *s = adam ? arrays.squares + piece.offset : nullptr;
    for (int i = place.thread; i < piece.count / 4; i += kBlock) {
      const Four gradient = fours(g)[i];
      Four weight = fours(w)[i], velocity = fours(v)[i], square{};
      if constexpr (adam) square = fours(s)[i];
      for (int k = 0; k < 4; ++k) entry(rule, gradient.v[k], velocity.v[k], square.v[k], weight.v[k]);
      fours(w)[i] = weight;
      fours(v)[i] = velocity;
      if constexpr (adam) fours(s)[i] = square;
    }
    if (const int i = piece.count / 4 * 4 + place.thread; i < piece.count) entry(rule, g[i], v[i], adam ? s[i] : v[i], w[i]);
  }
};

struct CopyBody {
  static constexpr int kThreads = kBlock, kPhases = 1;
  using State = NoState;
  using Shared = NoState;
  const CopyPiece* pieces;
  const float* from;
  float* to;
  bool back;                     // the other way round,
  const UpdateVerdict* verdict;  // where it says that a gradient is broken

  template <int phase>
  DN_HD void run(const Place& place, State&, Shared&) const {
    if (back && verdict->broken == kNoPiece) return;
    const CopyPiece piece = pieces[place.x];
    const float* source = from + (back ? piece.to : piece.from);
    float* target = to + (back ? piece.from : piece.to);
    for (int i = place.thread; i < piece.count; i += kBlock) target[i] = source[i];
  }
};

struct RestoreCountersBody {
  const int64_t* from;
  int64_t* to;
  const UpdateVerdict* verdict;
  DN_HD void operator()(size_t i) const {
    if (verdict->broken != kNoPiece) to[i] = from[i];
  }
};

struct AverageBody {
  float share;
  const float* values;
  float* average;
  DN_HD void operator()(size_t i) const {
    const Four w = fours(values)[i];
    Four a = fours(average)[i];
    for (int k = 0; k < 4; ++k) average_entry(share, w.v[k], a.v[k]);
    fours(average)[i] = a;
  }
};

struct SwapBody {
  float *a, *b;
  DN_HD void operator()(size_t i) const {
    const Four kept = fours(a)[i];
    fours(a)[i] = fours(b)[i];
    fours(b)[i] = kept;
  }
};

}  // namespace

void scan_gradients(Stream& stream, const UpdatePiece* pieces, int count, const float* grads, float unscale, UpdateVerdict* of_pieces,
                    UpdateVerdict* verdict) {
  launch_blocks(stream, {count}, ScanBody{pieces, grads, unscale, of_pieces});
  launch_blocks(stream, {1}, VerdictBody{of_pieces, count, verdict});
}

void centralize_gradients(Stream& stream, const UpdatePiece* filters, int count, float* grads, const UpdateVerdict* verdict) {
  launch_blocks(stream, {count}, CentralizeBody{filters, grads, verdict});
}

void update_values(Stream& stream, const UpdatePiece* pieces, int count, const UpdateRule* rules, float unscale, const UpdateArrays& arrays,
                   const UpdateVerdict* verdict) {
  if (arrays.squares)
    launch_blocks(stream, {count}, UpdateBody<true>{pieces, rules, unscale, arrays, verdict});
  else
    launch_blocks(stream, {count}, UpdateBody<false>{pieces, rules, unscale, arrays, verdict});
}

void copy_pieces(Stream& stream, const CopyPiece* pieces, int count, const float* from, float* to) {
  launch_blocks(stream, {count}, CopyBody{pieces, from, to, false, nullptr});
}

void restore_pieces(Stream& stream, const CopyPiece* pieces, int count, const float* from, float* to, const UpdateVerdict* verdict) {
  launch_blocks(stream, {count}, CopyBody{pieces, from, to, true, verdict});
}

void restore_counters(Stream& stream, size_t count, const int64_t* from, int64_t* to, const UpdateVerdict* verdict) {
  for_each(stream, count, RestoreCountersBody{from, to, verdict});
}

void average_values(Stream& stream, size_t count, float share, const float* values, float* average) {
  for_each(stream, count / 4, AverageBody{share, values, average});
}

void swap_values(Stream& stream, size_t count, float* a, float* b) { for_each(stream, count / 4, SwapBody{a, b}); }

}  // namespace dn::cuda
