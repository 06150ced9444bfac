#include "train/device_check.h"

#include <algorithm>
#include <cmath>

#include "data/batch_layout.h"
#include "nn/detection.h"
#include "train/batch_schedule.h"

namespace dn {
namespace {

constexpr int kMostParts = 2;   // mini-batches of an iteration: one whose gradients overwrite, one whose gradients add

int decade(double error) { return error < 1e-7 ? 0 : std::min(ErrorHistogram::kDecades - 1, static_cast<int>(std::floor(std::log10(error))) + 8); }

// Dense planar floats of a tensor that the host can read.
std::vector<float> planar(const Tensor& t) {
  const Shape& s = t.desc.shape;
  std::vector<float> values;
  values.reserve(s.count());
  for (int n = 0; n < s.n; ++n)
    for (int c = 0; c < s.c; ++c)
      for (int y = 0; y < s.h; ++y)
        for (int x = 0; x < s.w; ++x) values.push_back(t.at(n, c, y, x));
  return values;
}

// One of the two.
struct Side {
  Side(const TrainOptions& options, std::unique_ptr<Device> where) : network(Network::from_cfg(options.cfg)), device(std::move(where)) {
    network.params().initialize(options.seed);
    if (options.weights) load_weights(network, *options.weights);
    network.params().allocate_grads();
    const NetSpec& net = network.spec();
    plan = std::make_unique<Plan>(network, *device, network.input(net.mini_batch()), PlanOptions{.training = true, .frozen = network.frozen(0), .keep_outputs = true});
  }
  double take_loss() const {
    double sum = 0;
    for (const auto& layer : network.layers())
      if (layer->has_loss()) sum += plan->take_losses(layer->index()).cost;
    return sum;
  }
  Network network;
  std::unique_ptr<Device> device;
  std::unique_ptr<Plan> plan;
};

std::unique_ptr<Device> open_gpu(DeviceChoice choice) {
  if (choice.which == DeviceChoice::Which::cpu) fail("-check cpu: compares a GPU with the CPU; expected no -nogpu beside it");
  if (const std::string why = gpu_obstacle(choice); !why.empty()) fail("-check cpu: compares a GPU with the CPU: ", why);
  if (!choice.precision) choice.precision = cuda::Precision::fp32;
  choice.which = DeviceChoice::Which::gpu;
  return open_device(choice, DeviceUse::training);
}

class Comparison {
 public:
  Comparison(const TrainOptions& options, int iterations)
      : data_(read_data_file(options.data)),
        cpu_(options, std::make_unique<cpu::Device>(options.device.cpu)),
        gpu_(options, open_gpu(options.device)),
        options_(options) {
    check_training(cpu_.network, nullptr, options);
    const NetSpec& net = cpu_.network.spec();
    parts_ = net.norm.two_forwards() ? net.parts() : std::min(kMostParts, net.parts());
    result_.gpu = gpu_.device->description();
    result_.cpu = cpu_.device->description();
    result_.iterations = iterations;
    result_.images = parts_ * net.mini_batch();
    for (const auto& layer : cpu_.network.layers())
      if (!layer->is_view() && std::ranges::count(gpu_.plan->report().summing_layers, layer->index()) == 0)
        result_.outputs.push_back({layer->index(), layer->type(), "output", {}});   // the output of the others is compared as the sum's
    for (const ParamSegment& s : cpu_.network.params().segments())
      if (s.trained()) result_.gradients.push_back({s.layer, cpu_.network.layers()[static_cast<size_t>(s.layer)]->type(), s.spec.name, {}});
  }

  DeviceCheck run() {
    if (data_.train.empty()) fail(data_.file, ": train is missing: expected the path of a list of images");
    const Dataset images(resolve_path(data_.train, data_.file));
    LoaderOptions loading = loader_options(cpu_.network, options_);
    loading.sample.batch = result_.images;
    Loader loader(images, loading);
    const Shape& input = cpu_.plan->input_shape();
    for (int i = 0; i < result_.iterations; ++i) {
      const Batch& batch = loader.next(static_cast<uint64_t>(i), input.w, input.h);
      const BatchFacts facts{input.n, parts_, static_cast<uint64_t>(i), options_.seed, batch.truth, loading.sample.layout};
      for (const BatchStep& work : batch_schedule(cpu_.network.spec(), parts_)) step(batch, work.backward, pass_of(work, facts));
      compare_gradients();
    }
    result_.cpu_loss = cpu_.take_loss();
    result_.gpu_loss = gpu_.take_loss();
    return std::move(result_);
  }

 private:
  void step(const Batch& batch, bool backward, Pass pass) {
    const float* const images = batch.pixels.data() + pass.first_image * cpu_.plan->input_shape().per_image();
    for (Side* side : {&cpu_, &gpu_}) {
      pass.weights_version = side->network.params().version();
      side->plan->set_input(images);
      side->plan->forward(pass);
    }
    for (DeviceCheck::Row& row : result_.outputs) row.errors.add(planar(cpu_.plan->output(row.layer)), planar(gpu_.plan->output(row.layer)));
    if (!backward) return;
    for (Side* side : {&cpu_, &gpu_}) side->plan->backward(pass);
  }

  void compare_gradients() {
    size_t at = 0;
    for (const ParamSegment& s : cpu_.network.params().segments())
      if (s.trained()) result_.gradients[at++].errors.add(cpu_.network.params().grads(s), gpu_.network.params().grads(s));
  }

  DataFile data_;
  Side cpu_, gpu_;
  const TrainOptions& options_;
  int parts_ = 1;
  DeviceCheck result_;
};

}  // namespace

void ErrorHistogram::add(std::span<const float> expected, std::span<const float> other) {
  ensure(expected.size() == other.size(), "the same tensor on both sides");
  double square = 0;
  for (const float value : expected)
    if (std::isfinite(value)) square += static_cast<double>(value) * static_cast<double>(value);
  const double root = std::sqrt(square / std::max<double>(1, static_cast<double>(expected.size())));
  for (size_t i = 0; i < expected.size(); ++i) {
    const double a = static_cast<double>(expected[i]), b = static_cast<double>(other[i]);
    if (!std::isfinite(a) && !std::isfinite(b)) continue;
    if (std::isfinite(a) != std::isfinite(b)) {
      ++not_finite_;
      continue;
    }
    const double difference = std::abs(b - a), size = std::max(std::abs(a), root), error = difference == 0 ? 0 : size == 0 ? 1 : difference / size;
    ++elements_;
    ++counts_[static_cast<size_t>(decade(error))];
    largest_ = std::max(largest_, error);
    square_error_ += difference * difference;
    square_ += a * a;
  }
}

double ErrorHistogram::distance() const { return square_error_ == 0 ? 0 : square_ == 0 ? 1 : std::sqrt(square_error_ / square_); }

DeviceCheck check_device(const TrainOptions& options, int iterations) { return Comparison(options, iterations).run(); }

}  // namespace dn
