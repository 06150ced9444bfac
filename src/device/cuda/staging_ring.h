// Where in a ring of pinned memory the next copy to a GPU is put down. The ring has two halves: while one is filled, the copies out of the other run. Only places
// are told here; who copies also marks and waits (stream_driver.cpp).
#pragma once

#include <cstddef>

#include "base/numbers.h"

namespace dn::cuda {

class StagingRing {
 public:
  static constexpr int kNoHalf = -1;

  // In this order: mark in the stream that the copies out of half `left` were begun, wait for the mark of half `entered`, write at `offset`.
  struct Place {
    size_t offset = 0;
    int left = kNoHalf, entered = kNoHalf;
  };

  explicit StagingRing(size_t half) : half_(half) {}
  size_t bytes() const { return 2 * half_; }
  size_t most() const { return half_; }   // of one copy

  Place take(size_t bytes) {
    ensure(bytes <= half_, "a copy that a half of the ring holds");
    Place place;
    if (used_ + bytes > half_) {
      place.left = now_;
      marked_[now_] = true;
      now_ = 1 - now_, used_ = 0;
      if (marked_[now_]) place.entered = now_;
    }
    place.offset = static_cast<size_t>(now_) * half_ + used_;
    used_ += round_up(bytes, kAlignment);
    return place;
  }

 private:
  static constexpr size_t kAlignment = 64;
  size_t half_, used_ = 0;
  int now_ = 0;
  bool marked_[2] = {};
};

}  // namespace dn::cuda
