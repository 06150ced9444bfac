// For tests of a GPU's stream on a runtime that is late and strict (tests/fake_libraries/cudart.h). Its device memory is the host's, so what has not been done yet
// can be seen.
#pragma once

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "device/cuda/stream.h"
#include "tests/fake_libraries/cudart.h"

namespace dn::cuda {

using Bytes = std::vector<unsigned char>;

class StreamDriver : public testing::Test {
 protected:
  void SetUp() override { fake_cudart::start(); }
  void TearDown() override {
    EXPECT_EQ(fake_cudart::things(), fake_cudart::Things{}) << "something was not released";
    EXPECT_EQ(fake_cudart::last_error(), cudaSuccess);
  }
};

inline Bytes on_host(Stream& stream, const DeviceMemory& memory, size_t bytes) {
  Bytes data(bytes);
  stream.to_host(data.data(), memory.data(), bytes);
  stream.synchronize();
  return data;
}

template <class F>
std::string message(const F& work) {
  try {
    work();
  } catch (const OutOfMemory& e) {
    return concat("OutOfMemory: ", e.what());
  } catch (const Error& e) {
    return e.what();
  }
  return "none";
}

inline void elsewhere(const std::function<void()>& work) { std::thread(work).join(); }

// Sends pieces of many sizes one after another, each of which changes as soon as the call returns.
inline void send_and_compare(Stream& stream, const std::vector<size_t>& sizes, uint64_t seed) {
  const size_t all = std::accumulate(sizes.begin(), sizes.end(), size_t{0});
  const auto memory = stream.allocate(all);
  Bytes expected;
  Rng rng(seed, RandomUse::test);
  for (const size_t size : sizes) {
    Bytes data(size);
    std::iota(data.begin(), data.end(), static_cast<unsigned char>(rng.below(256)));
    stream.to_device(memory->data() + expected.size(), data.data(), size);
    expected.insert(expected.end(), data.begin(), data.end());
    std::ranges::fill(data, static_cast<unsigned char>(0xee));
  }
  EXPECT_TRUE(on_host(stream, *memory, all) == expected);
}

inline std::vector<size_t> many_sizes(size_t count, uint64_t seed) {
  std::vector<size_t> sizes;
  Rng rng(seed, RandomUse::test);
  for (size_t i = 0; i < count; ++i) sizes.push_back(1 + rng.below(20000));
  return sizes;
}

inline constexpr size_t kHalf = size_t{1} << 20;  // of the ring of uploads

}  // namespace dn::cuda
