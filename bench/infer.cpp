// Inference of a cfg, one image, batch normalization folded, decoding of the heads included.
//
//   bench_infer CFG [--batch N] [--threads N] [--runs N] [--profile] [--json]
#include "bench/common.h"
#include "graph/plan.h"
#include "nn/detection.h"

namespace dn::bench {
namespace {

void run(const Arguments& a) {
  Network network = Network::from_cfg(a.cfg);
  random_weights(network);
  cpu::Device device({.threads = a.threads, .convolution = a.convolution});
  Plan plan(network, device, network.input(a.batch), {});
  const std::vector<float> images = random_images(plan.input_shape());
  plan.set_input(images.data());
  const std::vector<int> heads = network.head_layers();
  const Timing timing = time_runs(a.runs, [&] {
    plan.forward({});
    std::vector<Detection> detections;
    for (const int layer : heads) {
      const Head& head = *network.layers()[static_cast<size_t>(layer)]->head();
      for (int n = 0; n < a.batch; ++n) head.decode(plan.output(layer), n, plan.input_shape(), {.threshold = .9f}, detections);
    }
  });
  if (a.profile)
    for (const StepTime& t : plan.times())
      std::cerr << concat(t.layer, "\t", network.layers()[static_cast<size_t>(t.layer)]->type(), "\t", fixed(t.forward * 1e3 / (a.runs + 1), 2), "\n");
  if (a.json)
    std::cout << nlohmann::json{{"ms_median", timing.median}, {"ms_min", timing.min}, {"ms_max", timing.max}, {"batch", a.batch},
                                {"peak_rss_mib", peak_rss_mib()}, {"arena_mib", static_cast<double>(plan.report().arena_bytes) / (1 << 20)},
                                {"reorders", plan.report().reorders}, {"version", DN_VERSION}}
              << std::endl;
  else
    std::cout << concat(a.cfg, " inference, batch ", a.batch, ": ", fixed(timing.median, 1), " ms (", fixed(timing.min, 1), "..", fixed(timing.max, 1),
                        "), peak ", fixed(peak_rss_mib(), 0), " MiB\n");
}

}  // namespace
}  // namespace dn::bench

int main(int argc, char** argv) {
  try {
    dn::bench::run(dn::bench::parse_arguments(argc, argv, 1));
  } catch (const dn::Error& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}
