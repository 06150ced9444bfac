// CPU kernel of a head of anchors.
#include "nn/anchor_head.h"
#include "nn/head_kernel.h"
#include "nn/head_sweeps.h"

namespace dn {
namespace {

class AnchorKernel : public HeadKernel {
 public:
  AnchorKernel(const AnchorHead& layer, cpu::Device& device, const KernelArgs& args, AnchorImageLossFunction loss)
      : HeadKernel(device, args, layer.rules().delta_normalizer), layer_(layer), rules_(layer.rules()), loss_(loss),
        grid_{args.y.shape.w, args.y.shape.h, args.network_input.w, args.network_input.h}, sums_(images_) {}

 private:
  void activate_plane(int channel, float* values, size_t count) const override {
    const int entry = channel % rules_.entries();
    const bool logistic = !rules_.new_coords && !rules_.is_size(entry);
    const float s = rules_.is_position(entry) ? rules_.scale_x_y : 1;
    if (logistic || s != 1) activate_values(values, count, logistic, s, (1 - s) / 2);
  }
  // Nothing is measured when no label of this batch is left out. What only sets running statistics is no batch of the training.
  void before_losses(const Io& io, const Pass& pass) override {
    measured_ = {};
    if (!layer_.rejects_labels() || !io.rejection || pass.stage == Pass::Stage::estimate) return;
    const auto bounds = io.rejection->bounds(pass.iteration);
    if (!bounds) return;
    bounds_ = *bounds;
    measured_ = io.rejection->sums(layer_.index(), pass.first_image, images_);
  }
  void image_loss(size_t n, const float* output, std::span<const TruthBox> truths, const Pass&, float* delta) override {
    sums_[n] = loss_(rules_, grid_, output, truths, delta, {bounds_, measured_.empty() ? nullptr : &measured_[n]});
  }
  LossReport report() const override { return anchor_report(rules_, sums_); }

  const AnchorHead& layer_;
  const AnchorRules& rules_;
  AnchorImageLossFunction loss_;
  AnchorGrid grid_;
  std::vector<AnchorImageLoss> sums_;   // per image
  // Of this pass: what is left out of the gradients, and where the sums of each image's go; empty: nowhere.
  LabelRejection::Bounds bounds_;
  std::span<DeltaSums> measured_;
};

}  // namespace

std::unique_ptr<Kernel> compile_anchor_head_cpu(const AnchorHead& layer, cpu::Device& device, const KernelArgs& args, AnchorImageLossFunction loss) {
  return std::make_unique<AnchorKernel>(layer, device, args, loss);
}

}  // namespace dn
