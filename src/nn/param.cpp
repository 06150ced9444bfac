#include "nn/param.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

#include "base/rng.h"

namespace dn {
namespace {

// Versions are unique over all stores of the process, so a packed copy can never be mistaken for another network's.
uint64_t next_version() {
  static std::atomic<uint64_t> last{0};
  return ++last;
}

// init_mean + rng.uniform(-init_range, init_range) each, to the last bit.
void fill_uniform(Rng rng, const ParamSpec& spec, std::span<float> values) {
  std::array<double, 512> drawn;
  const double mean = spec.init_mean, low = -spec.init_range, width = spec.init_range - low;
  for (size_t at = 0; at < values.size(); at += drawn.size()) {
    const size_t count = std::min(drawn.size(), values.size() - at);
    rng.uniforms({drawn.data(), count});
    float* to = values.data() + at;
    for (size_t j = 0; j < count; ++j) to[j] = static_cast<float>(mean + (low + width * drawn[j]));
  }
}

}  // namespace

void ParamStore::add(int layer, const ParamSpec& spec) {
  ensure(values_.empty(), "parameters are added before allocation");
  segments_.push_back({layer, spec, count_});
  // Segments start on a cache line so that vector loops over one never touch another's.
  count_ += (spec.count + 15) / 16 * 16;
}

void ParamStore::share(int layer, int of) {
  ensure(values_.empty() && of >= 0 && of < layer, "parameters are shared with an earlier layer, before allocation");
  for (int next = static_cast<int>(owners_.size()); next <= layer; ++next) owners_.push_back(next);
  owners_[static_cast<size_t>(layer)] = owner(of);
}

int ParamStore::owner(int layer) const { return static_cast<size_t>(layer) < owners_.size() ? owners_[static_cast<size_t>(layer)] : layer; }

void ParamStore::allocate() {
  values_.assign(count_, 0.0f);
  version_ = next_version();
}

void ParamStore::allocate_grads() {
  if (grads_.size() != count_) grads_.assign(count_, 0.0f);
}

void ParamStore::initialize(uint64_t seed) {
  for (size_t i = 0; i < segments_.size(); ++i) {
    const ParamSpec& spec = segments_[i].spec;
    const std::span<float> values = this->values(segments_[i]);
    switch (spec.init) {
      case Init::zero: std::ranges::fill(values, 0.0f); break;
      case Init::one: std::ranges::fill(values, 1.0f); break;
      case Init::uniform: fill_uniform(Rng(seed, RandomUse::weights, i), spec, values); break;
    }
  }
  touch();
}

std::vector<const ParamSegment*> ParamStore::of_layer(int layer) const {
  std::vector<const ParamSegment*> found;
  for (const ParamSegment& segment : segments_)
    if (segment.layer == layer) found.push_back(&segment);
  return found;
}

std::span<float> ParamStore::grads() {
  if (stale_grads_) {
    stale_grads_ = false;
    copy_->fetch_grads(*this);
  }
  return grads_;
}

// Several threads may come upon stale values at once: one of them brings the others', which wait for it. The copy writes through values() itself.
void ParamStore::fetch() const {
  static std::mutex mutex;
  thread_local bool fetching = false;
  if (fetching) return;
  const std::lock_guard lock(mutex);
  if (!stale_values_) return;
  fetching = true;
  try {
    copy_->fetch_values(const_cast<ParamStore&>(*this));
  } catch (...) {
    fetching = false;
    throw;
  }
  fetching = false;
  stale_values_ = false;
}

void ParamStore::touch() { version_ = next_version(); }

std::vector<float> ParamStore::statistics() const {
  std::vector<float> out;
  for (const ParamSegment& segment : segments_)
    if (!segment.trained()) out.insert(out.end(), values(segment).begin(), values(segment).end());
  return out;
}

void ParamStore::set_statistics(std::span<const float> statistics) {
  for (const ParamSegment& segment : segments_) {
    if (segment.trained()) continue;
    std::ranges::copy(statistics.first(segment.spec.count), values(segment).begin());
    statistics = statistics.subspan(segment.spec.count);
  }
}

}  // namespace dn
