#include "tests/harness/head_step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "layers/registry.h"
#include "nn/cuda/layout.h"
#include "tests/harness/gpu.h"
#include "tests/harness/tensors.h"

namespace dn::testing {
namespace {

Pass pass_of(const HeadCase& c) {
  Pass pass;
  pass.training = true;
  pass.truth = c.truths;
  pass.loss_scale = c.loss_scale;
  pass.iteration = c.iteration;
  return pass;
}

KernelArgs args_of(const HeadCase& c, const TensorDesc& x) {
  return {.x = {x}, .y = {c.shape, 1}, .network_input = c.network, .training = true, .backward = true, .dx = {c.dx}};
}

// Tensors of a GPU and the way there.
class Bench {
 public:
  explicit Bench(const HeadCase& c)
      : device(gpu_options(c.bf16 ? cuda::Precision::bf16 : cuda::Precision::fp32)), plain_(device.allocate(c.shape.count() * 4)) {}

  Tensor tensor(const TensorDesc& desc) {
    memory_.push_back(device.allocate(desc.bytes()));
    return {desc, reinterpret_cast<float*>(memory_.back()->data())};
  }
  std::byte* bytes(size_t count) { return (memory_.emplace_back(device.allocate(count)))->data(); }
  void put(const std::vector<float>& values, const Tensor& to) {
    device.stream().to_device(plain_->data(), values.data(), values.size() * sizeof(float));
    cuda::planar_to_channels_last(device.stream(), plain(), to);
  }
  std::vector<float> get(const Tensor& from) {
    std::vector<float> out(from.desc.shape.count());
    if (from.desc.channels_last) cuda::channels_last_to_planar(device.stream(), from, plain());
    device.stream().to_host(out.data(), from.desc.channels_last ? plain() : from.data, out.size() * sizeof(float));
    device.synchronize();
    return out;
  }
  // A tensor's channels, the padding too.
  float largest_padding(const Tensor& t) {
    std::vector<std::byte> raw(t.desc.bytes());
    device.stream().to_host(raw.data(), t.data, raw.size());
    device.synchronize();
    float largest = 0;
    const size_t size = bytes_of(t.desc.dtype), padded = static_cast<size_t>(t.desc.padded_channels());
    for (size_t i = 0; i < t.desc.count(); ++i)
      if (i % padded >= static_cast<size_t>(t.desc.shape.c))
        for (size_t b = 0; b < size; ++b) largest = std::max(largest, static_cast<float>(raw[i * size + b]));
    return largest;
  }

  cuda::Device device;

 private:
  float* plain() const { return reinterpret_cast<float*>(plain_->data()); }
  std::unique_ptr<DeviceMemory> plain_;
  std::vector<std::unique_ptr<DeviceMemory>> memory_;
};

}  // namespace

HeadCase three_images(const Shape& shape, const Shape& network, uint64_t seed, double low, double high) {
  HeadCase c{.shape = shape, .network = network, .x = std::vector<float>(shape.count()), .truths = {}};
  Rng rng(seed, RandomUse::test);
  for (float& value : c.x) value = static_cast<float>(rng.uniform(low, high));
  c.truths = {wild_truths(seed, 4, 9), {}, wild_truths(seed + 100, 4, 40)};
  return c;
}

HeadCase with_broken_outputs(HeadCase c) {
  for (size_t i = 5; i < c.x.size(); i += 37) c.x[i] = i % 3 ? NAN : 200;
  return c;
}

HeadStep head_step_on_host(const Layer& layer, const HeadCase& c, int threads) {
  cpu::Device device({.threads = threads});
  const TensorDesc x_desc{c.shape, device.block()}, y_desc{c.shape, 1};
  const auto kernel = find_layer_type(layer.type())->compile_cpu(layer, device, args_of(c, x_desc));
  std::vector<float> x(x_desc.count()), dx(x_desc.count(), c.dx_before), y(y_desc.count(), NAN),
      saved(kernel->needs().saved.at(0) / sizeof(float), NAN);
  const Tensor inputs[] = {{x_desc, x.data()}}, gradients[] = {{x_desc, dx.data()}};
  pack(c.x, inputs[0]);
  std::byte* const kept[] = {reinterpret_cast<std::byte*>(saved.data())};
  HeadStep step;
  Io io{.x = inputs, .dx = gradients, .y = {y_desc, y.data()}, .saved = kept, .loss = &step.loss};
  const Pass pass = pass_of(c);
  kernel->forward(io, pass);
  kernel->backward(io, pass);
  step.sum = step.loss;
  step.y = y;
  step.dx = unpack<float>(gradients[0]);
  return step;
}

HeadStep head_step_on_gpu(const Layer& layer, const HeadCase& c) {
  Bench bench(c);
  const TensorDesc x_desc = bench.device.activation(c.shape, !c.bf16);
  const LayerType& type = *find_layer_type(layer.type());
  ensure(type.compile_cuda != nullptr, "a head with a kernel for a GPU");
  const auto kernel = type.compile_cuda(layer, bench.device, args_of(c, x_desc));
  ensure(kernel != nullptr, "a head with a kernel for a GPU");
  const Needs needs = kernel->needs();
  const Tensor inputs[] = {bench.tensor(x_desc)}, gradients[] = {bench.tensor(x_desc)}, y = bench.tensor({c.shape, 1});
  std::byte* const kept[] = {bench.bytes(needs.saved.at(0))};
  std::byte* const scratch = bench.bytes(needs.forward_scratch);
  bench.device.stream().fill(kept[0], 0xff, needs.saved[0]);
  bench.device.stream().fill(scratch, 0xff, needs.forward_scratch);
  bench.put(c.x, inputs[0]);
  bench.put(std::vector<float>(c.shape.count(), c.dx_before), gradients[0]);
  HeadStep step;
  Io io{.x = inputs, .dx = gradients, .y = y, .saved = kept, .scratch = scratch, .loss = &step.loss};
  const Pass pass = pass_of(c);
  bench.device.set_numbers({.iteration = pass.iteration, .loss_scale = pass.loss_scale});
  kernel->prepare(io, pass);
  kernel->forward(io, pass);
  bench.device.stream().fill(scratch, 0xff, needs.forward_scratch);
  kernel->backward(io, pass);
  ensure(kernel->keeps_losses() && kernel->recordable(), "losses stay on the device");
  kernel->fetch_losses(step.loss, step.sum);
  step.y = bench.get(y);
  step.dx = bench.get(gradients[0]);
  step.padding = bench.largest_padding(gradients[0]);
  return step;
}

void expect_same_values(const std::vector<float>& expected, const std::vector<float>& got, double tolerance, const std::string& what) {
  ASSERT_EQ(expected.size(), got.size()) << what;
  double largest = 0;
  for (const float v : expected)
    if (std::isfinite(v)) largest = std::max(largest, std::min(1.0, std::fabs(static_cast<double>(v))));
  int shown = 0;
  for (size_t i = 0; i < expected.size() && shown < 5; ++i) {
    const double e = expected[i], g = got[i];
    if (std::isnan(e) ? std::isnan(g) : e == g || std::fabs(e - g) <= tolerance * std::max(largest, std::fabs(e))) continue;
    ADD_FAILURE() << what << " [" << i << "]: " << g << ", expected " << e;
    ++shown;
  }
}

void expect_same_losses(const LossReport& e, const LossReport& g, double tolerance, const std::string& what) {
  EXPECT_EQ(g.assigned, e.assigned) << what;
  EXPECT_EQ(g.truths, e.truths) << what;
  EXPECT_EQ(g.rewritten, e.rewritten) << what;
  EXPECT_EQ(g.classified, e.classified) << what;
  EXPECT_EQ(g.predictions, e.predictions) << what;
  EXPECT_EQ(g.recalled, e.recalled) << what;
  const auto near = [&](const char* name, double expected, double got) {
    const bool same = std::isnan(expected) ? std::isnan(got) : expected == got || std::fabs(expected - got) <= tolerance * std::fabs(expected);
    EXPECT_TRUE(same) << what << " " << name << ": " << got << ", expected " << expected;
  };
  near("cost", e.cost, g.cost);
  near("iou_sum", e.iou_sum, g.iou_sum);
  near("class_loss", e.class_loss, g.class_loss);
  near("total_loss", e.total_loss, g.total_loss);
  // A difference of the other two.
  EXPECT_TRUE(std::isnan(e.iou_loss)
                  ? std::isnan(g.iou_loss)
                  : e.iou_loss == g.iou_loss || std::fabs(e.iou_loss - g.iou_loss) <= tolerance * (std::fabs(e.total_loss) + std::fabs(e.class_loss)))
      << what << " iou_loss: " << g.iou_loss << ", expected " << e.iou_loss;
  near("class_sum", e.class_sum, g.class_sum);
  near("all_classes_sum", e.all_classes_sum, g.all_classes_sum);
  near("objectness_sum", e.objectness_sum, g.objectness_sum);
  near("any_objectness_sum", e.any_objectness_sum, g.any_objectness_sum);
}

void expect_same_step(const HeadStep& expected, const HeadStep& got, double tolerance, const std::string& what) {
  expect_same_values(expected.y, got.y, tolerance, what + " y");
  expect_same_values(expected.dx, got.dx, tolerance, what + " dx");
  expect_same_losses(expected.loss, got.loss, tolerance, what + " loss");
  expect_same_losses(expected.sum, got.sum, tolerance, what + " sum");
}

HeadStep expect_gpu_as_host(const Layer& layer, const HeadCase& c, double tolerance, const std::string& what) {
  const HeadStep host = head_step_on_host(layer, c), gpu = head_step_on_gpu(layer, c);
  EXPECT_GT(host.loss.assigned, 0) << what;
  expect_same_step(host, gpu, tolerance, what);
  EXPECT_EQ(gpu.padding, 0) << what;
  return host;
}

void for_all_choices(const std::vector<std::vector<std::string>>& choices, const std::function<void(const std::string& keys, uint64_t number)>& work) {
  size_t all = 1;
  for (const auto& choice : choices) all *= choice.size();
  for (size_t i = 0; i < all; ++i) {
    std::string keys;
    size_t rest = i, below = all;
    for (const auto& choice : choices) {
      below /= choice.size();
      keys += choice[rest / below];
      rest %= below;
    }
    work(keys, i + 1);
  }
}

std::vector<TruthBox> wild_truths(uint64_t seed, int classes, size_t count) {
  Rng rng(seed, RandomUse::test);
  const auto draw = [&](double low, double high) { return static_cast<float>(rng.uniform(low, high)); };
  std::vector<TruthBox> out;
  while (out.size() < count) {
    TruthBox truth{{draw(0, 1), draw(0, 1), draw(.02, .7), draw(.02, .7)}, static_cast<int>(draw(0, static_cast<double>(classes) - .001))};
    const float kind = draw(0, 10);
    if (kind < 1) truth.class_id = kind < .5f ? -1 : classes;
    if (kind >= 1 && kind < 1.3f) truth.box.w = 0;
    if (kind >= 1.3f && kind < 1.6f) truth.box.x = NAN;
    if (kind >= 1.6f && kind < 2) truth.box.x = truth.box.y = 1;
    out.push_back(truth);
    if (kind < 6) continue;
    TruthBox close = truth;  // the same cell, and the same anchor
    close.box.w *= 1.01f, close.box.x += .001f;
    if (kind < 8) close.class_id = (close.class_id + 1) % classes;
    out.push_back(close);
  }
  return out;
}

}  // namespace dn::testing
