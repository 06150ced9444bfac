// The generator behind Rng (rng.h) as pure functions, for GPU kernels too: words number 4 b .. 4 b + 3 of a stream are block b.
#pragma once

#include <cstdint>

#include "base/host_device.h"

namespace dn::philox {

// SplitMix64's mixer; folds the 64-bit names of a stream into the 32-bit words Philox takes.
DN_HD inline uint64_t mix(uint64_t z) {
  z += 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

struct Stream {
  uint32_t key[2];
  uint32_t name[3];  // the counter without its first word, the number of the block
};

struct Block {
  uint32_t w[4];
};

DN_HD inline Stream stream(uint64_t seed, uint32_t use, uint64_t a, uint64_t b) {
  const uint64_t key = mix(seed ^ mix(use)), name = mix(a ^ mix(b + 0x632be59bd9b4e019ull));
  return {{static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32)},
          {static_cast<uint32_t>(a), static_cast<uint32_t>(name), static_cast<uint32_t>(name >> 32)}};
}

constexpr uint32_t kFirstFactor = 0xD2511F53u, kSecondFactor = 0xCD9E8D57u, kFirstKeyStep = 0x9E3779B9u, kSecondKeyStep = 0xBB67AE85u;

// In plain variables: every access to an array is one that the sanitizers check.
DN_HD inline Block block(const Stream& stream, uint32_t number) {
  uint32_t c0 = number, c1 = stream.name[0], c2 = stream.name[1], c3 = stream.name[2];
  uint32_t k0 = stream.key[0], k1 = stream.key[1];
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{kFirstFactor} * c0, p1 = uint64_t{kSecondFactor} * c2;
    c0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<uint32_t>(p1);
    c2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<uint32_t>(p0);
    k0 += kFirstKeyStep;
    k1 += kSecondKeyStep;
  }
  return {{c0, c1, c2, c3}};
}

// A number in [0, 1) of two words: 27 bits of one and 26 of the next.
inline double fraction(uint32_t high, uint32_t low) {
  return static_cast<double>((static_cast<uint64_t>(high >> 5) << 26) + (low >> 6)) * (1.0 / 9007199254740992.0);
}

}  // namespace dn::philox
