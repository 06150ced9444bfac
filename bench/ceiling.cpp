// What this machine can do at most, measured: single-precision fused multiply-adds per second in registers, and memory bandwidth of the triad
// a = b + s * c (McCalpin's STREAM; bytes counted without the read for ownership). Every speed that bench/run prints is set against these.
//
//   bench_ceiling [--threads N] [--json]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string_view>
#include <thread>
#include <vector>

#include "base/text.h"
#include "device/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/ceiling.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "bench/triad-inl.h"

HWY_BEFORE_NAMESPACE();
namespace dn::ceiling {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Ten independent chains hide the latency of the two multiply-add units. Returns the floating-point operations done (two per multiply-add).
double multiply_add(int64_t rounds, float* sink) {
  const hn::ScalableTag<float> d;
  const auto a = hn::Set(d, .999f), b = hn::Set(d, .001f);
  auto x0 = hn::Set(d, 0.f), x1 = hn::Set(d, 1.f), x2 = hn::Set(d, 2.f), x3 = hn::Set(d, 3.f), x4 = hn::Set(d, 4.f);
  auto x5 = hn::Set(d, 5.f), x6 = hn::Set(d, 6.f), x7 = hn::Set(d, 7.f), x8 = hn::Set(d, 8.f), x9 = hn::Set(d, 9.f);
  for (int64_t i = 0; i < rounds; ++i) {
    x0 = hn::MulAdd(x0, a, b), x1 = hn::MulAdd(x1, a, b), x2 = hn::MulAdd(x2, a, b), x3 = hn::MulAdd(x3, a, b), x4 = hn::MulAdd(x4, a, b);
    x5 = hn::MulAdd(x5, a, b), x6 = hn::MulAdd(x6, a, b), x7 = hn::MulAdd(x7, a, b), x8 = hn::MulAdd(x8, a, b), x9 = hn::MulAdd(x9, a, b);
  }
  const auto low = hn::Add(hn::Add(x0, x1), hn::Add(hn::Add(x2, x3), x4));
  const auto high = hn::Add(hn::Add(x5, x6), hn::Add(hn::Add(x7, x8), x9));
  *sink = hn::GetLane(hn::SumOfLanes(d, hn::Add(low, high)));
  return static_cast<double>(rounds) * 10 * 2 * static_cast<double>(hn::Lanes(d));
}

}  // namespace HWY_NAMESPACE
}  // namespace dn::ceiling
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn::ceiling {
namespace {

HWY_EXPORT(multiply_add);
HWY_EXPORT(triad);

constexpr int kRounds = 15;

double seconds_of(const auto& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double multiply_add_gflops(int threads) {
  std::vector<double> rates;
  std::vector<float> sinks(static_cast<size_t>(threads) * 16);
  std::vector<double> operations(static_cast<size_t>(threads));
  for (int round = 0; round < kRounds; ++round) {
    const double seconds = seconds_of([&] {
      cpu::parallel_for(threads, static_cast<size_t>(threads),
                        [&](size_t t) { operations[t] = HWY_DYNAMIC_DISPATCH(multiply_add)(4'000'000, &sinks[t * 16]); });
    });
    double sum = 0;
    for (double done : operations) sum += done;
    rates.push_back(sum / seconds / 1e9);
  }
  return median(rates);
}

double triad_gbytes(int threads) {
  constexpr size_t kCount = size_t{24} << 20;  // 96 MiB an array, beyond any cache here
  std::vector<float> a(kCount), b(kCount, 1.f), c(kCount, 2.f);
  std::vector<double> rates;
  for (int round = 0; round < kRounds; ++round) {
    const double seconds = seconds_of([&] {
      cpu::parallel_pieces(threads, kCount, size_t{1} << 16, [&](size_t first, size_t last) {
        HWY_DYNAMIC_DISPATCH(triad)(&a[first], &b[first], &c[first], last - first);
      });
    });
    rates.push_back(3.0 * kCount * sizeof(float) / seconds / 1e9);
  }
  return median(rates);
}

int run(int argc, char** argv) {
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  bool json = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") {
      json = true;
    } else if (argument == "--threads" && i + 1 < argc && parse_integer(argv[i + 1]).value_or(0) > 0) {
      threads = static_cast<int>(std::min<int64_t>(*parse_integer(argv[++i]), 1024));
    } else {
      std::fputs("usage: bench_ceiling [--threads N] [--json]\n", stderr);
      return 2;
    }
  }
  const std::string flops = fixed(multiply_add_gflops(threads), 1), bytes = fixed(triad_gbytes(threads), 1);
  const std::string line = json ? concat("{\"what\": \"ceiling\", \"threads\": ", threads, ", \"gflops\": ", flops, ", \"gb_per_s\": ", bytes, "}\n")
                                : concat(threads, " threads: ", flops, " GFLOP/s multiply-add, ", bytes, " GB/s triad\n");
  std::fputs(line.c_str(), stdout);
  return 0;
}

}  // namespace
}  // namespace dn::ceiling

int main(int argc, char** argv) { return dn::ceiling::run(argc, argv); }
#endif
