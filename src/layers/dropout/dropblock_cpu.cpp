// The mask of every channel is made in the scratch, forward and backward alike, one byte for each value; then one sweep, an item being one channel
// block of one image.
#include "layers/dropout/dropblock_cpu.h"

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "nn/elementwise.h"

namespace dn {
namespace {

class DropblockCpu : public Kernel {
 public:
  DropblockCpu(const Dropout& layer, cpu::Device& device, const KernelArgs& args)
      : threads_(device.threads()),
        dx_(args.dx.empty() ? Write::none : args.dx[0]),
        desc_(args.y),
        layer_(layer.index()),
        spec_(layer.spec()),
        training_(args.training) {
    ensure(args.x[0].block == desc_.block, "dropout needs equally blocked tensors");
  }
  Needs needs() const override {
    const size_t masks = training_ ? desc_.shape.count() : 0;
    return {.forward_scratch = masks, .backward_scratch = masks};
  }

  void forward(const Io& io, const Pass& pass) override {
    if (pass.training)
      apply(io, pass, io.x[0].data, io.y.data, false);
    else
      copy_to(threads_, io.y.data, io.x[0].data, desc_.count());
  }
  void backward(const Io& io, const Pass& pass) override {
    if (dx_ != Write::none) apply(io, pass, io.dy.data, io.dx[0].data, dx_ == Write::accumulate);
  }

 private:
  void apply(const Io& io, const Pass& pass, const float* from, float* to, bool add) const {
    const Shape& s = desc_.shape;
    const size_t plane = s.plane(), channels = static_cast<size_t>(s.c), blocks = static_cast<size_t>(desc_.channel_blocks()),
                 block = static_cast<size_t>(desc_.block);
    const std::span<uint8_t> masks(reinterpret_cast<uint8_t*>(io.scratch), s.count());
    const std::vector<float> scale = make_masks(pass, masks);
    cpu::parallel_for(threads_, static_cast<size_t>(s.n) * blocks, [&](size_t item) {
      const size_t image = item / blocks, first = item % blocks * block, at = item * desc_.block_stride();
      for (size_t l = 0; l < block; ++l) {
        const uint8_t* dropped = masks.data() + (image * channels + first + l) * plane;
        for (size_t p = 0; p < plane; ++p) {
          const float v = first + l < channels && !dropped[p] ? from[at + p * block + l] * scale[image] : 0.f;
          float& target = to[at + p * block + l];
          target = add ? target + v : v;
        }
      }
    });
  }

  // Returns, for each image, what its values left over grow by.
  std::vector<float> make_masks(const Pass& pass, std::span<uint8_t> masks) const {
    const Shape& s = desc_.shape;
    const size_t plane = s.plane(), channels = static_cast<size_t>(s.c);
    const DropRectangle rectangle = drop_rectangle(spec_, s, pass.progress);
    std::vector<size_t> dropped(static_cast<size_t>(s.n) * channels);
    cpu::parallel_for(threads_, dropped.size(), [&](size_t i) {
      const DropoutMask mask(pass, layer_, static_cast<int>(i / channels), rectangle.seeds);
      dropped[i] = mask.drop_rectangles(rectangle, s, static_cast<int>(i % channels), masks.subspan(i * plane, plane));
    });
    std::vector<float> scale;
    for (size_t image = 0; image < static_cast<size_t>(s.n); ++image) {
      size_t left = s.per_image();
      for (size_t c = 0; c < channels; ++c) left -= dropped[image * channels + c];
      scale.push_back(left > 0 ? static_cast<float>(static_cast<double>(s.per_image()) / static_cast<double>(left)) : 0.f);
    }
    return scale;
  }

  int threads_;
  Write dx_;
  TensorDesc desc_;
  int layer_;
  DropoutSpec spec_;
  bool training_;
};

}  // namespace

std::unique_ptr<Kernel> compile_dropblock(const Dropout& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<DropblockCpu>(layer, device, args);
}

}  // namespace dn
