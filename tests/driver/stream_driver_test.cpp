// The stream of a GPU: copies, memory, messages, recordings.
#include <cstring>

#include "tests/driver/fixture.h"

namespace dn::cuda {
namespace {

TEST_F(StreamDriver, PageableMemoryIsTakenAtOnce) {
  const auto stream = open_stream(1);
  send_and_compare(*stream, many_sizes(1500, 1), 2);  // several times around the ring
  EXPECT_EQ(fake_cudart::waits().streams, 1u) << "only the last, for the host";
  EXPECT_GT(fake_cudart::waits().events, 5u);
}

TEST_F(StreamDriver, PageableMemoryOfAllSizesIsTakenAtOnce) {
  const auto stream = open_stream(0);
  send_and_compare(*stream, {1, 63, 64, 65, kHalf - 64, kHalf - 63, kHalf, 1, kHalf, kHalf, 3, kHalf - 1}, 3);
  EXPECT_EQ(fake_cudart::waits().streams, 1u);
  send_and_compare(*stream, {5, kHalf + 1, 7, 2 * kHalf, 2 * kHalf + 1, 9, 5 * kHalf, kHalf, 1}, 4);
  EXPECT_EQ(fake_cudart::waits().streams, 2u + 4u) << "and once for each of more than half the ring";
}

// Copies out of the half that is filled go on: whoever enters the other half waits for its own copies only.
TEST_F(StreamDriver, UploadsWaitForTheOtherHalfOnly) {
  const auto stream = open_stream(0);
  const auto memory = stream->allocate(kHalf);
  const Bytes data(kHalf);
  for (int i = 0; i < 3; ++i) stream->to_device(memory->data(), data.data(), kHalf);
  EXPECT_EQ(fake_cudart::waits().events, 1u);
  EXPECT_EQ(fake_cudart::undone(), 2u);
  stream->synchronize();
}

TEST_F(StreamDriver, PinnedMemoryIsTakenWhenTheStreamGetsThere) {
  const auto stream = open_stream(1);
  const auto memory = stream->allocate(100), pinned = stream->allocate_pinned(1000);
  EXPECT_EQ(*pinned->data(), std::byte{0});
  std::memset(pinned->data(), 7, 1000);
  stream->to_device(memory->data(), pinned->data() + 900, 100);
  std::memset(pinned->data(), 9, 1000);
  EXPECT_EQ(on_host(*stream, *memory, 100), Bytes(100, 9));
}

TEST_F(StreamDriver, WithoutPinnedMemoryUploadsWait) {
  fake_cudart::start({.pinned_bytes = 1000});
  const auto stream = open_stream(0);
  send_and_compare(*stream, {1, 100, 2 * kHalf, 5}, 5);
  EXPECT_EQ(fake_cudart::waits().streams, 5u);
  EXPECT_EQ(stream->allocate_pinned(1000)->bytes(), 1000u);
  EXPECT_EQ(message([&] { stream->allocate_pinned(size_t{1} << 20); }), "the host has not 1.0 MiB of memory left that a GPU can copy from");
}

TEST_F(StreamDriver, WorkIsDoneInOrder) {
  const auto stream = open_stream(0);
  const auto a = stream->allocate(4), b = stream->allocate(4);
  const Bytes sent{1, 2, 3, 4};
  Bytes first(4), second(4), third(4);
  stream->fill(a->data(), 5, 4);
  stream->to_host(first.data(), a->data(), 4);
  stream->to_device(a->data(), sent.data(), 4);
  stream->on_device(b->data(), a->data(), 4);
  stream->fill(a->data() + 1, 6, 2);
  stream->to_host(second.data(), a->data(), 4);
  stream->to_host(third.data(), b->data(), 4);
  EXPECT_EQ(third, Bytes(4));
  stream->synchronize();
  EXPECT_EQ(first, Bytes(4, 5));
  EXPECT_EQ(second, (Bytes{1, 6, 6, 4}));
  EXPECT_EQ(third, sent);
}

TEST_F(StreamDriver, MemoryIsZeroInTheOrderOfTheStream) {
  const auto stream = open_stream(0);
  const auto memory = stream->allocate(1000), empty = stream->allocate(0);
  EXPECT_NE(*memory->data(), std::byte{0}) << "allocating waits for nothing";
  const unsigned char one = 1;
  stream->to_device(memory->data() + 500, &one, 1);
  Bytes expected(1000);
  expected[500] = 1;
  EXPECT_EQ(on_host(*stream, *memory, 1000), expected);
  EXPECT_EQ(empty->bytes(), 0u);
  EXPECT_NE(empty->data(), nullptr) << "an address is there all the same";
  EXPECT_NE(stream->allocate_pinned(0)->data(), nullptr);
}

TEST_F(StreamDriver, NothingIsNoWork) {
  const auto stream = open_stream(0);
  stream->to_device(nullptr, nullptr, 0);
  stream->to_host(nullptr, nullptr, 0);
  stream->on_device(nullptr, nullptr, 0);
  stream->fill(nullptr, 0, 0);
  EXPECT_EQ(fake_cudart::undone(), 0u);
}

TEST_F(StreamDriver, SaysWhatItIs) {
  const auto stream = open_stream(1);
  EXPECT_EQ(stream->description(), "Fake GPU, 256 MiB");
  EXPECT_FALSE(stream->emulated());
  EXPECT_EQ(compute_capability(1), 86);
  const size_t before = stream->free_bytes();
  const auto memory = stream->allocate(1000);
  EXPECT_EQ(stream->free_bytes(), before - 1000);
}

TEST_F(StreamDriver, TooLittleMemoryIsSaidWithWhatIsLeft) {
  fake_cudart::start({.gpu_bytes = size_t{3} << 20});
  const auto stream = open_stream(0);
  const auto memory = stream->allocate(size_t{1} << 20);
  EXPECT_EQ(message([&] { stream->allocate(size_t{4} << 20); }), "OutOfMemory: the GPU has not 4.0 MiB of memory left; 2.0 MiB are free");
  EXPECT_EQ(fake_cudart::last_error(), cudaSuccess);
  EXPECT_EQ(stream->allocate(size_t{2} << 20)->bytes(), size_t{2} << 20);
}

TEST_F(StreamDriver, SaysWhyThereIsNoGpu) {
  EXPECT_EQ(message([] { open_stream(2); }), "-i 2: expected 0..1, the GPUs of this machine");
  EXPECT_EQ(message([] { open_stream(-1); }), "-i -1: expected 0..1, the GPUs of this machine");
  const auto reason = [](const fake_cudart::Machine& machine) {
    fake_cudart::start(machine);
    EXPECT_EQ(find_gpus().count, 0);
    EXPECT_EQ(message([] { open_stream(0); }), find_gpus().reason);
    EXPECT_EQ(fake_cudart::last_error(), cudaSuccess);
    return find_gpus().reason;
  };
  EXPECT_EQ(reason({.gpus = 0}), "no NVIDIA GPU");
  EXPECT_EQ(reason({.driver = 0}), "no usable NVIDIA driver");
  const std::string expected = concat(CUDART_VERSION / 1000, ".0");
  EXPECT_EQ(reason({.driver = 11'080}), concat("the NVIDIA driver is too old: it goes up to CUDA 11.8, expected ", expected, " or later"));
  fake_cudart::start();
  fake_cudart::fail_next("cudaSetDevice", cudaErrorDevicesUnavailable);
  EXPECT_EQ(message([] { open_stream(1); }),
            "GPU: choosing the GPU: the GPU is taken by another process alone (nvidia-smi: compute mode), or out of order");
  fake_cudart::fail_next("cudaStreamCreateWithFlags", cudaErrorMemoryAllocation);
  EXPECT_EQ(message([] { open_stream(1); }), "OutOfMemory: GPU: making a stream: FAKE_ERROR: of the fake");
}

TEST_F(StreamDriver, LookingAtTheMachineTakesNothing) {
  EXPECT_EQ(find_gpus().count, 2);
  EXPECT_EQ(find_gpus().reason, "");
  EXPECT_EQ(compute_capability(0), 86);
  EXPECT_EQ(fake_cudart::awake(), std::vector<int>{});
}

TEST_F(StreamDriver, RecordingsReplay) {
  const auto stream = open_stream(1);
  const auto a = stream->allocate(4), b = stream->allocate(4);
  const auto recording = stream->record([&] {
    stream->on_device(b->data(), a->data(), 4);
    stream->fill(a->data(), 9, 2);
    fake_cudart::launch(stream->handle(), [at = b->data()] {
      at[3] = static_cast<std::byte>(static_cast<int>(at[3]) + 1);
      return true;
    });
  });
  EXPECT_EQ(on_host(*stream, *b, 4), Bytes(4)) << "a recording does nothing";
  for (unsigned char i = 1; i < 4; ++i) {
    const Bytes sent(4, i);
    stream->to_device(a->data(), sent.data(), 4);
    recording->replay();
    EXPECT_EQ(on_host(*stream, *b, 4), (Bytes{i, i, i, static_cast<unsigned char>(i + 1)}));
    EXPECT_EQ(on_host(*stream, *a, 4), (Bytes{9, 9, i, i}));
  }
}

// Whatever went wrong in it: the stream works on, nothing is left, and the next kernel is not told of it.
void expect_failed_recording(const std::function<void(Stream&)>& work, const std::string& expected) {
  const auto stream = open_stream(0);
  const auto memory = stream->allocate(4);
  const auto made = fake_cudart::things();
  EXPECT_EQ(message([&] {
              stream->record([&] {
                stream->fill(memory->data(), 1, 4);
                work(*stream);
              });
            }),
            expected);
  EXPECT_EQ(fake_cudart::last_error(), cudaSuccess);
  EXPECT_EQ(fake_cudart::things(), made);
  EXPECT_EQ(on_host(*stream, *memory, 4), Bytes(4));
  stream->record([&] { stream->fill(memory->data(), 2, 4); })->replay();
  EXPECT_EQ(on_host(*stream, *memory, 4), Bytes(4, 2));
}

TEST_F(StreamDriver, AFailedRecordingLeavesNothing) {
  expect_failed_recording([](Stream&) { fail("of the kernel"); }, "of the kernel");
  expect_failed_recording([](Stream& s) { s.allocate(10); }, "GPU: allocating memory: FAKE_ERROR: of the fake");
  expect_failed_recording([](Stream& s) { s.allocate_pinned(10); }, "GPU: allocating pinned host memory: FAKE_ERROR: of the fake");
  // A library that waits, and says nothing.
  expect_failed_recording([](Stream& s) { cudaStreamSynchronize(static_cast<cudaStream_t>(s.handle())); },
                          "GPU: ending a recording: FAKE_ERROR: of the fake");
  expect_failed_recording([](Stream&) { fake_cudart::fail_next("cudaGraphInstantiate", cudaErrorMemoryAllocation); },
                          "OutOfMemory: GPU: making a recording ready: FAKE_ERROR: of the fake");
}

// The loader takes pinned memory for the next images.
TEST_F(StreamDriver, OtherThreadsMayAllocateDuringARecording) {
  const auto stream = open_stream(1), other = open_stream(0);
  const auto memory = stream->allocate(4);
  std::unique_ptr<DeviceMemory> pinned, far;
  const auto recording = stream->record([&] {
    stream->fill(memory->data(), 1, 2);
    elsewhere([&] {
      pinned = stream->allocate_pinned(10);
      const unsigned char five = 5;
      far = other->allocate(1);
      other->to_device(far->data(), &five, 1);
    });
    stream->fill(memory->data() + 2, 2, 2);
  });
  recording->replay();
  EXPECT_EQ(on_host(*stream, *memory, 4), (Bytes{1, 1, 2, 2}));
  EXPECT_EQ(on_host(*other, *far, 1), Bytes{5});
}

}  // namespace
}  // namespace dn::cuda
