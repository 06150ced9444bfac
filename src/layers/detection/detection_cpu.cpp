// CPU kernel of [detection]. Values of an image are few (thousands), so only the images are spread over threads.
#include <algorithm>
#include <cmath>

#include "layers/detection/detection.h"
#include "layers/detection/detection_loss.h"
#include "nn/head_kernel.h"

namespace dn {
namespace {

class DetectionKernel : public HeadKernel {
 public:
  DetectionKernel(const DetectionHead& layer, cpu::Device& device, const KernelArgs& args)
      : HeadKernel(device, args), rules_(layer.rules()), sums_(images_) {}

 private:
  size_t parts() const override { return rules_.softmax ? 1 : 0; }
  void activate_part(float* image, size_t) const override {
    const size_t classes = static_cast<size_t>(rules_.classes);
    for (size_t cell = 0; cell < rules_.cells(); ++cell) {
      float* const p = image + rules_.classes_at(cell);
      const double top = static_cast<double>(*std::max_element(p, p + classes));
      double sum = 0;
      for (size_t c = 0; c < classes; ++c) sum += std::exp(static_cast<double>(p[c]) - top);
      for (size_t c = 0; c < classes; ++c) p[c] = static_cast<float>(std::exp(static_cast<double>(p[c]) - top) / sum);
    }
  }
  void image_loss(size_t n, const float* output, std::span<const TruthBox> truths, const Pass& pass, float* delta) override {
    const DetectionDraw draw{images_seen(pass, images_) < kRandomImages, pass.seed, pass.iteration, pass.first_image + n};
    sums_[n] = detection_image_loss(rules_, output, truths, draw, delta);
  }
  LossReport report() const override { return mini_batch_report(sums_); }

  const DetectionRules& rules_;
  std::vector<LossReport> sums_;   // per image
};

}  // namespace

std::unique_ptr<Kernel> DetectionHead::compile_cpu(const DetectionHead& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<DetectionKernel>(layer, device, args);
}

}  // namespace dn
