// The image list and the order in which its images are drawn.
#include "data/dataset.h"

#include <numeric>
#include <unordered_set>

#include "base/error.h"
#include "base/rng.h"
#include "config/data_file.h"

namespace dn {

Dataset::Dataset(const fs::path& list) : list_(list) {
  const std::vector<std::string> lines = read_lines(list, kMaxListFile);
  for (size_t i = 0; i < lines.size(); ++i) {
    std::string_view path = trim(lines[i]);
    if (path.size() >= 2 && path.front() == '"' && path.back() == '"') path = path.substr(1, path.size() - 2);
    if (path.empty()) continue;
    if (path.size() > kMaxPath) fail(list.string(), ":", i + 1, ": a path of ", path.size(), " bytes: expected at most ", kMaxPath);
    if (path.find('\0') != std::string_view::npos) fail(list.string(), ":", i + 1, ": a NUL byte: expected the path of an image");
    images_.emplace_back(path);
  }
  if (images_.empty()) fail(list.string(), ": no image paths: expected one a line");
  if (images_.size() > UINT32_MAX) fail(list.string(), ": ", images_.size(), " images: expected at most ", UINT32_MAX);
}

std::string Dataset::image(size_t index) const {
  ensure(index < images_.size(), "image index within the data set");
  return resolve_path(images_[index], list_).string();
}

size_t Dataset::duplicates() const {
  const std::unordered_set<std::string_view> different(images_.begin(), images_.end());
  return images_.size() - different.size();
}

size_t overlap(const Dataset& a, const Dataset& b) {
  std::unordered_set<std::string> in_b;
  for (size_t i = 0; i < b.size(); ++i) in_b.insert(b.image(i));
  size_t shared = 0;
  for (size_t i = 0; i < a.size(); ++i) shared += in_b.erase(a.image(i));
  return shared;
}

Sampler::Sampler(uint64_t seed, size_t images) : seed_(seed), images_(images) {
  ensure(images > 0 && images <= UINT32_MAX, "a sampler has images to draw");
}

size_t Sampler::index(uint64_t sample) const {
  const uint64_t number = sample / images_;
  const std::lock_guard lock(mutex_);
  Epoch& epoch = epochs_[number & 1];
  if (epoch.number != number) {
    epoch.order.resize(images_);
    std::iota(epoch.order.begin(), epoch.order.end(), 0u);
    Rng rng(seed_, RandomUse::sampling, number);
    for (uint32_t i = static_cast<uint32_t>(images_); i > 1; --i) std::swap(epoch.order[i - 1], epoch.order[rng.below(i)]);
    epoch.number = number;
  }
  return epoch.order[sample % images_];
}

}  // namespace dn
