// speed CFG [N]: how long the network takes for one image. ops CFG: how much arithmetic that is.
#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "cli/common.h"
#include "graph/plan.h"
#include "train/stop_signal.h"

namespace dn::cli {
namespace {

constexpr int64_t kDefaultRuns = 1000;
constexpr double kDefaultSeconds = 10;   // without N, however many runs that is

double gflops(const Network& network) {
  const Shape input = network.input(1);
  const std::vector<Shape> outputs = network.output_shapes(input);
  double sum = 0;
  for (const auto& layer : network.layers()) sum += layer->forward_flops(network.source_shapes(layer->index(), input, outputs)) / 1e9;
  return sum;
}

}  // namespace

int speed(const Arguments& arguments) {
  const bool counted = arguments.positional.size() > 1;
  const auto wanted = counted ? parse_integer(arguments.positional[1]) : kDefaultRuns;
  if (!wanted || *wanted < 1) fail("speed: N = ", arguments.positional[1], ": expected a number of runs from 1 on");
  Network network = Network::from_cfg(arguments.positional[0]);
  network.params().initialize(1);
  const std::unique_ptr<Device> opened = inference_device(arguments);
  Device& device = *opened;
  Plan plan(network, device, network.input(1), PlanOptions{});
  const AlignedFloats image(plan.input_shape().count(), .5f);
  plan.set_input(image.data());
  Pass pass;
  pass.weights_version = network.params().version();
  for (int i = 0; i < 2; ++i) plan.forward(pass);   // the first packs the weights, on a GPU the second makes a recording; neither is part of a run
  device.synchronize();
  using Clock = std::chrono::steady_clock;
  const StopSignal stop;
  log::Progress progress("forward passes", *wanted, "passes");
  std::vector<double> times;
  double total = 0;
  for (int64_t i = 0; i < *wanted && (counted || total < kDefaultSeconds) && !StopSignal::received(); ++i) {
    const auto start = Clock::now();
    plan.forward(pass);
    device.synchronize();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    total += times.back();
    progress.update(i + 1);
  }
  if (times.empty()) return 128 + StopSignal::received();
  std::ranges::sort(times);
  const double mean = total / static_cast<double>(times.size()), operations = gflops(network);
  log::say(concat(times.size(), " evals, ", fixed(total, 6), " seconds"));
  log::say(concat("Speed: ", fixed(mean, 6), " sec/eval"));
  log::say(concat("Speed: ", fixed(1 / mean, 3), " Hz"));
  log::say(concat(fixed(1000 * mean, 3), " ms per image (median ", fixed(1000 * times[times.size() / 2], 3), ", least ", fixed(1000 * times.front(), 3), "), ",
                  fixed(1 / mean, 2), " images/s, ", fixed(operations / mean, 1), " GFLOP/s"));
  return StopSignal::received() ? 128 + StopSignal::received() : 0;
}

int ops(const Arguments& arguments) {
  const double operations = gflops(Network::from_cfg(arguments.positional[0]));
  log::say(concat("Floating Point Operations: ", fixed(operations * 1e9, 0)));
  log::say(concat("Floating Point Operations: ", fixed(operations, 2), " Bn"));
  return 0;
}

}  // namespace dn::cli
