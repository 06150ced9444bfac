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
#include "device/cuda/device.h"
#include "graph/network.h"
#include "image/truth.h"

namespace dn::bench {

struct Arguments {
  std::string cfg;
  int batch = 0, threads = 0, runs = 10, width = 0, height = 0;   // 0: the cfg's
  int gpu = -1;        // -1: the CPU
  cuda::Precision precision = cuda::Precision::bf16;
  bool json = false, profile = false;
  size_t budget = 0;   // of a training plan's arena; 0: everything is kept
  cpu::ConvAlgorithm convolution = cpu::ConvAlgorithm::automatic;
};

inline cuda::Precision precision_of(std::string_view name) {
  for (const cuda::Precision p : {cuda::Precision::fp32, cuda::Precision::tf32, cuda::Precision::bf16, cuda::Precision::fp16})
    if (cuda::precision_name(p) == name) return p;
  fail("--precision ", name, ": expected fp32, tf32, bf16 or fp16");
}

inline Arguments parse_arguments(int argc, char** argv, int batch) {
  Arguments a;
  a.batch = batch;
  const auto number = [&](int& i) {
    const auto value = i + 1 < argc ? parse_integer(argv[i + 1]) : std::nullopt;
    if (!value || *value < 0 || *value > 4096) fail(argv[i], ": expected a number from 0 to 4096");
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
    else if (word == "--width")
      a.width = number(i);
    else if (word == "--height")
      a.height = number(i);
    else if (word == "--gpu")
      a.gpu = number(i);
    else if (word == "--precision" && i + 1 < argc)
      a.precision = precision_of(argv[++i]);
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
      fail("unknown argument ", word, "; expected CFG [--batch N] [--threads N] [--runs N] [--width N] [--height N] [--gpu N] [--precision P] [--json] [--profile] [--direct] [--budget SIZE]");
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

// The GPU that was asked for, else the CPU.
inline std::unique_ptr<Device> open_device(const Arguments& a) {
  if (a.gpu < 0) return std::make_unique<cpu::Device>(cpu::DeviceOptions{.threads = a.threads, .convolution = a.convolution});
  cuda::DeviceOptions options;
  options.gpu = a.gpu;
  options.precision = a.precision;
  options.convolutions.measure = true;
  options.threads = a.threads;
  return std::make_unique<cuda::Device>(options);
}

inline double peak_rss_mib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

}  // namespace dn::bench
