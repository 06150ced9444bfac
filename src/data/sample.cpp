// See sample.h.
#include "data/sample.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "data/labels.h"
#include "image/decode.h"

namespace dn {
namespace {

constexpr size_t kBadWarnings = 10;  // bad images named on the console; all of them are in bad_samples()

int64_t allowed_bad(const SampleOptions& options, size_t images) {
  return options.max_bad >= 0 ? options.max_bad : std::max<int64_t>(10, static_cast<int64_t>(images / 100));
}

}  // namespace

SampleMaker::SampleMaker(const Dataset& dataset, const SampleOptions& options)
    : dataset_(dataset), options_(options), max_bad_(allowed_bad(options, dataset.size())), sampler_(options.seed, dataset.size()) {
  ensure(options.batch > 0 && options.classes > 0, "a batch and classes");
  ensure(options.channels == 1 || options.channels == 3, "images are loaded with 1 or 3 channels");
}

void SampleMaker::make(uint64_t iteration, int index, int width, int height, float* pixels, std::vector<TruthBox>& truth) {
  const uint64_t number = iteration * static_cast<uint64_t>(options_.batch) + static_cast<uint64_t>(index);
  const size_t image = sampler_.index(number), images = dataset_.size();
  if (try_image(image, iteration, index, width, height, pixels, truth)) return;
  // The substitute: the first usable image from a random place on.
  const size_t start = Rng(options_.seed, RandomUse::sampling, number, 1).below(static_cast<uint32_t>(images));
  for (size_t i = 0; i < images; ++i) {
    const size_t other = (start + i) % images;
    if (other == image || !try_image(other, iteration, index, width, height, pixels, truth)) continue;
    ++substituted_;
    return;
  }
  fail(dataset_.list().string(), ": 0 usable of ", images, " images");
}

bool SampleMaker::try_image(size_t image, uint64_t iteration, int index, int width, int height, float* pixels, std::vector<TruthBox>& truth) {
  try {
    const std::string path = dataset_.image(image);
    const std::vector<std::byte> file = read_bytes(path, kMaxImageFile);
    const ImageSize size = read_image_size(file, path);
    Rng rng(options_.seed, RandomUse::augment, iteration, static_cast<uint64_t>(index));
    const Augmentation& how = options_.augmentation;
    const Draw draw = draw_augmentation(how, rng);
    Sampling sampling;
    sampling.window = augmented_window(how, draw, size.width, size.height, width, height);
    sampling.shrink = options_.scaled_decode && size.scalable ? decode_shrink(sampling.window, width, height) : 1;
    sampling.flip = draw.flip;
    sampling.distortion = draw.distortion;
    truth = augmented_boxes(load_labels(path, options_.classes).boxes, how, sampling.window, draw.flip, size.width, size.height, width, height, rng);
    const Image decoded = decode_image_shrunk(file, path, options_.channels, sampling.shrink);
    const Window& w = sampling.window;
    const bool fills = w.left < 0 || w.top < 0 || w.left + w.width > size.width || w.top + w.height > size.height;
    if (how.letter_box)
      sampling.fill.fill(kLetterboxGray * 255);
    else if (fills)
      sampling.fill = mean_colour(decoded);
    sample_image(decoded, sampling, planar(pixels, width, height));
    return true;
  } catch (const Error& error) {
    note_bad(image, error.what());
  } catch (const fs::filesystem_error& error) {
    note_bad(image, concat(dataset_.written(image), ": ", error.code().message()));
  }
  return false;
}

void SampleMaker::note_bad(size_t image, const std::string& reason) {
  const std::lock_guard lock(mutex_);
  if (!bad_.emplace(image, reason).second) return;
  const std::string list = dataset_.list().string();
  if (bad_.size() == dataset_.size()) fail(list, ": 0 usable of ", dataset_.size(), " images; the last one: ", reason);
  if (static_cast<int64_t>(bad_.size()) > max_bad_)
    fail(list, ": ", bad_.size(), " images cannot be used: expected at most ", max_bad_, " of ", dataset_.size(), "; the last one: ", reason);
  if (bad_.size() <= kBadWarnings) log::warn(concat(reason, "; another image takes its place"));
  if (bad_.size() == kBadWarnings + 1) log::warn(concat(list, ": more than ", kBadWarnings, " bad images; the next ones are counted only"));
}

std::vector<std::string> SampleMaker::bad_samples() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> lines;
  for (const auto& [image, reason] : bad_) lines.push_back(reason);
  return lines;
}

}  // namespace dn
