// A picture of a training sample and what is done to it, so that it can be drawn here and now, or later by a device (nn/cuda/image_input.h):
//   decoded 8-bit pixels -> part of a window, resized, mirrored, distorted (image/resize.h) -> blur -> noise -> into its place in the sample
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "image/resize.h"

namespace dn {

struct Picture {
  Sampling sampling;
  int x = 0, y = 0, width = 0, height = 0;  // its place in the sample; of a sample a few pixels wide it may be empty
  bool mean = false;                        // the sample becomes the mean of what is there and of this picture (mixup)
  int blur = 1;                             // pixels of the Gaussian window (image/blur.h); 1: none
  std::vector<PixelRect> sharp;             // within its place: what the blur spares
  float noise = 0;                          // deviation (image/noise.h); 0: none
  uint64_t noise_key = 0;
  // Of a picture that is drawn later: the decoded image, of which the pixels of `part` are kept, interleaved and dense.
  int image_width = 0, image_height = 0;
  PixelRect part;
  const uint8_t* pixels = nullptr;

  bool empty() const { return width == 0 || height == 0; }
};

// The pictures of a sample, in the order in which they are drawn.
using SampleRecipe = std::vector<Picture>;

// Draws into a sample: dense planar floats [channels,height,width] in 0..1.
void draw_picture(const Picture& picture, const Image& decoded, int channels, int width, int height, float* sample);

// Memory of the host for pixels on their way to a device, which may have a kind of its own for that.
using HostMemory = std::function<std::shared_ptr<std::byte>(size_t bytes)>;
std::shared_ptr<std::byte> plain_memory(size_t bytes);

// The 8-bit pixels of the pictures of a batch. They lie in one block, as large as the largest batch so far needed; what is beyond that, and the first
// batch as a whole, is on the heap.
class PixelStore {
 public:
  // Everything is given back. Memory is allocated here only, by the caller's thread.
  void begin(const HostMemory& memory);
  // Keeps what `picture` needs of the image. May be called from several threads.
  void keep(const Image& decoded, Picture& picture);

 private:
  uint8_t* take(size_t bytes);

  std::mutex mutex_;
  std::shared_ptr<std::byte> block_;
  size_t capacity_ = 0, used_ = 0;  // used: with what is beyond
  std::vector<std::unique_ptr<uint8_t[]>> beyond_;
};

}  // namespace dn
