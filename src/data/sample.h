// Makes one training sample: which pictures, their pixels and boxes after augmentation. Sample k of iteration i depends on (seed, i, k) and the data
// set only, never on threads or on what was loaded before.
//
//   pictures   one; two for mixup, whose mean it is; four for a mosaic (data/mosaic.h)
//   each       file -> window, part that shows, blur, noise: a Picture (data/picture.h); boxes with them; drawn here or later by a device
//
// The first picture follows the epochs of Sampler, the others are drawn at random. What frames of a sequence and the two of a pair have in common is
// said by data/batch_layout.h.
//
// An image that cannot be used (missing, damaged, unreadable label file) is replaced by another, also a function of (seed, i, k) alone (in a sequence by
// the next frame that can be used), and remembered. When more than the allowed number of different images turn out bad, making a sample throws.
#pragma once

#include <atomic>
#include <map>
#include <mutex>

#include "data/augment.h"
#include "data/batch_layout.h"
#include "data/dataset.h"
#include "data/mosaic.h"
#include "data/picture.h"

namespace dn {

struct SampleOptions {
  uint64_t seed = 0;
  int batch = 1;  // images per iteration, over all ranks
  int classes = 1;
  int channels = 3;  // 1 or 3
  Augmentation augmentation;
  BatchLayout layout;
  bool scaled_decode = true;  // decode large JPEGs at half size where decode_shrink allows
  int64_t max_bad = -1;       // different bad images that are put up with; -1: the larger of 10 and 1 % of the list
};

class SampleMaker {
 public:
  // `dataset` must outlive this.
  SampleMaker(const Dataset& dataset, const SampleOptions& options);
  // Writes [channels,height,width] floats in 0..1 to `pixels`. May be called from several threads.
  void make(uint64_t iteration, int index, int width, int height, float* pixels, std::vector<TruthBox>& truth);
  // The same sample to be drawn later; its pixels are in `store`.
  void describe(uint64_t iteration, int index, int width, int height, PixelStore& store, SampleRecipe& recipe, std::vector<TruthBox>& truth);

  const SampleOptions& options() const { return options_; }
  std::vector<std::string> bad_samples() const;                // "PATH: reason", in the order of the list
  int64_t substituted() const { return substituted_.load(); }  // pictures that stand for a bad one so far

 private:
  using PictureDone = std::function<void(Picture&, const Image& decoded)>;
  // One of the pictures of a sample, and where it goes.
  struct Job {
    uint64_t iteration = 0;
    int index = 0, part = 0;  // of the sample in the batch, of the picture in the sample
    SamplePlace place;
    int width = 0, height = 0;  // of the sample
    const PictureDone* done = nullptr;
    bool mosaic = false, to_corner = false, mixed = false;  // mixed: the second picture of a mixup
    MosaicCut cut;
  };
  void compose(uint64_t iteration, int index, int width, int height, const PictureDone& done, std::vector<TruthBox>& truth);
  Rng stream(const Job& job, uint64_t number, uint32_t purpose) const;
  Draw draw(const Job& job) const;
  size_t picture(const Job& job) const;
  void add_picture(const Job& job, std::vector<TruthBox>& truth);
  void add_mosaic(Job job, std::vector<TruthBox>& truth);
  void add_mixup(Job job, std::vector<TruthBox>& truth);
  bool try_image(size_t image, const Job& job, std::vector<TruthBox>& truth);
  Picture describe(const std::vector<std::byte>& file, const std::string& path, size_t image, const Job& job, Image& decoded,
                   std::vector<TruthBox>& truth) const;
  void note_bad(size_t image, const std::string& reason);

  const Dataset& dataset_;
  const SampleOptions options_;
  const int64_t max_bad_;
  const uint64_t groups_;  // of the same pictures in a batch
  Sampler sampler_;
  mutable std::mutex mutex_;
  std::map<size_t, std::string> bad_;
  std::atomic<int64_t> substituted_ = 0;
};

}  // namespace dn
