// CPU kernel of [yolo]. x is channel-blocked [N,C/b,H,W,b] (or plain), y plain. saved[0] = delta, plain like y; dx = -delta_normalizer * delta.
#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/yolo/yolo.h"
#include "layers/yolo/yolo_loss.h"
#include "layers/yolo/yolo_sweeps.h"

namespace dn {
namespace {

class YoloKernel : public Kernel {
 public:
  YoloKernel(const Yolo& layer, cpu::Device& device, const KernelArgs& args)
      : layer_(layer.index()), rules_(layer.rules()), threads_(device.threads()), args_(args),
        grid_{args.y.shape.w, args.y.shape.h, args.network_input.w, args.network_input.h}, images_(static_cast<size_t>(args.y.shape.n)) {
    ensure(args.y.block == 1 && args.y.shape == args.x[0].shape, "[yolo] writes its input's shape, plain");
    ensure(!args.training || (grid_.net_w > 0 && grid_.net_h > 0), "[yolo] needs the network's input size in training");
  }

  Needs needs() const override {
    Needs n;
    if (args_.training) n.saved = {args_.y.bytes()};
    return n;
  }

  void forward(const Io& io, const Pass& pass) override {
    const Shape& shape = args_.y.shape;
    const size_t channels = static_cast<size_t>(shape.c);
    cpu::parallel_for(threads_, static_cast<size_t>(shape.n) * channels, [&](size_t i) {
      activate_plane(io.x[0], io.y, static_cast<int>(i / channels), static_cast<int>(i % channels));
    });
    if (!pass.training) return;
    ensure(args_.training, "a training pass of a plan for inference");
    ensure(pass.truth.empty() || pass.truth.size() == images_.size(), "truths for every image of the mini-batch");
    float* const delta = reinterpret_cast<float*>(io.saved[0]);
    LabelRejection::Bounds bounds;
    const std::span<DeltaSums> measured = measure(io, pass, bounds);
    cpu::parallel_for(threads_, images_.size(), [&](size_t n) {
      const std::span<const TruthBox> truths = pass.truth.empty() ? std::span<const TruthBox>() : std::span<const TruthBox>(pass.truth[n]);
      images_[n] = yolo_image_loss(rules_, grid_, io.y.data + n * shape.per_image(), truths, delta + n * shape.per_image(),
                                   {bounds, measured.empty() ? nullptr : &measured[n]});
    });
    if (io.loss) *io.loss = yolo_report(rules_, images_);
  }

  void backward(const Io& io, const Pass&) override {
    if (args_.dx[0] == Write::none) return;
    const float* const delta = reinterpret_cast<const float*>(io.saved[0]);
    const size_t blocks = static_cast<size_t>(args_.x[0].channel_blocks());
    cpu::parallel_for(threads_, static_cast<size_t>(args_.x[0].shape.n) * blocks, [&](size_t i) {
      const int n = static_cast<int>(i / blocks), block = static_cast<int>(i % blocks);
      const float* const image = delta + static_cast<size_t>(n) * args_.y.shape.per_image();
      if (args_.dx[0] == Write::overwrite)
        hand_on<false>(image, io.dx[0], n, block);
      else
        hand_on<true>(image, io.dx[0], n, block);
    });
  }

 private:
  // Empty when no label of this batch is measured or left out. What only sets running statistics is no batch of the training.
  std::span<DeltaSums> measure(const Io& io, const Pass& pass, LabelRejection::Bounds& bounds) const {
    if (!io.rejection || pass.stage == Pass::Stage::estimate) return {};
    const auto found = io.rejection->bounds(pass.iteration);
    if (!found) return {};
    bounds = *found;
    return io.rejection->sums(layer_, pass.first_image, images_.size());
  }

  void activate_plane(const Tensor& x, const Tensor& y, int n, int c) const {
    const size_t plane = grid_.plane(), step = static_cast<size_t>(x.desc.block);
    const float* const from = x.data + x.desc.offset(n, c, 0, 0);
    float* const to = y.data + y.desc.offset(n, c, 0, 0);
    for (size_t i = 0; i < plane; ++i) to[i] = from[i * step];
    const int entry = c % rules_.entries();
    const bool logistic = !rules_.new_coords && entry != kW && entry != kH;
    const float s = entry == kX || entry == kY ? rules_.scale_x_y : 1;
    if (logistic || s != 1) yolo_activate(to, plane, logistic, s, (1 - s) / 2);
  }

  // One channel block of one image; lanes beyond the last channel are padding and stay zero.
  template <bool accumulate>
  void hand_on(const float* delta, const Tensor& dx, int n, int block) const {
    const int lanes = dx.desc.block, first = block * lanes, used = std::min(lanes, dx.desc.shape.c - first);
    const size_t plane = grid_.plane(), step = static_cast<size_t>(lanes);
    float* const to = dx.data + dx.desc.offset(n, first, 0, 0);
    for (int lane = 0; lane < used; ++lane) {
      const float* const from = delta + static_cast<size_t>(first + lane) * plane;
      for (size_t i = 0; i < plane; ++i) {
        float& value = to[i * step + static_cast<size_t>(lane)];
        const float gradient = -rules_.delta_normalizer * from[i];
        value = accumulate ? value + gradient : gradient;
      }
    }
    if (accumulate) return;
    for (int lane = used; lane < lanes; ++lane)
      for (size_t i = 0; i < plane; ++i) to[i * step + static_cast<size_t>(lane)] = 0;
  }

  int layer_;
  const YoloRules& rules_;
  int threads_;
  KernelArgs args_;
  YoloGrid grid_;
  std::vector<YoloImageLoss> images_;
};

}  // namespace

std::unique_ptr<Kernel> Yolo::compile_cpu(const Yolo& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<YoloKernel>(layer, device, args);
}

}  // namespace dn
