// See sample.h.
#include "data/sample.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "data/labels.h"
#include "image/decode.h"

namespace dn {
namespace {

// Streams of random numbers of one sample, and of the choice of its pictures; kPicture and kOtherPictures go by the picture's number.
constexpr uint32_t kPicture = 0, kMixes = 16, kCut = 17, kOrder = 18, kNoise = 32;
constexpr uint64_t kSubstitute = 1, kOtherPictures = 16, kSpeed = 32;

constexpr int kBackgroundBlur = 17;  // pixels of the Gaussian window
constexpr size_t kBadWarnings = 10;  // bad images named on the console; all of them are in bad_samples()

int64_t allowed_bad(const SampleOptions& options, size_t images) {
  return options.max_bad >= 0 ? options.max_bad : std::max<int64_t>(10, static_cast<int64_t>(images / 100));
}

// The boxes of image `image` of the list, with the numbers of their objects.
std::vector<TruthBox> numbered(std::vector<TruthBox> boxes, size_t image) {
  uint64_t number = static_cast<uint64_t>(image) << 32;
  for (TruthBox& truth : boxes) truth.track_id = ++number;
  return boxes;
}

// Where boxes relative to the sample lie within the tile.
std::vector<PixelRect> object_pixels(const std::vector<TruthBox>& boxes, const MosaicTile& tile, int width, int height) {
  std::vector<PixelRect> objects;
  for (const TruthBox& truth : boxes) {
    const Box& b = truth.box;
    const auto pixel = [](float at, int side, int start) { return static_cast<int>(std::lround(static_cast<double>(at) * side)) - start; };
    objects.push_back({pixel(b.x - b.w / 2, width, tile.x), pixel(b.y - b.h / 2, height, tile.y), pixel(b.x + b.w / 2, width, tile.x),
                       pixel(b.y + b.h / 2, height, tile.y)});
  }
  return objects;
}

uint64_t noise_key(Rng rng) {
  const uint64_t high = rng.next();
  return high << 32 | rng.next();
}

}  // namespace

SampleMaker::SampleMaker(const Dataset& dataset, const SampleOptions& options)
    : dataset_(dataset),
      options_(options),
      max_bad_(allowed_bad(options, dataset.size())),
      groups_(groups_of(options.layout, options.batch)),
      sampler_(options.seed, dataset.size()) {
  ensure(options.batch > 0 && options.classes > 0, "a batch and classes");
  ensure(options.channels == 1 || options.channels == 3, "images are loaded with 1 or 3 channels");
}

void SampleMaker::make(uint64_t iteration, int index, int width, int height, float* pixels, std::vector<TruthBox>& truth) {
  const auto draws = [&](const Picture& picture, const Image& decoded) { draw_picture(picture, decoded, options_.channels, width, height, pixels); };
  compose(iteration, index, width, height, draws, truth);
}

void SampleMaker::describe(uint64_t iteration, int index, int width, int height, PixelStore& store, SampleRecipe& recipe,
                           std::vector<TruthBox>& truth) {
  recipe.clear();
  const auto keeps = [&](Picture& picture, const Image& decoded) {
    if (picture.empty()) return;
    store.keep(decoded, picture);
    recipe.push_back(std::move(picture));
  };
  compose(iteration, index, width, height, keeps, truth);
}

void SampleMaker::compose(uint64_t iteration, int index, int width, int height, const PictureDone& done, std::vector<TruthBox>& truth) {
  const Augmentation& how = options_.augmentation;
  Job job;
  job.iteration = iteration;
  job.index = index;
  job.place = place_of(options_.layout, options_.batch, index);
  job.width = width;
  job.height = height;
  job.done = &done;
  truth.clear();
  const bool mixes = stream(job, job.place.pictures, kMixes).coin();
  if (!mixes || how.mix == Mix::none)
    add_picture(job, truth);
  else if (how.mix == Mix::mosaic)
    add_mosaic(job, truth);
  else
    add_mixup(job, truth);
  Rng order = stream(job, static_cast<uint64_t>(index), kOrder);
  choose_boxes(truth, how.max_truths, order);
}

Rng SampleMaker::stream(const Job& job, uint64_t number, uint32_t purpose) const {
  return {options_.seed, RandomUse::augment, job.iteration, number | static_cast<uint64_t>(purpose) << 32};
}

Draw SampleMaker::draw(const Job& job) const {
  const auto part = static_cast<uint32_t>(job.part);
  const auto drawn = [&](uint64_t number) {
    Rng rng = stream(job, number, kPicture + part);
    return draw_augmentation(options_.augmentation, rng);
  };
  Draw draw = drawn(job.place.look);
  if (job.place.crop != job.place.look) {
    const Draw other = drawn(job.place.crop);
    draw.left = other.left, draw.right = other.right, draw.top = other.top, draw.bottom = other.bottom;
    draw.flip = other.flip;
  }
  if (job.place.colour != job.place.look) draw.distortion = drawn(job.place.colour).distortion;
  return draw;
}

size_t SampleMaker::picture(const Job& job) const {
  const uint64_t number = job.iteration * groups_ + job.place.pictures;
  const auto images = static_cast<uint64_t>(dataset_.size());
  const auto part = static_cast<uint64_t>(job.part);
  uint64_t first = sampler_.index(number);
  if (part > 0) first = Rng(options_.seed, RandomUse::sampling, number, kOtherPictures + part).below(static_cast<uint32_t>(images));
  const uint32_t speeds = static_cast<uint32_t>(std::max(1, options_.layout.max_speed));
  const uint64_t speed = 1 + Rng(options_.seed, RandomUse::sampling, number, kSpeed).below(speeds);
  return static_cast<size_t>((first + speed * static_cast<uint64_t>(job.place.frame)) % images);
}

void SampleMaker::add_mosaic(Job job, std::vector<TruthBox>& truth) {
  Rng rng = stream(job, job.place.look, kCut);
  job.mosaic = true;
  job.cut = draw_mosaic_cut(job.width, job.height, rng);
  for (job.part = 0; job.part < kMosaicTiles; ++job.part) {
    job.to_corner = rng.coin();
    add_picture(job, truth);
  }
}

void SampleMaker::add_mixup(Job job, std::vector<TruthBox>& truth) {
  add_picture(job, truth);
  job.part = 1;
  job.mixed = true;
  add_picture(job, truth);
}

void SampleMaker::add_picture(const Job& job, std::vector<TruthBox>& truth) {
  const size_t image = picture(job), images = dataset_.size();
  if (try_image(image, job, truth)) return;
  // The substitute: the first usable image from a random place on; of a sequence the next frame.
  const uint64_t number = job.iteration * groups_ + job.place.pictures;
  Rng rng(options_.seed, RandomUse::sampling, number, kSubstitute + 2 * static_cast<uint64_t>(job.part));
  const size_t start = options_.layout.track ? image + 1 : rng.below(static_cast<uint32_t>(images));
  for (size_t i = 0; i < images; ++i) {
    const size_t other = (start + i) % images;
    if (other == image || !try_image(other, job, truth)) continue;
    ++substituted_;
    return;
  }
  fail(dataset_.list().string(), ": 0 usable of ", images, " images");
}

bool SampleMaker::try_image(size_t image, const Job& job, std::vector<TruthBox>& truth) {
  try {
    const std::string path = dataset_.image(image);
    Image decoded;
    Picture picture = describe(read_bytes(path, kMaxImageFile), path, image, job, decoded, truth);
    (*job.done)(picture, decoded);
    return true;
  } catch (const Error& error) {
    note_bad(image, error.what());
  } catch (const fs::filesystem_error& error) {
    note_bad(image, concat(dataset_.written(image), ": ", error.code().message()));
  }
  return false;
}

Picture SampleMaker::describe(const std::vector<std::byte>& file, const std::string& path, size_t image, const Job& job, Image& decoded,
                              std::vector<TruthBox>& truth) const {
  const ImageSize size = read_image_size(file, path);
  const Augmentation& how = options_.augmentation;
  const Draw draw = this->draw(job);
  Picture picture;
  Sampling& sampling = picture.sampling;
  Window& window = sampling.window;
  window = augmented_window(how, draw, size.width, size.height, job.width, job.height);
  if (job.to_corner) window = moved_to_corner(window, job.part, draw.flip, size.width, size.height);
  MosaicTile tile{0, 0, job.width, job.height, 0, 0};
  if (job.mosaic) tile = mosaic_tile(job.part, job.cut, window, draw.flip, size.width, size.height, job.width, job.height);

  const std::vector<TruthBox> labels = numbered(load_labels(path, options_.classes).boxes, image);
  std::vector<TruthBox> boxes = augmented_boxes(labels, window, draw.flip, size.width, size.height, job.width, job.height);
  const int blurring = bearable_blur(draw.blur, boxes, job.width, job.height);
  if (job.mosaic) boxes = mosaic_boxes(boxes, tile, how.mosaic_bound, job.width, job.height);

  sampling.shrink = options_.scaled_decode && size.scalable ? decode_shrink(window, job.width, job.height) : 1;
  sampling.flip = draw.flip;
  sampling.distortion = draw.distortion;
  sampling.outputs_x = job.width, sampling.outputs_y = job.height;
  sampling.x = tile.from_x, sampling.y = tile.from_y;
  decoded = decode_image_shrunk(file, path, options_.channels, sampling.shrink);
  const bool fills = window.left < 0 || window.top < 0 || window.left + window.width > size.width || window.top + window.height > size.height;
  if (how.letter_box)
    sampling.fill.fill(kLetterboxGray * 255);
  else if (fills)
    sampling.fill = mean_colour(decoded);
  truth.insert(truth.end(), boxes.begin(), boxes.end());
  picture.x = tile.x, picture.y = tile.y, picture.width = tile.width, picture.height = tile.height;
  picture.mean = job.mixed;
  if (blurring > 0) picture.blur = blurring > 1 ? blurring / 2 * 2 + 1 : kBackgroundBlur;
  if (blurring == 1) picture.sharp = object_pixels(boxes, tile, job.width, job.height);
  if (draw.noise) {
    picture.noise = static_cast<float>(how.noise) / 255;
    picture.noise_key = noise_key(stream(job, static_cast<uint64_t>(job.index), kNoise + static_cast<uint32_t>(job.part)));
  }
  return picture;
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
