#include "train/similar_filters.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/rng.h"
#include "device/cpu/parallel.h"
#include "train/sweeps.h"

namespace dn {
namespace {

struct Pair {
  size_t first = 0, second = 0;
  double cosine = -1;
};

// The weights of a layer that is a hidden convolution, by their shape [out][in][y][x]; else null.
const ParamSegment* hidden_filters(const Network& network, const Layer& layer, const std::set<int>& read_by_heads) {
  const std::vector<int> sources = layer.sources();
  if (read_by_heads.contains(layer.index()) || std::ranges::find(sources, kNetworkInput) != sources.end()) return nullptr;
  for (const ParamSegment* segment : network.params().of_layer(layer.index()))
    if (segment->spec.role == ParamRole::weight && segment->spec.shape.size() == 4 && segment->spec.shape[0] > 1) return segment;
  return nullptr;
}

// The first of the pairs with the largest cosine; filters of zeros have none.
Pair most_similar(std::span<const float> weights, size_t filters, int threads) {
  const size_t each = weights.size() / filters;
  const auto filter = [&](size_t f) { return weights.data() + f * each; };
  std::vector<double> lengths(filters);
  std::vector<Pair> best(filters);
  cpu::parallel_for(threads, filters, [&](size_t f) { lengths[f] = std::sqrt(dot(filter(f), filter(f), each)); });
  // Row f has filters - 1 - f partners: a short row goes with a long one.
  cpu::parallel_for(threads, (filters + 1) / 2, [&](size_t i) {
    for (const size_t f : {i, filters - 1 - i})
      for (size_t other = f + 1; other < filters && lengths[f] > 0; ++other) {
        if (!(lengths[other] > 0)) continue;
        const double cosine = dot(filter(f), filter(other), each) / (lengths[f] * lengths[other]);
        if (cosine > best[f].cosine) best[f] = {f, other, cosine};
      }
  });
  return *std::ranges::max_element(best, {}, &Pair::cosine);
}

}  // namespace

bool similar_filters_due(const NetSpec& net, int64_t iteration) {
  return net.weights_reject_freq > 0 && iteration % net.weights_reject_freq == 0 && 4 * iteration < 3 * int64_t{net.max_batches};
}

std::vector<RenewedFilter> renew_similar_filters(Network& network, Optimizer& optimizer, int64_t iteration, uint64_t seed, int frozen_layers,
                                                 int threads) {
  std::set<int> read_by_heads;
  for (const int head : network.head_layers())
    for (const int source : network.layers()[static_cast<size_t>(head)]->sources()) read_by_heads.insert(source);
  ParamStore& params = network.params();
  std::vector<RenewedFilter> renewed;
  for (const auto& layer : network.layers()) {
    const ParamSegment* segment = hidden_filters(network, *layer, read_by_heads);
    if (!segment || layer->index() < frozen_layers) continue;
    const size_t filters = segment->spec.shape[0], each = segment->spec.count / filters;
    const Pair pair = most_similar(params.values(*segment), filters, threads);
    if (!(pair.cosine > kSimilar)) continue;
    Rng rng(seed, RandomUse::weights, static_cast<uint64_t>(segment - params.segments().data()), static_cast<uint64_t>(iteration));
    const bool first = rng.coin();
    const size_t chosen = first ? pair.first : pair.second;
    for (float& value : params.values(*segment).subspan(chosen * each, each))
      value = static_cast<float>(rng.uniform(-segment->spec.init_range, segment->spec.init_range));
    std::ranges::fill(optimizer.velocity().subspan(segment->offset + chosen * each, each), 0.f);
    renewed.push_back({layer->index(), chosen, first ? pair.second : pair.first, pair.cosine});
  }
  if (!renewed.empty()) params.touch();
  return renewed;
}

}  // namespace dn
