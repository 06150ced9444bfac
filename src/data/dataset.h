// A list of image paths, one a line. Only the text is held; paths are resolved and files opened when they are asked for.
#pragma once

#include <array>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/files.h"

namespace dn {

inline constexpr uint64_t kMaxListFile = 1ull << 30;
inline constexpr size_t kMaxPath = 4095;

class Dataset {
 public:
  // Reads the list: blank lines are skipped, blanks (and one pair of double quotes) around a path are dropped, the rest is taken as it is.
  // Throws Error when it cannot be read, holds no path, or a line cannot be a path (NUL bytes, longer than kMaxPath).
  explicit Dataset(const fs::path& list);

  size_t size() const { return images_.size(); }
  const fs::path& list() const { return list_; }
  const std::string& written(size_t index) const { return images_[index]; }  // as in the list
  std::string image(size_t index) const;                                     // against the list's folder, then the working directory
  size_t duplicates() const;                                                 // lines that repeat an earlier one

 private:
  fs::path list_;
  std::vector<std::string> images_;
};

// How many images of `a` (different ones) are also in `b`.
size_t overlap(const Dataset& a, const Dataset& b);

// The order in which images are drawn: epochs without replacement. Sample number g (= iteration x batch + index in the batch) is image
// order_e[g mod n] of epoch e = g / n, where order_e is a uniform permutation drawn from (seed, e). A pure function of (seed, n, g): threads,
// ranks and resumed runs see the same. (The family draws with replacement, so that after an epoch's worth a third of the images is still unseen.)
class Sampler {
 public:
  Sampler(uint64_t seed, size_t images);
  size_t index(uint64_t sample) const;  // may be called from several threads

 private:
  struct Epoch {
    uint64_t number = ~0ull;
    std::vector<uint32_t> order;
  };
  uint64_t seed_;
  size_t images_;
  mutable std::mutex mutex_;
  mutable std::array<Epoch, 2> epochs_;  // even and odd: a batch may span the end of one
};

}  // namespace dn
