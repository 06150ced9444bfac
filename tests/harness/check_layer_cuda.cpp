#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "device/cpu/device.h"
#include "layers/registry.h"
#include "nn/cuda/host_fallback.h"
#include "tensor/half.h"
#include "tests/harness/gpu.h"
#include "tests/harness/layer_case.h"

namespace dn::testing {
namespace {

constexpr size_t kGuard = 256;   // bytes on each side
constexpr int kNanByte = 0xff;   // a NaN in every storage

// Bytes on the device between guards; NaN at first.
class Guarded {
 public:
  Guarded(cuda::Device& device, size_t bytes) : device_(&device), bytes_(bytes), memory_(device.allocate(bytes + 2 * kGuard)) { set_nan(); }
  std::byte* data() const { return memory_->data() + kGuard; }
  void set_nan() { device_->stream().fill(memory_->data(), kNanByte, memory_->bytes()); }
  bool intact() const {
    std::vector<unsigned char> all(memory_->bytes());
    device_->stream().to_host(all.data(), memory_->data(), all.size());
    device_->synchronize();
    for (size_t i = 0; i < kGuard; ++i)
      if (all[i] != kNanByte || all[kGuard + bytes_ + i] != kNanByte) return false;
    return true;
  }
  std::vector<std::byte> bytes() const {
    std::vector<std::byte> out(bytes_);
    device_->stream().to_host(out.data(), data(), bytes_);
    device_->synchronize();
    return out;
  }
  void set(const std::vector<std::byte>& from) {
    ensure(from.size() == bytes_, "as many bytes");
    device_->stream().to_device(data(), from.data(), bytes_);
  }

 private:
  cuda::Device* device_;
  size_t bytes_;
  std::unique_ptr<DeviceMemory> memory_;
};

float element(const std::vector<std::byte>& bytes, DType type, size_t i) {
  if (type == DType::f32) {
    float value;
    std::memcpy(&value, bytes.data() + 4 * i, 4);
    return value;
  }
  uint16_t value;
  std::memcpy(&value, bytes.data() + 2 * i, 2);
  return type == DType::bf16 ? from_bf16(value) : from_f16(value);
}

void set_element(std::vector<std::byte>& bytes, DType type, size_t i, float value) {
  const uint16_t half = type == DType::bf16 ? to_bf16(value) : to_f16(value);
  if (type == DType::f32)
    std::memcpy(bytes.data() + 4 * i, &value, 4);
  else
    std::memcpy(bytes.data() + 2 * i, &half, 2);
}

template <class Body>
void each_element(const TensorDesc& desc, const Body& body) {
  size_t i = 0;
  for (int n = 0; n < desc.shape.n; ++n)
    for (int c = 0; c < desc.shape.c; ++c)
      for (int y = 0; y < desc.shape.h; ++y)
        for (int x = 0; x < desc.shape.w; ++x) body(desc.offset(n, c, y, x), i++);
}

// A tensor with its memory.
struct Held {
  TensorDesc desc;
  Guarded memory;
  Held(cuda::Device& device, const TensorDesc& d) : desc(d), memory(device, d.bytes()) {}
  Tensor tensor() const { return {desc, reinterpret_cast<float*>(memory.data())}; }
  void set(std::span<const double> values) {
    std::vector<std::byte> bytes(desc.bytes(), std::byte{0});
    each_element(desc, [&](size_t at, size_t i) { set_element(bytes, desc.dtype, at, static_cast<float>(values[i])); });
    memory.set(bytes);
  }
  std::vector<double> values() const {
    const std::vector<std::byte> bytes = memory.bytes();
    std::vector<double> out(desc.shape.count());
    each_element(desc, [&](size_t at, size_t i) { out[i] = element(bytes, desc.dtype, at); });
    return out;
  }
  bool padding_is_zero() const {
    if (!desc.channels_last) return true;
    const std::vector<std::byte> bytes = memory.bytes();
    for (size_t i = 0; i < desc.count(); ++i)
      if (static_cast<int>(i % static_cast<size_t>(desc.block)) >= desc.shape.c && element(bytes, desc.dtype, i) != 0) return false;
    return true;
  }
};

// Everything a kernel is handed, on the device.
struct Bench {
  Bench(const Case& c, cuda::Device& gpu, cpu::Device& host, bool training, Write mode) : device(gpu) {
    KernelArgs args;
    const Layer& layer = *c.layer;
    for (const RefTensor& in : c.x) args.x.push_back(device.activation(in.shape, layer.writes_plain()));
    args.y = layer.writes_plain() ? TensorDesc{c.out, 1} : device.activation(c.out, false);
    args.training = args.backward = training;
    for (const int source : layer.sources()) args.dx.push_back(training && source != kNetworkInput ? mode : Write::none);
    const LayerType& type = *find_layer_type(layer.type());
    if (type.compile_cuda) kernel = type.compile_cuda(layer, device, args);
    if (!kernel) kernel = cuda::host_fallback(layer, type.compile_cpu, host, device, args);
    needs = kernel->needs();
    for (size_t i = 0; i < c.x.size(); ++i) {
      x_held.emplace_back(device, args.x[i]);
      x_held.back().set(c.x[i].v);
      dx_held.emplace_back(device, args.x[i]);
      x.push_back(x_held[i].tensor());
      dx.push_back({args.x[i], args.dx[i] == Write::none ? nullptr : dx_held[i].tensor().data});
    }
    y = std::make_unique<Held>(device, args.y);
    dy = std::make_unique<Held>(device, args.y);
    for (const size_t bytes : needs.saved) saved_memory.emplace_back(device, bytes);
    for (const Guarded& g : saved_memory) saved.push_back(g.data());
    forward_scratch = std::make_unique<Guarded>(device, needs.forward_scratch);
    backward_scratch = std::make_unique<Guarded>(device, needs.backward_scratch);
    for (const auto& p : c.params) {
      values.emplace_back(device, TensorDesc{{1, static_cast<int>(p.size()), 1, 1}, 1});
      grads.emplace_back(device, TensorDesc{{1, static_cast<int>(p.size()), 1, 1}, 1});
      values.back().set(p);
    }
    for (size_t i = 0; i < values.size(); ++i)
      params.push_back({{values[i].tensor().data, c.params[i].size()}, {grads[i].tensor().data, c.params[i].size()}});
    updates = device.allocate(sizeof(int64_t));
    io.x = x, io.dx = dx, io.saved = saved, io.params = params;
    io.y = y->tensor(), io.dy = dy->tensor();
    io.norm = &norm;
    io.norm_updates = reinterpret_cast<int64_t*>(updates->data());
    io.loss = &loss;
    pass.training = training;
    pass.seed = 3;
    pass.weights_version = 1;
    pass.param_grads = mode;
  }

  void forward() {
    device.set_numbers({pass.iteration, pass.seed, pass.first_image, pass.micro_step, pass.micro_steps, static_cast<float>(pass.progress), pass.loss_scale});
    io.scratch = forward_scratch->data();
    pass.phase = 0;
    kernel->prepare(io, pass);
    for (; pass.phase < kernel->forward_phases(); ++pass.phase) kernel->forward(io, pass);
  }
  void backward() {
    io.scratch = backward_scratch->data();
    for (pass.phase = 0; pass.phase < kernel->backward_phases(); ++pass.phase) kernel->backward(io, pass);
  }
  bool intact() const {
    const auto all = [](const auto& held) { return std::ranges::all_of(held, [](const Held& h) { return h.memory.intact(); }); };
    return all(x_held) && all(dx_held) && all(values) && all(grads) && y->memory.intact() && dy->memory.intact() && forward_scratch->intact() &&
           backward_scratch->intact() && std::ranges::all_of(saved_memory, &Guarded::intact);
  }

  cuda::Device& device;
  std::unique_ptr<Kernel> kernel;
  Needs needs;
  std::vector<Held> x_held, dx_held, values, grads;
  std::unique_ptr<Held> y, dy;
  std::vector<Guarded> saved_memory;
  std::unique_ptr<Guarded> forward_scratch, backward_scratch;
  std::unique_ptr<DeviceMemory> updates;
  std::vector<Tensor> x, dx;
  std::vector<std::byte*> saved;
  std::vector<ParamView> params;
  NormState norm;
  LossReport loss;
  Io io;
  Pass pass;
};

// sum (expected - got)^2 / sum expected^2
double mean_square_error(std::span<const double> expected, std::span<const double> got) {
  double error = 0, size = 1e-12;
  for (size_t i = 0; i < expected.size(); ++i) {
    error += (expected[i] - got[i]) * (expected[i] - got[i]);
    size += expected[i] * expected[i];
  }
  return error / size;
}

// In one precision. Tight: FP32.
class Judge {
 public:
  Judge(Case& c, const Reference& reference, const CheckOptions& options, bool tight) : c_(c), reference_(reference), options_(options), tight_(tight) {}

  void y(const std::string& what, bool training, const Bench& bench) const {
    const std::vector<double> expected = reference_(*c_.layer, c_.x, c_.params, c_.out, training), got = bench.y->values();
    if (tight_)
      expect_close(what, c_.out, expected, got, options_.forward_tolerance);
    else
      EXPECT_LT(mean_square_error(expected, got), 1e-4) << what;
    EXPECT_TRUE(bench.y->padding_is_zero()) << what << ": padding";
  }

  void probes(const std::string& what, const Shape& shape, const std::vector<size_t>& places, const std::vector<double>& expected,
              const std::vector<double>& values, double base) const {
    if (tight_) return compare_probes(what, shape, places, expected, [&](size_t i) { return values[i]; }, base, options_.gradient_tolerance);
    std::vector<double> got;
    for (const size_t at : places) got.push_back(values[at] - base);
    // Sums that cancel, such as a gradient that is 0 behind a normalization, are judged against the values that were summed.
    if (largest(expected) > 1e-2) {
      EXPECT_LT(mean_square_error(expected, got), 4e-3) << what;
    }
  }

 private:
  Case& c_;
  const Reference& reference_;
  const CheckOptions& options_;
  bool tight_;
};

struct Run {
  Case& c;
  const Reference& reference;
  const Expected& expected;
  const CheckOptions& options;
  cuda::Device& device;
  cpu::Device& host;
  bool tight;

  void inference(const std::string& where) const {
    Bench bench(c, device, host, false, Write::none);
    bench.forward();
    Judge(c, reference, options, tight).y(where + " y (inference)", false, bench);
    EXPECT_TRUE(bench.intact()) << where << ": wrote outside a buffer (inference)";
  }

  void training(Write mode, const std::string& where) const {
    const Judge judge(c, reference, options, tight);
    const double base = mode == Write::accumulate ? 1.5 : 0;
    Bench bench(c, device, host, true, mode);
    if (options.pass) options.pass(bench.pass);
    bench.forward();
    judge.y(where + " y", true, bench);
    if (!bench.needs.x_in_backward)
      for (Held& x : bench.x_held) x.memory.set_nan();
    if (!bench.needs.y_in_backward) bench.y->memory.set_nan();
    bench.forward_scratch->set_nan();
    bench.dy->set(c.r.v);
    if (mode == Write::accumulate)
      for (auto* held : {&bench.dx_held, &bench.grads})
        for (Held& h : *held) h.set(std::vector<double>(h.desc.shape.count(), base));
    bench.backward();
    EXPECT_TRUE(bench.intact()) << where << ": wrote outside a buffer";
    for (size_t i = 0; i < c.x.size(); ++i) {
      if (!bench.dx[i].data) continue;
      const std::vector<double> dx = bench.dx_held[i].values();
      EXPECT_TRUE(bench.dx_held[i].padding_is_zero()) << where << ": dx" << i << "'s padding";
      for (size_t k = 0; k < dx.size(); ++k) ASSERT_TRUE(std::isfinite(dx[k])) << where << " dx" << i << " at " << place(c.x[i].shape, k) << " is not finite";
      judge.probes(concat(where, " dx", i), c.x[i].shape, expected.x_places[i], expected.dx[i], dx, base);
    }
    for (size_t i = 0; i < c.params.size(); ++i)
      judge.probes(concat(where, " d", c.specs[i].name), {1, static_cast<int>(c.params[i].size()), 1, 1}, expected.param_places[i], expected.dparams[i],
                   bench.grads[i].values(), base);
  }

  void repeatable(const std::string& where) const {
    Bench a(c, device, host, true, Write::overwrite), b(c, device, host, true, Write::overwrite);
    for (Bench* bench : {&a, &b}) {
      if (options.pass) options.pass(bench->pass);
      bench->forward();
      bench->dy->set(c.r.v);
    }
    EXPECT_EQ(a.y->memory.bytes(), b.y->memory.bytes()) << where << ": two runs differ in y";
    a.backward();
    b.backward();
    for (size_t i = 0; i < a.dx_held.size(); ++i)
      EXPECT_EQ(a.dx_held[i].memory.bytes(), b.dx_held[i].memory.bytes()) << where << ": two runs differ in dx" << i;
    for (size_t i = 0; i < a.grads.size(); ++i)
      EXPECT_EQ(a.grads[i].memory.bytes(), b.grads[i].memory.bytes()) << where << ": two runs differ in d" << c.specs[i].name;
  }
};

}  // namespace

void check_on_cuda(Case& c, const Reference& reference, const Expected& expected, const CheckOptions& options, const std::string& text) {
  if (!options.cuda) return;
  cpu::Device host({.threads = 2});
  for (const cuda::Precision precision : {cuda::Precision::fp32, cuda::Precision::bf16}) {
    const bool tight = precision == cuda::Precision::fp32;
    if (!tight && !options.bf16) continue;
    cuda::Device device(gpu_options(precision));
    const std::string where = concat(text, " input ", c.x[0].shape.n, " x ", c.x[0].shape.text(), " on a GPU in ", cuda::precision_name(precision), ":");
    const Run run{c, reference, expected, options, device, host, tight};
    if (options.inference) run.inference(where);
    if (!options.training) continue;
    run.training(Write::overwrite, where + " overwrite:");
    run.training(Write::accumulate, where + " accumulate:");
    run.repeatable(where);
  }
}

}  // namespace dn::testing
