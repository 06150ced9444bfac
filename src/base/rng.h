// Counter-based random numbers (Philox 4x32-10; Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
// A stream is named by (seed, a, b, purpose), for example (run seed, iteration, sample index, "augment"), so what a sample draws never
// depends on threads, on the order of work or on a resume.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace dn {

enum class RandomUse : uint32_t {
  weights = 1, sampling = 2, augment = 3, dropout = 4, resize = 5, synth = 6, anchors = 7, schedule = 8, test = 9, assignment = 10, crop = 20
};

class Rng {
 public:
  Rng(uint64_t seed, RandomUse use, uint64_t a = 0, uint64_t b = 0);

  uint32_t next();
  double uniform();                          // [0, 1)
  double uniform(double low, double high);   // [low, high)
  void uniforms(std::span<double> out);      // as many calls of uniform(), faster
  uint32_t below(uint32_t count);            // 0..count-1, without bias; count > 0
  bool coin() { return (next() & 1) != 0; }
  double normal();                           // mean 0, deviation 1 (Box-Muller)

 private:
  void refill();
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> block_{};
  int used_ = 4;
  uint32_t round_ = 0;
};

}  // namespace dn
