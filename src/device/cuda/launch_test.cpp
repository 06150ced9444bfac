// Kernel bodies on a stream, here the emulated one: every item once, blocks with phases and shared memory, recordings, memory out of the host's reach;
// and that a GPU which is not there is refused in one line.
#include "device/cuda/launch.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "device/cuda/device.h"

namespace dn::cuda {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kReachable = true;  // device memory is the heap then (emulated_memory.h)
#else
constexpr bool kReachable = false;
#endif

// Numbers on the device.
struct Numbers {
  Stream& stream;
  size_t count;
  std::unique_ptr<DeviceMemory> memory;
  Numbers(Stream& s, size_t n) : stream(s), count(n), memory(s.allocate(n * sizeof(int))) {}
  int* data() const { return reinterpret_cast<int*>(memory->data()); }
  void set(const std::vector<int>& values) const { stream.to_device(data(), values.data(), values.size() * sizeof(int)); }
  std::vector<int> get() const {
    std::vector<int> out(count);
    stream.to_host(out.data(), data(), count * sizeof(int));
    stream.synchronize();
    return out;
  }
};

struct AddIndex {
  int* to;
  DN_HD void operator()(size_t i) const { to[i] += static_cast<int>(i) + 1; }
};

TEST(launch, for_each_item_once) {
  const auto stream = emulated_stream();
  for (const size_t count : {size_t{0}, size_t{1}, size_t{255}, size_t{4096}, size_t{100003}}) {
    const Numbers numbers(*stream, count);
    for_each(*stream, count, AddIndex{numbers.data()});
    std::vector<int> expected(count);
    std::iota(expected.begin(), expected.end(), 1);
    EXPECT_EQ(numbers.get(), expected) << count;
  }
}

// out[block] = the sum of the block's part: threads add up what they see, then one thread what the threads have; states last from phase to phase.
struct BlockSum {
  static constexpr int kThreads = 64, kPhases = 3;
  struct Shared {
    int of_thread[kThreads];
    int sum;
  };
  struct State {
    int own;
  };
  const int* from;
  int* out;
  int width, part;
  template <int phase>
  DN_HD void run(const Place& place, State& state, Shared& shared) const {
    const int* mine = from + place.y * width + place.x * part;
    if constexpr (phase == 0) {
      state.own = 0;
      for (int i = place.thread; i < part && place.x * part + i < width; i += kThreads) state.own += mine[i];
      shared.of_thread[place.thread] = state.own;
    } else if constexpr (phase == 1) {
      if (place.thread != 0) return;
      shared.sum = 0;
      for (const int value : shared.of_thread) shared.sum += value;
    } else {
      const int blocks = (width + part - 1) / part;
      if (state.own == shared.of_thread[place.thread] && place.thread == kThreads - 1) out[place.y * blocks + place.x] = shared.sum;
    }
  }
};

TEST(launch, blocks_work_in_phases) {
  const auto stream = emulated_stream();
  constexpr int kWidth = 1000, kRows = 7, kPart = 300, kBlocks = 4;
  const Numbers from(*stream, kWidth * kRows), out(*stream, kBlocks * kRows);
  std::vector<int> values(from.count);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int>(i * i % 101);
  from.set(values);
  launch_blocks(*stream, {kBlocks, kRows}, BlockSum{from.data(), out.data(), kWidth, kPart});
  std::vector<int> expected(out.count);
  for (size_t i = 0; i < values.size(); ++i) expected[i / kWidth * kBlocks + i % kWidth / kPart] += values[i];
  EXPECT_EQ(out.get(), expected);
  launch_blocks(*stream, {0, kRows}, BlockSum{nullptr, nullptr, kWidth, kPart});  // nothing to do
}

// Bodies that count on what a GPU does not give.
struct UnsetBody {
  static constexpr int kThreads = 4, kPhases = 1;
  struct Shared {
    int value;
  };
  struct State {
    int value;
  };
  int* out;
  template <int phase>
  DN_HD void run(const Place& place, State& state, Shared& shared) const {
    out[place.thread] = state.value & shared.value;
  }
};
struct RacingBody {
  static constexpr int kThreads = 4, kPhases = 1;
  struct Shared {
    int value;
  };
  struct State {};
  int* out;
  template <int phase>
  DN_HD void run(const Place& place, State&, Shared& shared) const {
    if (place.thread == 0) shared.value = 5;
    out[place.x * kThreads + place.thread] = shared.value;
  }
};
struct NeighbourBody {
  int* to;
  DN_HD void operator()(size_t i) const {
    if (i > 0) to[i] = to[i - 1] + 1;
  }
};
struct BlockNeighbourBody {
  static constexpr int kThreads = 1, kPhases = 1;
  struct Shared {};
  struct State {};
  int* to;
  template <int phase>
  DN_HD void run(const Place& place, State&, Shared&) const {
    if (place.x > 0) to[place.x] = to[place.x - 1] + 1;
  }
};

TEST(launch, the_emulation_gives_no_more_than_a_gpu) {
  const auto stream = emulated_stream();
  const Numbers out(*stream, 4);
  launch_blocks(*stream, {1, 1}, UnsetBody{out.data()});
  EXPECT_EQ(out.get(), (std::vector<int>{-1, -1, -1, -1}));
  launch_blocks(*stream, {1, 1}, RacingBody{out.data()});
  EXPECT_EQ(out.get(), (std::vector<int>{5, -1, -1, -1}));
  out.set({0, 0, 0, 0});
  for_each(*stream, 4, NeighbourBody{out.data()});
  EXPECT_EQ(out.get(), (std::vector<int>{0, 1, 1, 1}));
  out.set({0, 0, 0, 0});
  launch_blocks(*stream, {4, 1}, BlockNeighbourBody{out.data()});
  EXPECT_EQ(out.get(), (std::vector<int>{0, 1, 1, 1}));
}

struct AddFrom {
  const int* factor;  // on the device
  int* to;
  int constant;
  DN_HD void operator()(size_t i) const { to[i] += constant + *factor * static_cast<int>(i); }
};

// Launches keep their arguments; what these point to is read when they run.
TEST(launch, recordings_run_again_on_changed_memory) {
  const auto stream = emulated_stream();
  const Numbers factor(*stream, 1), to(*stream, 3), copy(*stream, 3);
  int constant = 10;
  const auto recording = stream->record([&] {
    for_each(*stream, to.count, AddFrom{factor.data(), to.data(), constant});
    stream->on_device(copy.data(), to.data(), 3 * sizeof(int));
    stream->fill(to.data(), 0, sizeof(int));
  });
  EXPECT_EQ(to.get(), (std::vector<int>{0, 0, 0}));  // recording runs nothing
  constant = 1000;
  factor.set({1});
  recording->replay();
  EXPECT_EQ(copy.get(), (std::vector<int>{10, 11, 12}));
  EXPECT_EQ(to.get(), (std::vector<int>{0, 11, 12}));
  factor.set({100});
  recording->replay();
  EXPECT_EQ(copy.get(), (std::vector<int>{10, 121, 222}));
  for_each(*stream, to.count, AddIndex{to.data()});  // the stream works as before
  EXPECT_EQ(to.get(), (std::vector<int>{1, 123, 225}));
}

TEST(launch, a_recording_that_fails_leaves_the_stream_as_it_was) {
  const auto stream = emulated_stream();
  const Numbers numbers(*stream, 2);
  EXPECT_THROW(stream->record([&] {
    for_each(*stream, 2, AddIndex{numbers.data()});
    fail("not that");
  }),
               Error);
  numbers.set({3, 4});
  for_each(*stream, 2, AddIndex{numbers.data()});
  EXPECT_EQ(numbers.get(), (std::vector<int>{4, 6}));
}

TEST(launch, device_memory_is_zero_and_copies_are_exact) {
  const auto stream = emulated_stream();
  const Numbers a(*stream, 5), b(*stream, 5);
  EXPECT_EQ(a.get(), std::vector<int>(5));
  a.set({1, 2, 3, 4, 5});
  stream->on_device(b.data() + 1, a.data(), 3 * sizeof(int));
  EXPECT_EQ(b.get(), (std::vector<int>{0, 1, 2, 3, 0}));
  stream->fill(b.data() + 2, 0xff, 2 * sizeof(int));
  EXPECT_EQ(b.get(), (std::vector<int>{0, 1, -1, -1, 0}));
}

using launch_death = ::testing::Test;

TEST_F(launch_death, the_host_cannot_reach_device_memory) {
  if (kReachable) GTEST_SKIP() << "device memory is the heap under AddressSanitizer";
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto stream = emulated_stream();
  const Numbers numbers(*stream, 4);
  volatile int* const at = numbers.data();
  EXPECT_DEATH({ static_cast<void>(*at); }, "");
  EXPECT_DEATH({ *at = 1; }, "");
  for_each(*stream, 4, AddIndex{numbers.data()});  // open only while that runs
  EXPECT_DEATH({ static_cast<void>(*at); }, "");
}

TEST_F(launch_death, nothing_waits_within_a_recording) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto stream = emulated_stream();
  const Numbers numbers(*stream, 1);
  EXPECT_DEATH(stream->record([&] { stream->synchronize(); }), "a recording does not wait");
  EXPECT_DEATH(stream->record([&] { numbers.set({1}); }), "a recording takes nothing from the host");
}

TEST_F(launch_death, grids_beyond_a_gpu) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto stream = emulated_stream();
  EXPECT_DEATH(launch_blocks(*stream, {1, 65536}, UnsetBody{nullptr}), "a grid that a GPU takes");
}

// In builds with CUDA and without.
TEST(launch, a_gpu_that_is_not_there_is_refused_in_one_line) {
  std::string message;
  try {
    const Device device({.emulated = false, .precision = Precision::fp32});
    GTEST_SKIP() << "there is one: " << device.description();
  } catch (const Error& e) {
    message = e.what();
  }
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  EXPECT_TRUE(message.find("no usable NVIDIA driver") != std::string::npos || message.find("driver is too old") != std::string::npos || message.find("no NVIDIA GPU") != std::string::npos ||
              message.find("built without CUDA") != std::string::npos)
      << message;
}

}  // namespace
}  // namespace dn::cuda
