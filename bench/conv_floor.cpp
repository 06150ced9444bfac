// The floor of a cfg on this machine: for every convolution and direction the faster of oneDNN's direct and Winograd implementations, alone, on
// blocked tensors, with nothing around it. Sums over the network.
//
//   bench_conv_floor CFG [--batch N] [--threads N] [--profile] [--json]
#include "bench/common.h"
#include "device/cpu/onednn.h"
#include "layers/convolutional/convolutional_cpu.h"

namespace dn::bench {
namespace {

double best_ms(cpu::Device& device, const cpu::ConvShape& shape, cpu::ConvDirection direction, bool inference, std::string* which) {
  double best = 0;
  cpu::ConvOptions options;
  options.inference = inference;
  for (const bool winograd : {false, true}) {
    if (winograd && (shape.size != 3 || shape.stride_x != 1 || shape.stride_y != 1)) continue;
    const cpu::ConvPrimitive conv = cpu::try_convolution(device, shape, direction, winograd, options);
    if (!conv.primitive) continue;
    const double ms = 1e3 * cpu::time_convolution(device, shape, direction, conv);
    if (best == 0 || ms < best) best = ms, *which = conv.implementation;
  }
  return best;
}

void run(const Arguments& a) {
  const Network network = Network::from_cfg(a.cfg);
  cpu::Device device({.threads = a.threads});
  const Shape input = network.input(a.batch);
  const std::vector<Shape> outputs = network.output_shapes(input);
  double forward = 0, data = 0, weights = 0, inference = 0;
  for (const auto& layer : network.layers()) {
    const auto* conv = dynamic_cast<const Convolutional*>(layer.get());
    if (!conv) continue;
    const Shape in = network.source_shapes(layer->index(), input, outputs)[0], out = outputs[static_cast<size_t>(layer->index())];
    KernelArgs args;
    args.x = {{in, layer->index() == 0 && layer->reads_plain(in) ? 1 : device.block()}};
    args.y = {out, device.block()};
    const cpu::ConvShape shape = conv_shape(*conv, args);
    std::string f, d, w, i;
    const double one[] = {best_ms(device, shape, cpu::ConvDirection::forward, false, &f),
                          layer->index() == 0 ? 0 : best_ms(device, shape, cpu::ConvDirection::backward_data, false, &d),
                          best_ms(device, shape, cpu::ConvDirection::backward_weights, false, &w),
                          best_ms(device, shape, cpu::ConvDirection::forward, true, &i)};
    forward += one[0], data += one[1], weights += one[2], inference += one[3];
    if (a.profile)
      std::cerr << concat(layer->index(), "\t", shape.text(), "\t", fixed(one[0], 2), " ", f, "\t", fixed(one[1], 2), " ", d, "\t", fixed(one[2], 2), " ", w, "\n");
  }
  const double sum = forward + data + weights;
  if (a.json)
    std::cout << nlohmann::json{{"ms_median", sum}, {"ms_forward", inference}, {"ms_forward_training", forward}, {"ms_backward_data", data},
                                {"ms_backward_weights", weights}, {"batch", a.batch}}
              << std::endl;
  else
    std::cout << concat(a.cfg, " convolutions alone, batch ", a.batch, ": training ", fixed(sum, 1), " ms (forward ", fixed(forward, 1), ", data ",
                        fixed(data, 1), ", weights ", fixed(weights, 1), "), inference ", fixed(inference, 1), " ms\n");
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
