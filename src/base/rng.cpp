#include "base/rng.h"

#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/philox.h"

namespace dn {

Rng::Rng(uint64_t seed, RandomUse use, uint64_t a, uint64_t b) {
  const philox::Stream stream = philox::stream(seed, static_cast<uint32_t>(use), a, b);
  key_ = {stream.key[0], stream.key[1]};
  counter_ = {0, stream.name[0], stream.name[1], stream.name[2]};
}

void Rng::refill() {
  const philox::Block block = philox::block({{key_[0], key_[1]}, {counter_[1], counter_[2], counter_[3]}}, round_++);
  block_ = {block.w[0], block.w[1], block.w[2], block.w[3]};
  used_ = 0;
}

uint32_t Rng::next() {
  if (used_ == 4) refill();
  return block_[static_cast<size_t>(used_++)];
}

double Rng::uniform() {
  const uint32_t high = next(), low = next();
  return philox::fraction(high, low);
}

double Rng::uniform(double low, double high) { return low + (high - low) * uniform(); }

void Rng::uniforms(std::span<double> out) {
  const philox::Stream stream{{key_[0], key_[1]}, {counter_[1], counter_[2], counter_[3]}};
  double* to = out.data();
  double* const end = to + out.size();
  // Whole blocks, where none is half used.
  for (; used_ == 4 && end - to >= 2; to += 2) {
    const philox::Block block = philox::block(stream, round_++);
    to[0] = philox::fraction(block.w[0], block.w[1]);
    to[1] = philox::fraction(block.w[2], block.w[3]);
  }
  for (; to != end; ++to) *to = uniform();
}

uint32_t Rng::below(uint32_t count) {
  ensure(count > 0, "below(0)");
  const uint32_t limit = ~0u - ~0u % count;  // multiples of count only; the rest is drawn again
  uint32_t value = next();
  while (value >= limit) value = next();
  return value % count;
}

double Rng::normal() {
  const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

}  // namespace dn
