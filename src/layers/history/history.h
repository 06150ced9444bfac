// [history]: the input beside those of the frames before, over the frames of sequences (compatibility notes 4.20).
//   y_t = [x_t, x_{t-1}, .. , x_{t-history_size+1}] along the channels, the newest first; zero for frames in front of the sequence
// The order is the family's as far as it is known; the notes say only the name. Backward is exact: dx_t = the sum over the frames that x_t stands in,
// as far as they are of this pass. (The family delivers the part of the frame itself alone.) In training the images of a mini-batch are time_steps
// frames of each of its sequences, as NetSpec::frame_place says; at inference every image of a call is a sequence of its own. A sequence starts anew
// unless Pass::continues.
//
//   [history]
//   history_size=4
#pragma once

#include "nn/layer.h"

namespace dn {

struct HistorySpec {
  int history_size = 4;
  int time_steps = 1;  // of [net]
};

class History : public Layer {
 public:
  static std::unique_ptr<History> parse(const Section& section, const NetSpec& net, int index, Problems& problems);
  static std::unique_ptr<Kernel> compile_cpu(const History& layer, cpu::Device& device, const KernelArgs& args);
  static std::unique_ptr<Kernel> compile_cuda(const History& layer, cuda::Device& device, const KernelArgs& args);
  static std::vector<KeyHelp> keys();

  const HistorySpec& spec() const { return spec_; }
  Shape output_shape(std::span<const Shape> in) const override;
  std::string summary(std::span<const Shape>) const override { return concat(spec_.history_size, " frames"); }
  bool recurrent() const override { return true; }

 private:
  History(const Section& section, int index, Problems& problems) : Layer(section, index, problems) {}
  HistorySpec spec_;
};

}  // namespace dn
