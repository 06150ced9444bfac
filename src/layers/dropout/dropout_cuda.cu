// [dropout] on a GPU: one sweep, the mask computed on the way, forward and backward alike. A block makes a part of one image, whose key it shares.
#include "device/cuda/launch.h"
#include "layers/dropout/dropblock_cuda.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::View;

struct DropBody {
  static constexpr int kThreads = 256, kPhases = 2, kEights = 4 * kThreads;  // eights of a block
  struct Shared {
    DropoutMask mask;
  };
  struct State {};
  View from, to;
  const cuda::PassNumbers* numbers;
  int layer;
  uint32_t threshold;
  float scale;
  bool add;
  // Blocks: x = part of the image, y = image.
  template <int phase>
  DN_HD void run(const cuda::Place& place, State&, Shared& shared) const {
    if constexpr (phase == 0) {
      if (place.thread == 0)
        shared.mask = DropoutMask(numbers->seed, numbers->iteration, layer, numbers->first_image + static_cast<uint64_t>(place.y), threshold);
    } else {
      const uint32_t plane = static_cast<uint32_t>(to.h) * static_cast<uint32_t>(to.w), groups = static_cast<uint32_t>(to.groups());
      const size_t end = static_cast<size_t>(plane) * groups, first = static_cast<size_t>(place.x) * kEights + static_cast<size_t>(place.thread);
      for (size_t i = first; i < end && i < static_cast<size_t>(place.x + 1) * kEights; i += kThreads) {
        const auto [at, channel] = cuda::eight_place(to, i);  // within the image
        const size_t pixel = static_cast<size_t>(place.y) * plane + at;
        Eight value = from.get_eight(from.at(pixel, channel));
        for (int k = 0; k < cuda::kEight; ++k)
          value.v[k] = shared.mask.drops(static_cast<uint32_t>(channel + k) * plane + static_cast<uint32_t>(at)) ? 0 : value.v[k] * scale;
        cuda::put_eight(to, to.at(pixel, channel), value, add);
      }
    }
  }
};

class DropoutCuda : public Kernel {
 public:
  DropoutCuda(const Dropout& layer, cuda::Device& device, const KernelArgs& args)
      : device_(device), args_(args), layer_(layer.index()), probability_(layer.spec().probability) {}
  Needs needs() const override { return {}; }

  void forward(const Io& io, const Pass& pass) override { apply(pass, io.x[0], io.y, false); }
  void backward(const Io& io, const Pass& pass) override {
    if (args_.dx[0] != Write::none) apply(pass, io.dy, io.dx[0], args_.dx[0] == Write::accumulate);
  }

 private:
  void apply(const Pass& pass, const Tensor& from, const Tensor& to, bool add) const {
    const View target = cuda::view(to);
    const bool on = pass.training;  // threshold 0 drops nothing
    const size_t eights = target.eights() / static_cast<size_t>(target.n);
    cuda::launch_blocks(device_.stream(), {static_cast<int>((eights + DropBody::kEights - 1) / DropBody::kEights), target.n},
                        DropBody{cuda::view(from), target, device_.numbers(), layer_, on ? DropoutMask::threshold_for(probability_) : 0,
                                 on ? static_cast<float>(1 / (1 - probability_)) : 1, add});
  }

  cuda::Device& device_;
  KernelArgs args_;
  int layer_;
  double probability_;
};

}  // namespace

std::unique_ptr<Kernel> Dropout::compile_cuda(const Dropout& layer, cuda::Device& device, const KernelArgs& args) {
  if (layer.spec().dropblock) return compile_dropblock(layer, device, args);
  return std::make_unique<DropoutCuda>(layer, device, args);
}

}  // namespace dn
