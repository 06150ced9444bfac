#include "train/image_feed.h"

#include "device/cuda/device.h"
#include "nn/cuda/image_input.h"

namespace dn {

struct ImageFeed::Gpu {
  cuda::Device& device;
  cuda::ImageInput input{device};
};

ImageFeed::ImageFeed(Device& device, bool pictures)
    : gpu_(device.kind() == DeviceKind::cuda && !pictures ? new Gpu{static_cast<cuda::Device&>(device)} : nullptr) {}

ImageFeed::~ImageFeed() = default;

void ImageFeed::prepare(LoaderOptions& loading) const {
  if (!gpu_) return;
  loading.recipes = true;
  loading.memory = cuda::pinned_memory(gpu_->device);
}

void ImageFeed::set_input(Plan& plan, const Batch& batch, size_t first) {
  const Shape& input = plan.input_shape();
  if (!gpu_) return plan.set_input(batch.pixels.data() + first * input.per_image());
  plan.fill_input([&](const Tensor& to) { gpu_->input.draw(std::span(batch.recipes).subspan(first, static_cast<size_t>(input.n)), to); });
}

void ImageFeed::finish_batch() {
  if (gpu_) gpu_->device.synchronize();
}

size_t ImageFeed::device_bytes() const { return gpu_ ? gpu_->input.bytes() : 0; }

}  // namespace dn
