#include "layers/shortcut/shortcut_weights_cuda.h"

#include "layers/shortcut/mix_weights.h"
#include "nn/cuda/channel_sums.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::kEight;
using cuda::View;

constexpr int kMostSources = 64;

// Parameters and tables, an entry a source and channel (per channel) or a source.
struct Weights {
  const float* value;
  MixNorm norm;
  bool per_channel;
  int sources, channels;
  DN_HD size_t index(int source, int channel) const {
    return per_channel ? static_cast<size_t>(source) * static_cast<size_t>(channels) + static_cast<size_t>(channel) : static_cast<size_t>(source);
  }
  DN_HD void read(int channel, double* w) const {
    for (int s = 0; s < sources; ++s) w[s] = static_cast<double>(value[index(s, channel)]);
  }
};

// A column of the table; padding gets 0.
struct TableBody {
  Weights weights;
  int padded;
  float* table;
  DN_HD void operator()(size_t i) const {
    const int channel = static_cast<int>(i);
    double w[kMostSources], g[kMostSources];
    const bool there = channel < weights.channels;
    if (there) {
      weights.read(channel, w);
      mix_weights(weights.norm, weights.sources, w, g);
    }
    for (int s = 0; s < weights.sources; ++s)
      table[static_cast<size_t>(s) * static_cast<size_t>(padded) + i] = there ? static_cast<float>(g[s]) : 0.f;
  }
};

// What the sums over pixels are of: dz x of one source.
struct ProductSource {
  using Merge = cuda::MergeSums;
  using Sum = Eight;
  View dz, x;
  int step;
  DN_HD void add(Sum& sum, size_t pixel, int channel, int) const {
    Eight value;
    if (!sampled_eight(x, step, dz, pixel, channel, value)) return;
    const Eight gradient = dz.get_eight(dz.at(pixel, channel));
    for (int k = 0; k < kEight; ++k) sum.v[k] += gradient.v[k] * value.v[k];
  }
  DN_HD void pairs(const Sum& sum, float, cuda::Pair* out) const {
    for (int k = 0; k < kEight; ++k) out[k] = {static_cast<double>(sum.v[k]), 0};
  }
};

struct StoreSum {
  double* dg;  // of the source's channels
  DN_HD void operator()(int channel, int, const cuda::Pair& sum, double) const { dg[channel] = sum.a; }
};

DN_HD void store_gradient(const Weights& weights, int channel, const double* dg, float* grad, bool add) {
  double w[kMostSources], dw[kMostSources];
  weights.read(channel, w);
  mix_weights_gradient(weights.norm, weights.sources, w, dg, dw);
  for (int s = 0; s < weights.sources; ++s) {
    float& to = grad[weights.index(s, channel)];
    to = (add ? to : 0.f) + static_cast<float>(dw[s]);
  }
}

struct PerChannelBody {
  Weights weights;
  int padded;
  const double* dg;  // [source][padded]
  float* grad;
  bool add;
  DN_HD void operator()(size_t channel) const {
    double column[kMostSources];
    for (int s = 0; s < weights.sources; ++s) column[s] = dg[static_cast<size_t>(s) * static_cast<size_t>(padded) + channel];
    store_gradient(weights, static_cast<int>(channel), column, grad, add);
  }
};

// One block.
struct PerFeatureBody {
  static constexpr int kThreads = 64, kPhases = 3;
  Weights weights;
  int padded;
  const double* dg;
  float* grad;
  bool add;

  struct Shared {
    double part[kMostSources][kThreads];
    double total[kMostSources];
  };
  struct State {};

  template <int phase>
  DN_HD void run(const cuda::Place& place, State&, Shared& shared) const {
    if constexpr (phase == 0) {
      for (int s = 0; s < weights.sources; ++s) {
        double sum = 0;
        for (int channel = place.thread; channel < weights.channels; channel += kThreads)
          sum += dg[static_cast<size_t>(s) * static_cast<size_t>(padded) + static_cast<size_t>(channel)];
        shared.part[s][place.thread] = sum;
      }
    } else if constexpr (phase == 1) {
      if (place.thread >= weights.sources) return;
      double sum = 0;
      for (int thread = 0; thread < kThreads; ++thread) sum += shared.part[place.thread][thread];
      shared.total[place.thread] = sum;
    } else if (place.thread == 0) {
      store_gradient(weights, 0, shared.total, grad, add);
    }
  }
};

}  // namespace

ShortcutWeights::ShortcutWeights(const Shortcut& layer, const KernelArgs& args)
    : used_(layer.weighted()),
      per_channel_(layer.per_channel()),
      norm_(layer.norm()),
      sources_(static_cast<int>(args.x.size())),
      channels_(args.y.shape.c),
      padded_(args.y.padded_channels()),
      strips_(args.y, false) {
  ensure(!used_ || sources_ <= kMostSources, "too many sources");
}

void ShortcutWeights::normalize(cuda::Stream& stream, const Io& io) const {
  if (!used_) return;
  const Weights weights{io.params[0].value.data(), norm_, per_channel_, sources_, channels_};
  cuda::for_each(stream, static_cast<size_t>(padded_), TableBody{weights, padded_, reinterpret_cast<float*>(io.scratch)});
}

// dL/dg as [source][padded channel], then the scratch of the sums.
size_t ShortcutWeights::gradient_bytes() const { return dg_bytes() + strips_.scratch_bytes(); }
size_t ShortcutWeights::dg_bytes() const {
  return round_up(static_cast<size_t>(sources_) * static_cast<size_t>(padded_) * sizeof(double), size_t{64});
}

void ShortcutWeights::gradient(cuda::Stream& stream, const Io& io, const Pass& pass, std::span<const int> steps, std::byte* scratch) const {
  double* const dg = reinterpret_cast<double*>(scratch);
  for (int s = 0; s < sources_; ++s) {
    const size_t at = static_cast<size_t>(s);
    cuda::sum_channels(stream, strips_, ProductSource{cuda::view(io.dy), cuda::view(io.x[at]), steps[at]}, scratch + dg_bytes(),
                       StoreSum{dg + at * static_cast<size_t>(padded_)});
  }
  const Weights weights{io.params[0].value.data(), norm_, per_channel_, sources_, channels_};
  float* const grad = io.params[0].grad.data();
  const bool add = pass.param_grads == Write::accumulate;
  if (per_channel_)
    cuda::for_each(stream, static_cast<size_t>(channels_), PerChannelBody{weights, padded_, dg, grad, add});
  else
    cuda::launch_blocks(stream, {}, PerFeatureBody{weights, padded_, dg, grad, add});
}

}  // namespace dn
