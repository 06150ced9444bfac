#include "nn/head_kernel.h"

#include <algorithm>

#include "comm/group.h"
#include "device/cpu/parallel.h"

namespace dn {

HeadKernel::HeadKernel(cpu::Device& device, const KernelArgs& args, float gradient_scale)
    : threads_(device.threads()), args_(args), images_(static_cast<size_t>(args.y.shape.n)), scale_(gradient_scale) {
  ensure(args.y.block == 1 && args.y.shape == args.x[0].shape, "a head writes its input's shape, plain");
  ensure(!args.training || (args.network_input.w > 0 && args.network_input.h > 0), "a head needs the network's input size in training");
}

Needs HeadKernel::needs() const {
  Needs n;
  if (args_.training) n.saved = {args_.y.bytes()};
  return n;
}

void HeadKernel::forward(const Io& io, const Pass& pass) {
  const Shape& shape = args_.y.shape;
  const size_t channels = static_cast<size_t>(shape.c), per_image = shape.per_image();
  cpu::parallel_for(threads_, images_ * channels, [&](size_t i) {
    const int n = static_cast<int>(i / channels), c = static_cast<int>(i % channels);
    copy_plane(io.x[0], io.y, n, c);
    activate_plane(c, io.y.data + io.y.desc.offset(n, c, 0, 0), shape.plane());
  });
  if (const size_t count = parts(); count > 0)
    cpu::parallel_for(threads_, images_ * count, [&](size_t i) { activate_part(io.y.data + i / count * per_image, i % count); });
  if (!pass.training) return;
  ensure(args_.training, "a training pass of a plan for inference");
  ensure(pass.truth.empty() || pass.truth.size() == images_, "truths for every image of the mini-batch");
  float* const delta = reinterpret_cast<float*>(io.saved[0]);
  before_losses(io, pass);
  cpu::parallel_for(threads_, images_, [&](size_t n) {
    const std::span<const TruthBox> truths = pass.truth.empty() ? std::span<const TruthBox>() : std::span<const TruthBox>(pass.truth[n]);
    image_loss(n, io.y.data + n * per_image, truths, pass, delta + n * per_image);
  });
  if (io.loss) *io.loss = report();
}

void HeadKernel::backward(const Io& io, const Pass&) {
  if (args_.dx[0] == Write::none) return;
  const float* const delta = reinterpret_cast<const float*>(io.saved[0]);
  const size_t blocks = static_cast<size_t>(args_.x[0].channel_blocks());
  cpu::parallel_for(threads_, images_ * blocks, [&](size_t i) {
    const int n = static_cast<int>(i / blocks), block = static_cast<int>(i % blocks);
    const float* const image = delta + static_cast<size_t>(n) * args_.y.shape.per_image();
    if (args_.dx[0] == Write::overwrite)
      hand_on<false>(image, io.dx[0], n, block);
    else
      hand_on<true>(image, io.dx[0], n, block);
  });
}

void HeadKernel::copy_plane(const Tensor& x, const Tensor& y, int n, int c) const {
  const size_t plane = args_.y.shape.plane(), step = static_cast<size_t>(x.desc.block);
  const float* const from = x.data + x.desc.offset(n, c, 0, 0);
  float* const to = y.data + y.desc.offset(n, c, 0, 0);
  for (size_t i = 0; i < plane; ++i) to[i] = from[i * step];
}

// One channel block of one image; lanes beyond the last channel are padding and stay zero.
template <bool accumulate>
void HeadKernel::hand_on(const float* delta, const Tensor& dx, int n, int block) const {
  const int lanes = dx.desc.block, first = block * lanes, used = std::min(lanes, dx.desc.shape.c - first);
  const size_t plane = args_.y.shape.plane(), step = static_cast<size_t>(lanes);
  float* const to = dx.data + dx.desc.offset(n, first, 0, 0);
  for (int lane = 0; lane < used; ++lane) {
    const float* const from = delta + static_cast<size_t>(first + lane) * plane;
    for (size_t i = 0; i < plane; ++i) {
      float& value = to[i * step + static_cast<size_t>(lane)];
      const float gradient = -scale_ * from[i];
      value = accumulate ? value + gradient : gradient;
    }
  }
  if (accumulate) return;
  for (int lane = used; lane < lanes; ++lane)
    for (size_t i = 0; i < plane; ++i) to[i * step + static_cast<size_t>(lane)] = 0;
}

uint64_t images_seen(const Pass& pass, size_t images) {
  const uint64_t ranks = pass.group ? static_cast<uint64_t>(pass.group->size()) : 1;
  return pass.iteration * static_cast<uint64_t>(pass.micro_steps) * images * ranks;
}

}  // namespace dn
