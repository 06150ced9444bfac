// The floor of a cfg on this machine: for every convolution and direction the faster of oneDNN's direct and Winograd implementations, alone, on
// blocked tensors, with nothing around it. Sums over the network, from cold caches (as a step meets its tensors) and from warm ones.
//
//   bench_conv_floor CFG [--batch N] [--threads N] [--profile] [--json]
#include "bench/common.h"
#include "device/cpu/onednn.h"
#include "layers/convolutional/convolutional_cpu.h"

namespace dn::bench {
namespace {

struct Best {
  double cold = 0, warm = 0;   // ms
  std::string implementation;
  Best& operator+=(const Best& other) {
    cold += other.cold, warm += other.warm;
    return *this;
  }
};

Best best(cpu::Device& device, const cpu::ConvShape& shape, cpu::ConvDirection direction, bool inference) {
  Best out;
  cpu::ConvOptions options;
  options.inference = inference;
  for (const bool winograd : {false, true}) {
    if (winograd && (shape.size != 3 || shape.stride_x != 1 || shape.stride_y != 1)) continue;
    const cpu::ConvPrimitive conv = cpu::try_convolution(device, shape, direction, winograd, options);
    if (!conv.primitive) continue;
    const double cold = 1e3 * cpu::time_convolution(device, shape, direction, conv, cpu::Caches::cold);
    const double warm = 1e3 * cpu::time_convolution(device, shape, direction, conv, cpu::Caches::warm);
    if (out.cold == 0 || cold < out.cold) out.cold = cold, out.implementation = conv.implementation;
    if (out.warm == 0 || warm < out.warm) out.warm = warm;
  }
  return out;
}

struct Sums {
  Best forward, data, weights, inference;
};

void add_convolution(const Arguments& a, cpu::Device& device, const Convolutional& conv, const Shape& in, const Shape& out, Sums& sums) {
  KernelArgs args;
  args.x = {{in, conv.index() == 0 && conv.reads_plain(in) ? 1 : device.block()}};
  args.y = {out, device.block()};
  const cpu::ConvShape shape = conv_shape(conv, args);
  const Best f = best(device, shape, cpu::ConvDirection::forward, false);
  const Best d = conv.index() == 0 ? Best{} : best(device, shape, cpu::ConvDirection::backward_data, false);
  const Best w = best(device, shape, cpu::ConvDirection::backward_weights, false);
  sums.forward += f, sums.data += d, sums.weights += w;
  sums.inference += best(device, shape, cpu::ConvDirection::forward, true);
  if (!a.profile) return;
  const auto text = [](const Best& b) { return concat("\t", fixed(b.cold, 2), " ", fixed(b.warm, 2), " ", b.implementation); };
  std::cerr << concat(conv.index(), "\t", shape.text(), text(f), text(d), text(w), "\n");
}

void run(const Arguments& a) {
  const Network network = Network::from_cfg(a.cfg);
  cpu::Device device({.threads = a.threads});
  const Shape input = network.input(a.batch);
  const std::vector<Shape> outputs = network.output_shapes(input);
  Sums sums;
  for (const auto& layer : network.layers())
    if (const auto* conv = dynamic_cast<const Convolutional*>(layer.get()))
      add_convolution(a, device, *conv, network.source_shapes(layer->index(), input, outputs)[0], outputs[static_cast<size_t>(layer->index())], sums);
  const double cold = sums.forward.cold + sums.data.cold + sums.weights.cold, warm = sums.forward.warm + sums.data.warm + sums.weights.warm;
  if (a.json)
    std::cout << nlohmann::json{{"ms_median", cold}, {"ms_warm", warm}, {"ms_forward", sums.inference.cold}, {"ms_forward_warm", sums.inference.warm},
                                {"ms_forward_training", sums.forward.cold}, {"ms_backward_data", sums.data.cold},
                                {"ms_backward_weights", sums.weights.cold}, {"batch", a.batch}}
              << std::endl;
  else
    std::cout << concat(a.cfg, " convolutions alone, batch ", a.batch, ": training ", fixed(cold, 1), " ms (forward ", fixed(sums.forward.cold, 1), ", data ",
                        fixed(sums.data.cold, 1), ", weights ", fixed(sums.weights.cold, 1), "; warm caches ", fixed(warm, 1), "), inference ",
                        fixed(sums.inference.cold, 1), " ms (warm caches ", fixed(sums.inference.warm, 1), ")\n");
}

}  // namespace
}  // namespace dn::bench

int main(int argc, char** argv) {
  try {
    dn::bench::run(dn::bench::parse_arguments(argc, argv, 8));
  } catch (const dn::Error& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}
