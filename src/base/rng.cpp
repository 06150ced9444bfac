#include "base/rng.h"

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace dn {
namespace {

// SplitMix64's mixer; folds the 64-bit names of a stream into the 32-bit words Philox takes.
uint64_t mix(uint64_t z) {
  z += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

}  // namespace

Rng::Rng(uint64_t seed, RandomUse use, uint64_t a, uint64_t b) {
  const uint64_t key = mix(seed ^ mix(static_cast<uint64_t>(use)));
  const uint64_t name = mix(a ^ mix(b + 0x632be59bd9b4e019ull));
  key_ = {static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)};
  counter_ = {0, static_cast<uint32_t>(a), static_cast<uint32_t>(name), static_cast<uint32_t>(name >> 32)};
}

void Rng::refill() {
  std::array<uint32_t, 4> c = counter_;
  c[0] = round_++;
  std::array<uint32_t, 2> k = key_;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = 0xD2511F53ull * c[0], p1 = 0xCD9E8D57ull * c[2];
    c = {static_cast<uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(p1), static_cast<uint32_t>(p0 >> 32) ^ c[3] ^ k[1],
         static_cast<uint32_t>(p0)};
    k[0] += 0x9E3779B9u;
    k[1] += 0xBB67AE85u;
  }
  block_ = c;
  used_ = 0;
}

uint32_t Rng::next() {
  if (used_ == 4) refill();
  return block_[static_cast<size_t>(used_++)];
}

double Rng::uniform() {
  const uint64_t high = next() >> 5, low = next() >> 6;
  return static_cast<double>(high * 67108864 + low) * (1.0 / 9007199254740992.0);
}

double Rng::uniform(double low, double high) { return low + (high - low) * uniform(); }

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
