// The stream of a GPU among others: from any thread it is its own GPU that works, and whatever happened, all is released.
#include <thread>

#include "tests/driver/fixture.h"

namespace dn::cuda {
namespace detail {
void check_launch();  // launch.h has it for nvcc
}

namespace {

// Every kind of call, each on its own through `from`.
void use_everything(const std::function<void(const std::function<void()>&)>& from) {
  std::unique_ptr<Stream> stream;
  std::unique_ptr<DeviceMemory> a, b, pinned, empty;
  std::unique_ptr<Recording> recording;
  const Bytes sent(3, 3), large(2 * kHalf, 4);
  Bytes got(4);
  from([&] { stream = open_stream(1); });
  from([&] { a = stream->allocate(large.size()); });
  from([&] { b = stream->allocate(4); });
  from([&] { pinned = stream->allocate_pinned(4); });
  from([&] { stream->to_device(a->data(), large.data(), large.size()); });
  from([&] { stream->to_device(a->data(), sent.data(), 3); });
  from([&] { stream->to_device(b->data(), pinned->data(), 4); });
  from([&] { recording = stream->record([&] { stream->on_device(b->data(), a->data() + 1, 3); }); });
  from([&] { recording->replay(); });
  from([&] { stream->on_device(b->data() + 3, b->data(), 1); });
  from([&] { stream->fill(b->data(), 1, 1); });
  from([&] {
    fake_cudart::launch(stream->handle(), [at = b->data()] {
      at[1] = std::byte{2};
      return true;
    });
    detail::check_launch();
  });
  from([&] { stream->to_host(got.data(), b->data(), 4); });
  from([&] { EXPECT_EQ(stream->free_bytes(), (size_t{256} << 20) - large.size() - 4); });
  from([&] { stream->synchronize(); });
  EXPECT_EQ(got, (Bytes{1, 2, 4, 3}));
  from([&] { recording.reset(); });
  from([&] { a.reset(); });
  from([&] { pinned.reset(); });
  from([&] { stream.reset(); });
  from([&] { b.reset(); });  // blocks may outlive the stream
}

TEST_F(StreamDriver, EveryCallGoesToItsOwnGpu) {
  use_everything([](const std::function<void()>& work) {
    cudaSetDevice(0);
    work();
    EXPECT_EQ(fake_cudart::last_error(), cudaSuccess);
  });
}

TEST_F(StreamDriver, CallsOfOtherThreadsWakeNoOtherGpu) {
  use_everything([](const std::function<void()>& work) {
    elsewhere([&] {
      work();
      EXPECT_EQ(fake_cudart::last_error(), cudaSuccess);
    });
  });
  EXPECT_EQ(fake_cudart::awake(), std::vector<int>{1});
}

TEST_F(StreamDriver, IsReleasedWhileWorkIsLeft) {
  std::unique_ptr<DeviceMemory> longer;
  {
    const auto stream = open_stream(0);
    longer = stream->allocate(100);
    const Bytes sent(100, 7);
    stream->to_device(longer->data(), sent.data(), 100);
    EXPECT_GT(fake_cudart::undone(), 0u);
  }
  EXPECT_EQ(fake_cudart::undone(), 0u);
  EXPECT_EQ(*longer->data(), std::byte{7});
}

TEST_F(StreamDriver, MemoryIsReleasedAfterTheWorkOnIt) {
  const auto stream = open_stream(0);
  auto memory = stream->allocate(10);
  stream->fill(memory->data(), 1, 10);
  memory.reset();
  stream->synchronize();
}

TEST_F(StreamDriver, AKernelThatDoesNotStartIsSaidOnce) {
  const auto stream = open_stream(1);
  cudaSetDevice(0);
  fake_cudart::launch(nullptr, [] { return true; });
  EXPECT_EQ(message([] { detail::check_launch(); }), "GPU: starting a kernel: FAKE_ERROR: of the fake");
  detail::check_launch();
}

// From then on the process has no such GPU any more; what it had there goes without a word.
TEST_F(StreamDriver, WorkThatFailedIsSaidByAllThatFollows) {
  const auto other = open_stream(0);
  const auto stream = open_stream(1);
  const auto memory = stream->allocate(4), pinned = stream->allocate_pinned(4);
  const auto recording = stream->record([&] { stream->fill(memory->data(), 1, 4); });
  fake_cudart::launch(stream->handle(), [] { return false; });
  const std::string what = "cudaErrorIllegalAddress: an illegal memory access was encountered";
  EXPECT_EQ(message([&] { stream->synchronize(); }), "GPU: waiting for the GPU: " + what);
  EXPECT_EQ(message([&] { stream->fill(memory->data(), 1, 4); }), "GPU: filling memory: " + what);
  EXPECT_EQ(message([&] { recording->replay(); }), "GPU: replaying a recording: " + what);
  EXPECT_EQ(message([&] { stream->allocate(1); }), "GPU: allocating memory: " + what);
  EXPECT_EQ(message([&] { stream->record([] {}); }), "GPU: beginning a recording: " + what);
  EXPECT_EQ(fake_cudart::last_error(), cudaSuccess);
  send_and_compare(*other, {1, 2, 3}, 6);
}

// As two replicas of a network are trained: one thread each.
void train(int gpu) {
  const auto stream = open_stream(gpu);
  const auto counter = stream->allocate(1), pinned = stream->allocate_pinned(1);
  const auto recording = stream->record([&] {
    fake_cudart::launch(stream->handle(), [at = counter->data()] {
      *at = static_cast<std::byte>(static_cast<int>(*at) + 1);
      return true;
    });
  });
  for (int i = 0; i < 20; ++i) {
    for (int step = 0; step < 10; ++step) recording->replay();
    send_and_compare(*stream, many_sizes(60, static_cast<uint64_t>(100 * gpu + i)), 7);
    stream->to_host(pinned->data(), counter->data(), 1);
    stream->synchronize();
    EXPECT_EQ(static_cast<int>(*pinned->data()), 10 * (i + 1));
  }
  EXPECT_EQ(fake_cudart::last_error(), cudaSuccess);
}

TEST_F(StreamDriver, TwoThreadsUseTwoGpusAtOnce) {
  std::thread first([] { train(0); }), second([] { train(1); });
  first.join(), second.join();
}

TEST_F(StreamDriver, TwoThreadsUploadToOneStream) {
  const auto stream = open_stream(1);
  const auto upload = [&](uint64_t seed) { return std::thread([&stream, seed] { send_and_compare(*stream, many_sizes(500, seed), seed); }); };
  std::thread first = upload(1), second = upload(2);
  first.join(), second.join();
}

}  // namespace
}  // namespace dn::cuda
