// Makes one training sample: which image, its pixels and boxes after augmentation. Sample k of iteration i depends on (seed, i, k) and the data
// set only, never on threads or on what was loaded before.
//
// An image that cannot be used (missing, damaged, unreadable label file) is replaced by another, also a function of (seed, i, k) alone, and
// remembered. When more than the allowed number of different images turn out bad, making a sample throws.
#pragma once

#include <atomic>
#include <map>
#include <mutex>

#include "data/augment.h"
#include "data/dataset.h"

namespace dn {

struct SampleOptions {
  uint64_t seed = 0;
  int batch = 1;  // images per iteration, over all ranks
  int classes = 1;
  int channels = 3;  // 1 or 3
  Augmentation augmentation;
  bool scaled_decode = true;  // decode large JPEGs at half size where decode_shrink allows
  int64_t max_bad = -1;       // different bad images that are put up with; -1: the larger of 10 and 1 % of the list
};

class SampleMaker {
 public:
  // `dataset` must outlive this.
  SampleMaker(const Dataset& dataset, const SampleOptions& options);
  // Writes [channels,height,width] floats in 0..1 to `pixels`. May be called from several threads.
  void make(uint64_t iteration, int index, int width, int height, float* pixels, std::vector<TruthBox>& truth);

  const SampleOptions& options() const { return options_; }
  std::vector<std::string> bad_samples() const;                // "PATH: reason", in the order of the list
  int64_t substituted() const { return substituted_.load(); }  // samples that stand for a bad one so far

 private:
  bool try_image(size_t image, uint64_t iteration, int index, int width, int height, float* pixels, std::vector<TruthBox>& truth);
  void note_bad(size_t image, const std::string& reason);

  const Dataset& dataset_;
  const SampleOptions options_;
  const int64_t max_bad_;
  Sampler sampler_;
  mutable std::mutex mutex_;
  std::map<size_t, std::string> bad_;
  std::atomic<int64_t> substituted_ = 0;
};

}  // namespace dn
