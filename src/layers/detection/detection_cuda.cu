// [detection] on a GPU: an image is one block's. A cell's first truth assigns it; sums have one order.
#include <cmath>

#include "device/cuda/launch.h"
#include "layers/detection/detection.h"
#include "layers/detection/detection_cells.h"
#include "layers/detection/detection_loss.h"
#include "nn/anchor_rules.h"
#include "nn/cuda/block_sums.h"
#include "nn/cuda/head_kernel.h"
#include "nn/head_kernel.h"

namespace dn {
namespace {

using cuda::HeadTruths;
using cuda::Place;
using cuda::PlainView;

// Softmax over the classes of a cell, in place.
struct SoftmaxBody {
  float* y;
  DetectionRules rules;
  DN_HD void operator()(size_t i) const {
    float* const p = y + i / rules.cells() * rules.outputs() + rules.classes_at(i % rules.cells());
    double top = static_cast<double>(p[0]), sum = 0;
    for (int c = 1; c < rules.classes; ++c) top = p[c] > top ? static_cast<double>(p[c]) : top;
    for (int c = 0; c < rules.classes; ++c) sum += std::exp(static_cast<double>(p[c]) - top);
    for (int c = 0; c < rules.classes; ++c) p[c] = static_cast<float>(std::exp(static_cast<double>(p[c]) - top) / sum);
  }
};

struct ImageLossBody {   // a block: an image
  using Sums = cuda::BlockSums<LossReport>;
  static constexpr int kThreads = Sums::kThreads, kPhases = 6;
  using Shared = Sums;
  struct State {
    LossReport sums;
  };
  DetectionRules rules;
  const float* output;
  float* delta;
  HeadTruths truths;
  const int* drawn;   // [image][cell]
  LossReport* images;

  DN_HD size_t cell_of_truth(const TruthBox& truth) const { return cell_of({rules.side, rules.side, 0, 0}, truth.box.x, truth.box.y); }
  DN_HD bool first_of_its_cell(const TruthBox* all, int t) const {
    for (int earlier = 0; earlier < t; ++earlier)
      if (cell_of_truth(all[earlier]) == cell_of_truth(all[t])) return false;
    return true;
  }

  template <int phase>
  DN_HD void run(const Place& place, State& state, Shared& shared) const {
    const size_t image = static_cast<size_t>(place.x), thread = static_cast<size_t>(place.thread), boxes = static_cast<size_t>(rules.num);
    const DetectionCells cells{rules, output + image * rules.outputs(), delta + image * rules.outputs()};
    if constexpr (phase == 0) {
      state.sums = {};
      for (size_t i = thread; i < rules.outputs(); i += kThreads) cells.delta[i] = 0;
    } else if constexpr (phase == 1) {
      for (size_t i = thread; i < rules.cells() * boxes; i += kThreads) cells.score(i / boxes, static_cast<int>(i % boxes), state.sums);
    } else if constexpr (phase == 2) {
      const TruthBox* const all = truths.of(place.x);
      for (int t = place.thread; t < truths.count(place.x); t += kThreads) {
        const size_t cell = cell_of_truth(all[t]);
        if (first_of_its_cell(all, t))
          cells.assign(cell, all[t], drawn[image * rules.cells() + cell], state.sums);
        else
          ++state.sums.rewritten;
      }
    } else if constexpr (phase == 3) {
      for (size_t i = thread; i < rules.outputs(); i += kThreads) cells.add_square(i, state.sums);
      shared.of[place.thread] = state.sums;
    } else if constexpr (phase == 4) {
      shared.fold_runs(place.thread);
    } else if (place.thread == 0) {
      LossReport sums = shared.fold_all();
      sums.truths = truths.count(place.x);
      sums.predictions = static_cast<int64_t>(rules.cells() * boxes);
      DetectionCells::add_up(sums);
      images[place.x] = sums;
    }
  }
};

class DetectionCudaKernel : public cuda::HeadKernel {
 public:
  DetectionCudaKernel(const DetectionHead& layer, cuda::Device& device, const KernelArgs& args)
      : HeadKernel(device, args, std::vector<cuda::ChannelForm>(static_cast<size_t>(args.y.shape.c)), layer.max_truths(),
                   [&layer](int label) { return layer.rules().class_of(label); }),
        rules_(layer.rules()) {
    if (args.training) drawn_ = device.allocate(draws() * sizeof(int));
  }

  Needs needs() const override {
    Needs n = HeadKernel::needs();
    if (args_.training) n.forward_scratch = static_cast<size_t>(images_) * sizeof(LossReport);
    return n;
  }

  void prepare(const Io& io, const Pass& pass) override {
    HeadKernel::prepare(io, pass);
    if (!pass.training) return;
    DetectionDraw draw{images_seen(pass, static_cast<size_t>(images_)) < kRandomImages, pass.seed, pass.iteration, pass.first_image};
    std::vector<int> drawn;
    for (int n = 0; n < images_; ++n, ++draw.image)
      for (size_t cell = 0; cell < rules_.cells(); ++cell) drawn.push_back(drawn_box(rules_, draw, cell));
    device_.stream().to_device(drawn_->data(), drawn.data(), draws() * sizeof(int));
  }

 private:
  size_t draws() const { return static_cast<size_t>(images_) * rules_.cells(); }

  void activate_parts(const PlainView& y) const override {
    if (rules_.softmax) cuda::for_each(device_.stream(), draws(), SoftmaxBody{y.data, rules_});
  }
  void put_loss(const Io& io, const PlainView& y, const HeadTruths& truths, float* delta, LossReport* report) const override {
    auto* const images = reinterpret_cast<LossReport*>(io.scratch);
    cuda::launch_blocks(device_.stream(), {images_, 1}, ImageLossBody{rules_, y.data, delta, truths, reinterpret_cast<const int*>(drawn_->data()), images});
    cuda::for_each(device_.stream(), 1, cuda::MiniBatchReportBody{images, static_cast<size_t>(images_), report});
  }

  DetectionRules rules_;
  std::unique_ptr<DeviceMemory> drawn_;   // [image][cell]: drawn_box
};

}  // namespace

std::unique_ptr<Kernel> DetectionHead::compile_cuda(const DetectionHead& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<DetectionCudaKernel>(layer, device, args);
}

}  // namespace dn
