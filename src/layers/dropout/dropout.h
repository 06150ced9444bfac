// [dropout]: in training every value is dropped with `probability`, the others grow to keep the mean (compatibility notes 4.9).
//   training:   y = dropped ? 0 : x / (1 - p);   dx = dropped ? 0 : dy / (1 - p)        inference: y = x
// The mask is never stored: it is a pure function of (seed, iteration, image's index in the batch, layer, element), computed again by backward. The
// element is the canonical one, c*H*W + i*W + j, so the mask depends neither on the channel block nor on threads or subdivisions.
// dropblock=1 (Ghiasi et al. 2018) drops rectangles: every element is, with probability p m / (a b), the middle of an a x b rectangle of its channel
// that is dropped, cut at the border; m = min(1, progress / .85) is the ramp of the family, a x b = m times dropblock_size (at least 1) wide and high.
// What is left of an image grows by all / left. (The family's kernel drops one rectangle of a channel at most, and with it far less than p early in a
// training, when rectangles are small; and it confuses the indexes of image, channel and place when it draws.)
//
//   [dropout]
//   probability=.5
//
//   [dropout]
//   dropblock=1
//   dropblock_size_rel=.3
#pragma once

#include "base/philox.h"
#include "base/rng.h"
#include "nn/layer.h"

namespace dn {

struct DropoutSpec {
  double probability = .2;
  bool dropblock = false;
  double size_rel = 0;   // of a rectangle: share of the map's width and height
  int size_abs = 0;      // ... or its side; 0: by size_rel, else 7
};

class Dropout : public Layer {
 public:
  static std::unique_ptr<Dropout> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Dropout& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Dropout& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const DropoutSpec& spec() const { return spec_; }
  Shape output_shape(std::span<const Shape> in) const override;
  bool is_view() const override { return spec_.probability == 0; }
  std::string summary(std::span<const Shape>) const override;

 private:
  Dropout(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  DropoutSpec spec_;
};

// The rectangles of dropblock at one point of the training.
struct DropRectangle {
  int width = 1, height = 1;
  double seeds = 0;   // probability that an element is the middle of one
};
DropRectangle drop_rectangle(const DropoutSpec& spec, const Shape& map, double progress);

// The mask of one image in one layer and iteration. Two words from the counter-based generator key a hash of the element's number; a lane costs
// four multiplications, so it vectorizes, where a generator block per four elements would cost ten rounds of wide products.
class DropoutMask {
 public:
  DropoutMask() = default;
  DropoutMask(const Pass& pass, int layer, int image, double probability);
  // The same, for kernels of a GPU. image: its index in the batch.
  DN_HD DropoutMask(uint64_t seed, uint64_t iteration, int layer, uint64_t image, uint32_t threshold) : threshold_(threshold) {
    const philox::Block words =
        philox::block(philox::stream(seed, static_cast<uint32_t>(RandomUse::dropout), iteration, (static_cast<uint64_t>(layer) << 40) + image), 0);
    key0_ = words.w[0], key1_ = words.w[1];
  }
  // Of the hash: what is below is dropped.
  static uint32_t threshold_for(double probability) { return static_cast<uint32_t>(probability * 4294967296.0); }
  // With rectangles around what drops() says. dropped: of one channel, a byte for each place, which becomes 0 or 1. Returns how many are dropped.
  size_t drop_rectangles(const DropRectangle& rectangle, const Shape& map, int channel, std::span<uint8_t> dropped) const;
  DN_HD bool drops(uint32_t element) const { return mix(mix(element ^ key0_) + key1_) < threshold_; }
  uint32_t key0() const { return key0_; }
  uint32_t key1() const { return key1_; }
  uint32_t threshold() const { return threshold_; }

  // Integer hash with good avalanche found by search: C. Wellons, "Prospecting for hash functions" (lowbias32).
  DN_HD static uint32_t mix(uint32_t v) {
    v = (v ^ (v >> 16)) * 0x7feb352du;
    v = (v ^ (v >> 15)) * 0x846ca68bu;
    return v ^ (v >> 16);
  }

 private:
  uint32_t key0_, key1_, threshold_;
};

}  // namespace dn
