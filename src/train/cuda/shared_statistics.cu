#include "train/cuda/shared_statistics.h"

#include <vector>

#include "device/cuda/launch.h"
#include "nn/batch_norm_channel.h"

namespace dn::cuda {
namespace {

// A running mean or variance of one channel.
struct StatisticPlace {
  uint32_t value;   // in the parameters
  int layer;
};

// How a layer's statistics move.
struct LayerRule {
  NormSpec spec;
  int moves = 0;   // in a mini-batch: one for each layer that computes with them
};

// The product of (1 - w_t) for t in (from, to].
DN_HD double remainder_of(const NormSpec& spec, int64_t from, int64_t to) {
  double product = 1;
  for (int64_t t = from + 1; t <= to; ++t) product *= 1 - batch_norm::running_weight(spec, t, {});
  return product;
}

// Of one layer's counter: where the batch begins, where this GPU's share begins and ends, where the batch ends.
struct Moves {
  int64_t base, begin, now, end;
  DN_HD bool any() const { return now != begin; }   // not where they are held
};

struct Counters {
  const LayerRule* rules;
  const int64_t* base;   // before the batch
  const int64_t* now;
  int first, all;        // mini-batches
  DN_HD Moves of(int layer) const {
    const int64_t moves = rules[layer].moves;
    return {base[layer], base[layer] + first * moves, now[layer], base[layer] + all * moves};
  }
};

struct RememberValue {
  const StatisticPlace* places;
  const float* values;
  float* start;
  DN_HD void operator()(size_t i) const { start[i] = values[places[i].value]; }
};

struct AdvanceCounter {
  const LayerRule* rules;
  int64_t *base, *now;
  int first;
  DN_HD void operator()(size_t layer) const {
    base[layer] = now[layer];
    now[layer] += static_cast<int64_t>(first) * rules[layer].moves;
  }
};

struct DeliverPart {
  const StatisticPlace* places;
  Counters counters;
  const float *values, *start;
  float* grads;
  DN_HD void operator()(size_t i) const {
    const StatisticPlace place = places[i];
    const NormSpec& spec = counters.rules[place.layer].spec;
    const Moves moves = counters.of(place.layer);
    double part = 0;
    if (moves.any()) {
      const double own = values[place.value] - remainder_of(spec, moves.begin, moves.now) * static_cast<double>(start[i]);
      part = remainder_of(spec, moves.now, moves.end) * own;
    }
    grads[place.value] = static_cast<float>(part);
  }
};

struct FinishValue {
  const StatisticPlace* places;
  Counters counters;
  const float* start;
  float *grads, *values;
  DN_HD void operator()(size_t i) const {
    const StatisticPlace place = places[i];
    const Moves moves = counters.of(place.layer);
    if (moves.any()) {
      const double kept = remainder_of(counters.rules[place.layer].spec, moves.base, moves.end) * static_cast<double>(start[i]);
      values[place.value] = static_cast<float>(kept + static_cast<double>(grads[place.value]));
    }
    grads[place.value] = 0;
  }
};

struct FinishCounter {
  Counters counters;
  int64_t* now;
  DN_HD void operator()(size_t layer) const {
    const Moves moves = counters.of(static_cast<int>(layer));
    now[layer] = moves.any() ? moves.end : moves.base;
  }
};

template <class T>
std::unique_ptr<DeviceMemory> on_device(Device& device, const std::vector<T>& rows) {
  auto memory = device.allocate(std::max<size_t>(rows.size(), 1) * sizeof(T));
  device.stream().to_device(memory->data(), rows.data(), rows.size() * sizeof(T));
  device.synchronize();
  return memory;
}

template <class T>
T* as(const std::unique_ptr<DeviceMemory>& memory) {
  return reinterpret_cast<T*>(memory->data());
}

}  // namespace

SharedStatistics::SharedStatistics(const Network& network, ParamMirror& mirror, Device& device) : mirror_(mirror), device_(device), layers_(mirror.layers()) {
  const ParamStore& params = network.params();
  std::vector<StatisticPlace> places;
  for (const ParamSegment& segment : params.segments())
    for (size_t i = 0; !segment.trained() && i < segment.spec.count; ++i) places.push_back({static_cast<uint32_t>(segment.offset + i), segment.layer});
  std::vector<LayerRule> rules(layers_);
  for (const auto& layer : network.layers())
    if (const NormSpec* norm = layer->normalization(); norm && norm->batch_statistics()) {
      const size_t owner = static_cast<size_t>(params.owner(layer->index()));
      rules[owner].spec = *norm;
      ++rules[owner].moves;
    }
  values_ = places.size();
  places_ = on_device(device, places);
  rules_ = on_device(device, rules);
  start_ = device.allocate(std::max<size_t>(values_, 1) * sizeof(float));
  counters_ = device.allocate(layers_ * sizeof(int64_t));
}

void SharedStatistics::begin(int first) {
  first_ = first;
  for_each(device_.stream(), values_, RememberValue{as<StatisticPlace>(places_), mirror_.values(), as<float>(start_)});
  for_each(device_.stream(), layers_, AdvanceCounter{as<LayerRule>(rules_), as<int64_t>(counters_), mirror_.updates(0), first});
}

void SharedStatistics::deliver(int all) {
  const Counters counters{as<LayerRule>(rules_), as<int64_t>(counters_), mirror_.updates(0), first_, all};
  for_each(device_.stream(), values_, DeliverPart{as<StatisticPlace>(places_), counters, mirror_.values(), as<float>(start_), mirror_.grads()});
}

void SharedStatistics::finish(int all) {
  const Counters counters{as<LayerRule>(rules_), as<int64_t>(counters_), mirror_.updates(0), first_, all};
  for_each(device_.stream(), values_, FinishValue{as<StatisticPlace>(places_), counters, as<float>(start_), mirror_.grads(), mirror_.values()});
  for_each(device_.stream(), layers_, FinishCounter{counters, mirror_.updates(0)});
}

}  // namespace dn::cuda
