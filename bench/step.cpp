// One training step of a cfg: forward, loss, backward, update, on random images with a few random boxes.
//
//   bench_step CFG [--batch N] [--threads N] [--runs N] [--width N] [--height N] [--gpu N] [--precision P] [--profile] [--json] [--budget SIZE]
//
// On a GPU the images are there already, and are put into the network's input at every step, as the images of a run are.
#include "bench/common.h"
#include "graph/plan.h"
#include "nn/cuda/layout.h"
#include "train/memory_estimate.h"
#include "train/optimizer.h"

namespace dn::bench {
namespace {

// `first`: the times after the warm-up, whose page faults are not ours to show.
void print_profile(const Network& network, const Plan& plan, const std::vector<StepTime>& first, int runs) {
  double forward = 0, backward = 0;
  const std::vector<StepTime> all = plan.times();
  for (size_t i = 0; i < all.size(); ++i) {
    const double f = all[i].forward - first[i].forward, b = all[i].backward - first[i].backward;
    forward += f, backward += b;
    std::cerr << concat(all[i].layer, "\t", network.layers()[static_cast<size_t>(all[i].layer)]->type(), "\t", fixed(f * 1e3 / runs, 2), "\t",
                        fixed(b * 1e3 / runs, 2), "\n");
  }
  for (const MemoryRow& row : plan.memory())
    if (row.at_peak) std::cerr << concat("at peak\t", row.layer, "\t", row.what, "\t", bytes_text(static_cast<double>(row.bytes)), "\n");
  std::cerr << concat("sum\tforward ", fixed(forward * 1e3 / runs, 1), " ms, backward ", fixed(backward * 1e3 / runs, 1), " ms\n");
}

// The same images at every step.
class InputImages {
 public:
  InputImages(Plan& plan, Device& device, const std::vector<float>& images) : plan_(plan), images_(images) {
    if (device.kind() != DeviceKind::cuda) return;
    gpu_ = static_cast<cuda::Device*>(&device);
    there_ = device.allocate(images.size() * sizeof(float));
    gpu_->stream().to_device(there_->data(), images.data(), there_->bytes());
  }
  void operator()() const {
    if (!gpu_) return plan_.set_input(images_.data());
    plan_.fill_input([&](const Tensor& to) { cuda::planar_to_channels_last(gpu_->stream(), reinterpret_cast<const float*>(there_->data()), to); });
  }

 private:
  Plan& plan_;
  const std::vector<float>& images_;
  cuda::Device* gpu_ = nullptr;
  std::unique_ptr<DeviceMemory> there_;
};

void run(const Arguments& a) {
  Network network = Network::from_cfg(a.cfg);
  random_weights(network);
  const std::unique_ptr<Device> opened = open_device(a);
  Device& device = *opened;
  const Shape input = network.input(a.batch, a.width > 0 ? a.width : network.spec().width, a.height > 0 ? a.height : network.spec().height);
  Plan plan(network, device, input, {.training = true, .segments = a.budget > 0 ? kAutomatic : 0, .budget = a.budget, .timed = a.profile});
  Optimizer optimizer(network.params(), {.momentum = .9, .decay = 5e-4, .batch = a.batch, .layers = {}, .threads = device.threads()}, &device);
  const std::vector<float> images = random_images(plan.input_shape());
  const auto truth = random_truth(a.batch);
  Pass pass{.training = true};
  pass.truth = truth;
  const InputImages set_images(plan, device, images);
  double update_ms = 0;
  std::vector<StepTime> first;
  const Timing timing = time_runs(a.runs, [&] {
    optimizer.begin_batch();
    set_images();
    plan.forward(pass);
    plan.backward(pass);
    const auto start = std::chrono::steady_clock::now();
    optimizer.update(1e-6);   // waits for the device
    update_ms += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() / (a.runs + 1);
    if (first.empty()) first = plan.times();
  });
  if (a.profile) print_profile(network, plan, first, a.runs);
  const PlanReport& report = plan.report();
  MemoryEstimate estimate = estimate_training(network, report, plan.input_shape().w, plan.input_shape().h);
  estimate.batches = images.size() * sizeof(float);   // no loader here
  if (a.json)
    std::cout << nlohmann::json{{"ms_median", timing.median}, {"ms_min", timing.min}, {"ms_max", timing.max}, {"ms_update", update_ms},
                                {"batch", a.batch}, {"peak_rss_mib", peak_rss_mib()}, {"arena_mib", static_cast<double>(report.arena_bytes) / (1 << 20)},
                                {"predicted_mib", static_cast<double>(estimate.total()) / (1 << 20)}, {"reorders", report.reorders}, {"device", device.description()}, {"version", DN_VERSION}}
              << std::endl;
  else
    std::cout << concat(a.cfg, " training step, batch ", a.batch, ": ", fixed(timing.median, 1), " ms (", fixed(timing.min, 1), "..", fixed(timing.max, 1),
                        "), update ", fixed(update_ms, 1), " ms, arena ", bytes_text(static_cast<double>(report.arena_bytes)), ", peak ",
                        fixed(peak_rss_mib(), 0), " MiB, predicted ", bytes_text(static_cast<double>(estimate.total())), "\n");
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
