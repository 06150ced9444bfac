#include "train/sample_pictures.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/log.h"
#include "image/draw.h"

namespace dn {
namespace {

constexpr int kColumns = 6;

}  // namespace

Image sample_picture(const Batch& batch, int index, const std::vector<std::string>& names) {
  if (batch.channels != 1 && batch.channels != 3) fail("a picture of ", batch.channels, " channels: expected 1 or 3");
  const auto channels = static_cast<size_t>(batch.channels), area = static_cast<size_t>(batch.width) * static_cast<size_t>(batch.height);
  Image image{batch.width, batch.height, batch.channels, std::vector<uint8_t>(channels * area)};
  const float* pixels = batch.pixels.data() + static_cast<size_t>(index) * channels * area;
  for (size_t c = 0; c < channels; ++c)
    for (size_t i = 0; i < area; ++i)
      image.pixels[i * channels + c] = static_cast<uint8_t>(std::lround(std::clamp(pixels[c * area + i], 0.0f, 1.0f) * 255));
  std::vector<DrawItem> items;
  for (const TruthBox& truth : batch.truth[static_cast<size_t>(index)]) {
    const auto id = static_cast<size_t>(truth.class_id);
    items.push_back({truth.box, id < names.size() ? names[id] : concat(truth.class_id), -1, truth.class_id});
  }
  draw_detections(image, items);
  return image;
}

SamplePictures::SamplePictures(fs::path folder, std::vector<std::string> names, int count)
    : folder_(std::move(folder)), names_(std::move(names)), wanted_(count) {
  make_directories(folder_);
}

bool SamplePictures::add(const Batch& batch) {
  if (done()) return false;
  const int count = std::min(wanted_, batch.images);
  for (int k = 0; k < count; ++k) {
    drawn_.push_back(sample_picture(batch, k, names_));
    save(concat("iteration_", batch.iteration + 1, "_sample_", k, ".jpg"), drawn_.back());
  }
  wanted_ -= count;
  if (!done()) return false;
  save("sheet.jpg", make_contact_sheet(drawn_, kColumns));
  drawn_.clear();
  return true;
}

void SamplePictures::save(const fs::path& name, const Image& image) const {
  try {
    save_image(folder_ / name, image);
  } catch (const Error& e) {
    log::warn(e.what());
  }
}

}  // namespace dn
