// [crop]: a window of the input, moved and mirrored at random in training, the middle one at inference (compatibility notes 4.15).
//   y[c,i,j] = s x'[c, top + i, left + j] + t,   s = 2, t = -1; noadjust: s = 1, t = 0;   flip: column W - 1 - (left + j)
//   x' = x, or in training and of a network's RGB input: saturation and value of HSV multiplied or divided by up to `saturation` and `exposure`,
//   then a random amount within +- shift / 2 added to each channel of y
// Every image has its own draw, a function of (seed, iteration, image's index in the batch), so it does not depend on subdivisions; in the family the
// images of a mini-batch share place and mirroring. At another input size the window keeps its share of it. A detector's boxes do not move with the
// window, so cfgs of detectors crop nothing away. angle turns nothing here: it is said once.
//
//   [crop]
//   crop_width=224
//   crop_height=224
//   flip=1
#pragma once

#include "nn/layer.h"

namespace dn {

struct CropSpec {
  int crop_width = 1, crop_height = 1;
  bool flip = false, noadjust = false;
  double saturation = 1, exposure = 1, shift = 0;
};

// Where the window of one image lies and how its colours change.
struct CropDraw {
  int top = 0, left = 0;
  bool flip = false;
  double saturation = 1, exposure = 1;
  double added[3] = {0, 0, 0};  // to the channels of y
};

class Crop : public Layer {
 public:
  static std::unique_ptr<Crop> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const Crop& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const Crop& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const CropSpec& spec() const { return spec_; }
  bool changes_colours() const { return spec_.saturation != 1 || spec_.exposure != 1 || spec_.shift != 0; }
  double scale() const { return spec_.noadjust ? 1 : 2; }
  double offset() const { return spec_.noadjust ? 0 : -1; }
  CropDraw draw(const Pass& pass, int image, const Shape& in, const Shape& out) const;
  Shape output_shape(std::span<const Shape> in) const override;
  bool reads_plain(const Shape&) const override { return true; }
  std::string summary(std::span<const Shape>) const override;

 private:
  using Layer::Layer;
  CropSpec spec_;
  int net_width_ = 0, net_height_ = 0;  // that the window is a share of
};

}  // namespace dn
