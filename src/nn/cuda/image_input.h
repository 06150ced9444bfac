// Draws training samples on a GPU, from the 8-bit pixels of their pictures (data/picture.h) into the input of a plan. The formulas are those of image/:
// where the host draws, a sample differs by float rounding only.
//
//   ImageInput input(device);
//   plan.fill_input([&](const Tensor& to) { input.draw(samples, to); });
//
// One step per pixel of the mini-batch: sample each picture that covers it, blur across, noise, mean, all channels written at once. Before it, where
// a picture is blurred: its pixels as sampled, and the blur's downward sweep, in FP32 planes that these pictures only have.
#pragma once

#include <span>

#include "data/picture.h"
#include "device/cuda/device.h"
#include "tensor/tensor.h"

namespace dn::cuda {

class ImageInput {
 public:
  explicit ImageInput(Device& device) : device_(device) {}

  // Sample i becomes image i of `to`: channels-last, 1 or 3 channels. In the order of the stream: pixels in pinned memory must stay as they are until
  // the device has been waited for.
  void draw(std::span<const SampleRecipe> samples, const Tensor& to);

  // Of the device, for inputs of this shape: what one mini-batch of usual pictures takes. Of larger ones fewer samples are drawn at a time; it is only
  // one sample of very large pictures that takes more. blurred: pictures may be.
  static size_t most_bytes(const Shape& input, bool blurred);
  size_t bytes() const;   // that it has taken

 private:
  // input: of the whole mini-batch.
  void draw_at_once(std::span<const SampleRecipe> samples, const Tensor& to, const Shape& input);

  Device& device_;
  std::unique_ptr<DeviceMemory> pixels_, tables_, taps_, planes_;
};

// Pinned memory, for LoaderOptions::memory; where there is not that much, other memory with a warning.
HostMemory pinned_memory(Device& device);

}  // namespace dn::cuda
