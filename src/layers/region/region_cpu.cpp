// CPU kernel of [region].
#include "layers/region/region.h"
#include "layers/region/region_loss.h"
#include "nn/head_kernel.h"
#include "nn/head_sweeps.h"

namespace dn {
namespace {

class RegionKernel : public HeadKernel {
 public:
  RegionKernel(const Region& layer, cpu::Device& device, const KernelArgs& args)
      : HeadKernel(device, args), rules_(layer.rules()), grid_(region_grid(args.y.shape.w, args.y.shape.h)), sums_(images_) {}

 private:
  void activate_plane(int channel, float* values, size_t count) const override {
    const int entry = channel % rules_.entries();
    if (rules_.is_position(entry) || entry == rules_.objectness()) activate_values(values, count, true, 1, 0);
  }
  // A part is one anchor's classes.
  size_t parts() const override { return rules_.softmax || rules_.has_tree() ? rules_.anchors.size() : 0; }
  void activate_part(float* image, size_t anchor) const override {
    float* const classes = image + anchor_plane(rules_, grid_, static_cast<int>(anchor), rules_.first_class());
    const size_t plane = grid_.plane();
    if (!rules_.has_tree()) return softmax_planes(classes, static_cast<size_t>(rules_.classes), plane);
    for (const ClassTree::Group& group : rules_.tree.groups)
      softmax_planes(classes + static_cast<size_t>(group.first) * plane, static_cast<size_t>(group.size), plane);
  }
  void image_loss(size_t n, const float* output, std::span<const TruthBox> truths, const Pass& pass, float* delta) override {
    sums_[n] = region_image_loss(rules_, grid_, output, truths, images_seen(pass, images_), delta);
  }
  LossReport report() const override { return mini_batch_report(sums_); }

  const RegionRules& rules_;
  AnchorGrid grid_;
  std::vector<LossReport> sums_;   // per image
};

}  // namespace

std::unique_ptr<Kernel> Region::compile_cpu(const Region& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<RegionKernel>(layer, device, args);
}

}  // namespace dn
