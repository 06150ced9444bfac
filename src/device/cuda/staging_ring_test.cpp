// The ring on a stream that is late: whatever is copied out of it was put there by its own copy and not by a later one.
#include "device/cuda/staging_ring.h"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>
#include <vector>

#include "base/rng.h"

namespace dn::cuda {
namespace {

// Does what it was asked for only when somebody waits for a mark.
class LateStream {
 public:
  void begin(std::function<void()> copy) { copies_.push_back(std::move(copy)); }
  void mark(int half) { marks_[half] = begun(); }
  void wait(int half) { run_to(marks_[half]); }
  void finish() { run_to(begun()); }

 private:
  size_t begun() const { return copies_.size(); }
  void run_to(size_t end) {
    for (; done_ < end; ++done_) copies_[done_]();
  }
  std::vector<std::function<void()>> copies_;
  size_t done_ = 0, marks_[2] = {};
};

TEST(staging_ring, copies_take_what_was_put_down_for_them) {
  constexpr size_t kHalf = 1024;
  StagingRing ring(kHalf);
  std::vector<unsigned char> memory(ring.bytes());
  LateStream stream;
  std::vector<std::vector<unsigned char>> sent, arrived;
  Rng rng(1, RandomUse::test);
  constexpr size_t kCopies = 500;
  arrived.resize(kCopies);
  for (size_t i = 0; i < kCopies; ++i) {
    std::vector<unsigned char>& data = sent.emplace_back(i == 7 ? kHalf : 1 + rng.below(300));
    std::iota(data.begin(), data.end(), static_cast<unsigned char>(rng.below(256)));
    const StagingRing::Place place = ring.take(data.size());
    if (place.left != StagingRing::kNoHalf) stream.mark(place.left);
    if (place.entered != StagingRing::kNoHalf) stream.wait(place.entered);
    ASSERT_EQ(place.offset % 64, 0u);
    ASSERT_LE(place.offset + data.size(), ring.bytes());
    std::ranges::copy(data, memory.begin() + static_cast<ptrdiff_t>(place.offset));
    stream.begin([&, i, place, size = data.size()] {
      const auto from = memory.begin() + static_cast<ptrdiff_t>(place.offset);
      arrived[i].assign(from, from + static_cast<ptrdiff_t>(size));
    });
  }
  stream.finish();
  EXPECT_EQ(arrived, sent);
}

// Nobody waits while the copies of a half may still run, nor for a half that was never left.
TEST(staging_ring, waits_for_the_other_half_only) {
  StagingRing ring(256);
  const auto places = [&](size_t bytes) {
    const StagingRing::Place p = ring.take(bytes);
    return std::vector<int>{static_cast<int>(p.offset), p.left, p.entered};
  };
  EXPECT_EQ(places(100), (std::vector<int>{0, -1, -1}));
  EXPECT_EQ(places(100), (std::vector<int>{128, -1, -1}));
  EXPECT_EQ(places(1), (std::vector<int>{256, 0, -1}));
  EXPECT_EQ(places(256), (std::vector<int>{0, 1, 0}));
  EXPECT_EQ(places(1), (std::vector<int>{256, 0, 1}));
}

}  // namespace
}  // namespace dn::cuda
