// What the benchmark programs share: arguments, repeated timing, random weights and images, one line of JSON.
#pragma once

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/network.h"
#include "image/truth.h"

namespace dn::bench {

struct Arguments {
  std::string cfg;
  int batch = 0, threads = 0, runs = 10;
  bool json = false, profile = false;
  size_t budget = 0;   // of a training plan's arena; 0: everything is kept
  cpu::ConvAlgorithm convolution = cpu::ConvAlgorithm::automatic;
};

inline Arguments parse_arguments(int argc, char** argv, int batch) {
  Arguments a;
  a.batch = batch;
  const auto number = [&](int& i) {
    const auto value = i + 1 < argc ? parse_integer(argv[i + 1]) : std::nullopt;
    if (!value || *value < 1 || *value > 4096) fail(argv[i], ": expected a number from 1 to 4096");
    ++i;
    return static_cast<int>(*value);
  };
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--batch")
      a.batch = number(i);
    else if (word == "--threads")
      a.threads = number(i);
    else if (word == "--runs")
      a.runs = number(i);
    else if (const auto bytes = word == "--budget" && i + 1 < argc ? parse_bytes(argv[i + 1]) : std::nullopt)
      a.budget = *bytes, ++i;
    else if (word == "--json")
      a.json = true;
    else if (word == "--profile")
      a.profile = true;
    else if (word == "--direct")
      a.convolution = cpu::ConvAlgorithm::direct;
    else if (!word.starts_with("-") && a.cfg.empty())
      a.cfg = word;
    else
      fail("unknown argument ", word, "; expected CFG [--batch N] [--threads N] [--runs N] [--json] [--profile] [--direct] [--budget SIZE]");
  }
  return a;
}

struct Timing {
  double median = 0, min = 0, max = 0;   // ms
};

inline Timing time_runs(int runs, const std::function<void()>& body) {
  body();  // warm-up
  std::vector<double> ms;
  for (int i = 0; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    body();
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(ms.begin(), ms.end());
  return {ms[ms.size() / 2], ms.front(), ms.back()};
}

// Sane random weights: unit running statistics, so that activations neither vanish nor explode.
inline void random_weights(Network& network) {
  network.params().initialize(1);
  for (const ParamSegment& segment : network.params().segments())
    if (segment.spec.role == ParamRole::running_variance) std::ranges::fill(network.params().values(segment), 1.0f);
  network.params().touch();
}

inline std::vector<float> random_images(const Shape& input) {
  Rng rng(1, RandomUse::test);
  std::vector<float> images(input.count());
  for (float& v : images) v = static_cast<float>(rng.uniform());
  return images;
}

// A few boxes in every image.
inline std::vector<std::vector<TruthBox>> random_truth(int images) {
  std::vector<std::vector<TruthBox>> truth(static_cast<size_t>(images));
  for (size_t n = 0; n < truth.size(); ++n) {
    Rng rng(2, RandomUse::test, n);
    for (int i = 0; i < 5; ++i)
      truth[n].push_back({{static_cast<float>(rng.uniform(.1, .9)), static_cast<float>(rng.uniform(.1, .9)), static_cast<float>(rng.uniform(.05, .5)),
                           static_cast<float>(rng.uniform(.05, .5))},
                          0});
  }
  return truth;
}

inline double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

}  // namespace dn::bench
