#include "data/picture.h"

#include <algorithm>

#include "base/error.h"
#include "base/numbers.h"
#include "image/blur.h"
#include "image/noise.h"

namespace dn {
namespace {

constexpr size_t kAlignment = 64;  // of a picture's pixels

void draw_over(const Picture& picture, const Image& decoded, int channels, PlanarView view) {
  view.data += static_cast<size_t>(picture.y) * view.row_stride + static_cast<size_t>(picture.x);
  view.width = picture.width, view.height = picture.height;
  sample_image(decoded, picture.sampling, view);
  if (picture.blur > 1) blur(view, channels, picture.blur, picture.sharp);
  if (picture.noise > 0) add_noise(view, channels, picture.noise, picture.noise_key);
}

}  // namespace

void draw_picture(const Picture& picture, const Image& decoded, int channels, int width, int height, float* sample) {
  if (picture.empty()) return;
  if (!picture.mean) return draw_over(picture, decoded, channels, planar(sample, width, height));
  ensure(picture.width == width && picture.height == height, "pictures that are mixed fill the sample");
  std::vector<float> other(static_cast<size_t>(channels) * static_cast<size_t>(width) * static_cast<size_t>(height));
  draw_over(picture, decoded, channels, planar(other.data(), width, height));
  for (size_t i = 0; i < other.size(); ++i) sample[i] = (sample[i] + other[i]) / 2;
}

std::shared_ptr<std::byte> plain_memory(size_t bytes) { return {new std::byte[bytes], std::default_delete<std::byte[]>()}; }

void PixelStore::begin(const HostMemory& memory) {
  beyond_.clear();
  if (used_ > capacity_) {
    const size_t wanted = round_up(used_ + used_ / 8, kAlignment);  // batches differ
    block_.reset();
    capacity_ = 0;
    block_ = memory(wanted);
    capacity_ = wanted;
  }
  used_ = 0;
}

uint8_t* PixelStore::take(size_t bytes) {
  const std::lock_guard lock(mutex_);
  const size_t at = used_;
  used_ += round_up(bytes, kAlignment);
  if (used_ <= capacity_) return reinterpret_cast<uint8_t*>(block_.get()) + at;
  return beyond_.emplace_back(new uint8_t[bytes]).get();
}

void PixelStore::keep(const Image& decoded, Picture& picture) {
  picture.image_width = decoded.width, picture.image_height = decoded.height;
  picture.part = sampled_part(decoded.width, decoded.height, picture.sampling, picture.width, picture.height);
  const size_t channels = static_cast<size_t>(decoded.channels), row = static_cast<size_t>(picture.part.right - picture.part.left) * channels;
  const int rows = picture.part.bottom - picture.part.top;
  if (row == 0) return;  // nothing but the fill colour shows
  uint8_t* to = take(row * static_cast<size_t>(rows));
  const uint8_t* from =
      decoded.pixels.data() + static_cast<size_t>(picture.part.top) * decoded.row() + static_cast<size_t>(picture.part.left) * channels;
  picture.pixels = to;
  for (int y = 0; y < rows; ++y, to += row, from += decoded.row()) std::copy_n(from, row, to);
}

}  // namespace dn
