// Filters that learned the same (weights_reject_freq): of each hidden convolution the most similar pair is looked for, and when the cosine between the two
// is above 0.4, one of them, by a coin, starts anew from random weights. Hidden: it reads another layer and no head reads it. The momentum of the
// filter is set to zero; bias, scale and statistics stay.
#pragma once

#include "graph/network.h"
#include "train/optimizer.h"

namespace dn {

inline constexpr double kSimilar = .4;

struct RenewedFilter {
  int layer = 0;
  size_t filter = 0, like = 0;
  double cosine = 0;
};

// In layer order. Depends on the weights, seed and iteration only. Layers below `frozen_layers` are left alone.
std::vector<RenewedFilter> renew_similar_filters(Network& network, Optimizer& optimizer, int64_t iteration, uint64_t seed, int frozen_layers,
                                                 int threads);

// Is it time? Every `frequency` iterations of the first three quarters.
bool similar_filters_due(const NetSpec& net, int64_t iteration);

}  // namespace dn
