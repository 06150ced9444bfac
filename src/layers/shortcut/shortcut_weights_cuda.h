// What the kernels of [shortcut] on a GPU share: reading maps of another size, and the learned weights, that is the table of the normalized ones and
// their gradients. Sums over pixels go in two levels (nn/cuda/channel_sums.h), over channels in one block: the order depends on the shape only.
#pragma once

#include "layers/shortcut/shortcut.h"
#include "nn/cuda/cells.h"
#include "nn/cuda/channel_sums.h"
#include "nn/kernel.h"

namespace dn {

// The eight of map x, `step` times (sampling_step) as large as map y, that meet those of y at `pixel`. False: none do.
DN_HD inline bool sampled_eight(const cuda::View& x, int step, const cuda::View& y, size_t pixel, int channel, cuda::Eight& value) {
  if (channel >= x.padded) return false;
  if (step != 1) {
    const cuda::Cell cell = cuda::cell_of(y, pixel);
    const int k = step < 0 ? -step : step;
    if (step < 0 && (cell.y % k != 0 || cell.x % k != 0)) return false;
    const int row = step < 0 ? cell.y / k : cell.y * k, column = step < 0 ? cell.x / k : cell.x * k;
    if (row >= x.h || column >= x.w) return false;
    value = x.get_eight(x.at(cell.n, row, column, channel));
  } else {
    value = x.get_eight(x.at(pixel, channel));
  }
  return true;
}

// The weights of one kernel. The scratch begins with the table, [source][padded channel].
class ShortcutWeights {
 public:
  ShortcutWeights(const Shortcut& layer, const KernelArgs& args);

  bool used() const { return used_; }
  size_t table_bytes() const {
    return used_ ? round_up(static_cast<size_t>(sources_) * static_cast<size_t>(padded_) * sizeof(float), size_t{64}) : 0;
  }
  void normalize(cuda::Stream& stream, const Io& io) const;
  const float* row(const Io& io, int source) const {  // null: weights of 1
    return used_ ? reinterpret_cast<const float*>(io.scratch) + static_cast<size_t>(source) * static_cast<size_t>(padded_) : nullptr;
  }

  // From dz in io.dy; steps: of the sources. scratch: gradient_bytes().
  size_t gradient_bytes() const;
  void gradient(cuda::Stream& stream, const Io& io, const Pass& pass, std::span<const int> steps, std::byte* scratch) const;

 private:
  size_t dg_bytes() const;

  bool used_, per_channel_;
  MixNorm norm_;
  int sources_, channels_, padded_;
  cuda::Strips strips_;
};

}  // namespace dn
