#include "tests/harness/check_layer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <numeric>

#include "layers/registry.h"
#include "tests/harness/layer_case.h"
#include "tests/harness/tensors.h"

namespace dn::testing {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kGuard = 32;          // floats on each side
constexpr float kSentinel = -77.25f;

// Aligned floats between guard words.
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(size_t floats, float fill = kNan) : count_(floats) {
    size_t space = (floats + 2 * kGuard) * sizeof(float) + 64;
    memory_.resize(space);
    void* at = memory_.data() + kGuard * sizeof(float);
    space -= kGuard * sizeof(float);
    data_ = static_cast<float*>(std::align(64, floats * sizeof(float), at, space));
    std::fill_n(data_ - kGuard, kGuard, kSentinel);
    std::fill_n(data_ + floats, kGuard, kSentinel);
    set(fill);
  }
  float* data() const { return data_; }
  std::byte* bytes() const { return reinterpret_cast<std::byte*>(data_); }
  size_t count() const { return count_; }
  void set(float value) { std::fill_n(data_, count_, value); }
  bool intact() const {
    for (size_t i = 0; i < kGuard; ++i)
      if (data_[-static_cast<ptrdiff_t>(i) - 1] != kSentinel || data_[count_ + i] != kSentinel) return false;
    return true;
  }

 private:
  std::vector<std::byte> memory_;
  float* data_ = nullptr;
  size_t count_ = 0;
};

RefTensor unpacked(const Tensor& from) { return {from.desc.shape, unpack<double>(from)}; }

// Elements of the tensor that belong to no channel.
bool padding_is_zero(const Tensor& t) {
  const TensorDesc& d = t.desc;
  for (int n = 0; n < d.shape.n; ++n)
    for (int c = d.shape.c; c < d.padded_channels(); ++c)
      for (int y = 0; y < d.shape.h; ++y)
        for (int x = 0; x < d.shape.w; ++x)
          if (t.at(n, c, y, x) != 0) return false;
  return true;
}

// Everything a kernel is handed, with guards.
struct Bench {
  Bench(const Case& c, cpu::Device& device, bool training, Write mode, bool plain_input) {
    KernelArgs args;
    const auto& layer = *c.layer;
    for (const RefTensor& in : c.x) args.x.push_back({in.shape, plain_input ? 1 : device.block()});
    args.y = {c.out, layer.writes_plain() ? 1 : device.block()};
    args.training = args.backward = training;
    for (const int source : layer.sources()) args.dx.push_back(training && !plain_input && source != kNetworkInput ? mode : Write::none);
    kernel = compile_layer(layer, device, args);
    needs = kernel->needs();
    for (size_t i = 0; i < c.x.size(); ++i) {
      x_memory.emplace_back(args.x[i].count());
      x.push_back({args.x[i], x_memory.back().data()});
      pack(c.x[i].v, x.back());
      dx_memory.emplace_back(args.x[i].count());
      dx.push_back({args.x[i], args.dx[i] == Write::none ? nullptr : dx_memory.back().data()});
    }
    y_memory = Guarded(args.y.count());
    dy_memory = Guarded(args.y.count());
    for (const size_t bytes : needs.saved) saved_memory.emplace_back((bytes + 3) / 4);
    for (Guarded& g : saved_memory) saved.push_back(g.bytes());
    forward_scratch = Guarded(needs.forward_scratch / 4 + 1);
    backward_scratch = Guarded(needs.backward_scratch / 4 + 1);
    for (size_t i = 0; i < c.params.size(); ++i) {
      values.emplace_back(c.params[i].begin(), c.params[i].end());
      grads.emplace_back(c.params[i].size(), kNan);
    }
    for (size_t i = 0; i < values.size(); ++i) params.push_back({values[i], grads[i]});
    io.x = x, io.dx = dx, io.saved = saved, io.params = params;
    io.y = {args.y, y_memory.data()};
    io.dy = {args.y, dy_memory.data()};
    io.norm = &norm;
    io.loss = &loss;
    pass.training = training;
    pass.seed = 3;
    pass.weights_version = 1;
    pass.param_grads = mode;
  }

  void forward() {
    io.scratch = forward_scratch.bytes();
    for (pass.phase = 0; pass.phase < kernel->forward_phases(); ++pass.phase) kernel->forward(io, pass);
  }
  void backward() {
    io.scratch = backward_scratch.bytes();
    for (pass.phase = 0; pass.phase < kernel->backward_phases(); ++pass.phase) kernel->backward(io, pass);
  }
  bool intact() const {
    const auto all = [](const std::vector<Guarded>& v) { return std::all_of(v.begin(), v.end(), [](const Guarded& g) { return g.intact(); }); };
    return all(x_memory) && all(dx_memory) && all(saved_memory) && y_memory.intact() && dy_memory.intact() && forward_scratch.intact() && backward_scratch.intact();
  }

  std::unique_ptr<Kernel> kernel;
  Needs needs;
  std::vector<Guarded> x_memory, dx_memory, saved_memory;
  Guarded y_memory, dy_memory, forward_scratch, backward_scratch;
  std::vector<Tensor> x, dx;
  std::vector<std::byte*> saved;
  std::vector<std::vector<float>> values, grads;
  std::vector<ParamView> params;
  NormState norm;
  LossReport loss;
  Io io;
  Pass pass;
};

void check_training(Case& c, const Reference& reference, const Expected& expected, cpu::Device& device, Write mode, bool plain_input,
                    const CheckOptions& options, const std::string& where) {
  const double base = mode == Write::accumulate ? 1.5 : 0;
  Bench bench(c, device, true, mode, plain_input);
  if (options.pass) options.pass(bench.pass);
  bench.forward();
  const std::vector<double> y = reference(*c.layer, c.x, c.params, c.out, true);
  const RefTensor got = unpacked(bench.io.y);
  expect_close(where + " y", c.out, y, got.v, options.forward_tolerance);
  EXPECT_TRUE(padding_is_zero(bench.io.y)) << where << ": y's padding";
  if (!bench.needs.x_in_backward)
    for (Guarded& x : bench.x_memory) x.set(kNan);
  if (!bench.needs.y_in_backward) bench.y_memory.set(kNan);
  pack(c.r.v, bench.io.dy);
  for (Guarded& dx : bench.dx_memory) dx.set(mode == Write::accumulate ? static_cast<float>(base) : kNan);
  for (auto& grad : bench.grads) std::fill(grad.begin(), grad.end(), mode == Write::accumulate ? static_cast<float>(base) : kNan);
  if (mode == Write::accumulate)  // padding lanes hold zero in a running plan
    for (Tensor& dx : bench.dx)
      if (dx) pack(std::vector<double>(dx.desc.shape.count(), base), dx);
  bench.backward();
  EXPECT_TRUE(bench.intact()) << where << ": wrote outside a buffer";
  for (size_t i = 0; i < c.x.size(); ++i) {
    if (!bench.dx[i]) continue;
    const RefTensor dx = unpacked(bench.dx[i]);
    EXPECT_TRUE(padding_is_zero(bench.dx[i])) << where << ": dx" << i << "'s padding";
    for (size_t k = 0; k < dx.v.size(); ++k) ASSERT_TRUE(std::isfinite(dx.v[k])) << where << " dx" << i << " at " << place(dx.shape, k) << " is not finite";
    compare_probes(concat(where, " dx", i), dx.shape, expected.x_places[i], expected.dx[i], [&](size_t k) { return dx.v[k]; }, base,
                   options.gradient_tolerance);
  }
  for (size_t i = 0; i < c.params.size(); ++i)
    compare_probes(concat(where, " d", c.specs[i].name), {1, static_cast<int>(c.params[i].size()), 1, 1}, expected.param_places[i], expected.dparams[i],
                   [&](size_t k) { return static_cast<double>(bench.grads[i][k]); }, base, options.gradient_tolerance);
}

void check_repeatable(const Case& c, cpu::Device& device, const CheckOptions& options, const std::string& where) {
  Bench a(c, device, true, Write::overwrite, false), b(c, device, true, Write::overwrite, false);
  for (Bench* bench : {&a, &b}) {
    if (options.pass) options.pass(bench->pass);
    bench->forward();
    pack(c.r.v, bench->io.dy);
  }
  EXPECT_EQ(0, std::memcmp(a.y_memory.data(), b.y_memory.data(), a.y_memory.count() * sizeof(float))) << where << ": two runs differ in y";
  a.backward();
  b.backward();
  for (size_t i = 0; i < a.dx_memory.size(); ++i)
    EXPECT_EQ(0, std::memcmp(a.dx_memory[i].data(), b.dx_memory[i].data(), a.dx_memory[i].count() * sizeof(float))) << where << ": two runs differ in dx" << i;
}

void check_inference(const Case& c, const Reference& reference, cpu::Device& device, bool plain_input, const CheckOptions& options, const std::string& where) {
  Bench bench(c, device, false, Write::none, plain_input);
  bench.forward();
  const std::vector<double> y = reference(*c.layer, c.x, c.params, c.out, false);
  expect_close(where + " y (inference)", c.out, y, unpack<double>(bench.io.y), options.forward_tolerance);
  EXPECT_TRUE(padding_is_zero(bench.io.y)) << where << ": y's padding (inference)";
  EXPECT_TRUE(bench.intact()) << where << ": wrote outside a buffer (inference)";
}

}  // namespace

std::unique_ptr<Layer> parse_layer(const std::string& text, int index) {
  Problems problems;
  const std::vector<Section> sections = parse_sections("[net]\n" + text, "case", problems);
  ensure(sections.size() == 2, "a test case is one section");
  const Section& section = sections[1];
  const LayerType* type = find_layer_type(section.type);
  ensure(type != nullptr, concat("no layer type ", section.type));
  const NetSpec net = sections[0].entries.empty() ? NetSpec{} : bind_net(sections[0], problems);
  std::unique_ptr<Layer> layer = type->parse(section, net, index, problems);
  problems.settle();
  return layer;
}

std::string layer_error(const std::string& text, const std::vector<Shape>& shapes) {
  try {
    const auto layer = parse_layer(text, static_cast<int>(shapes.size()));
    layer->output_shape(inputs_of(*layer, shapes));
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

std::unique_ptr<Kernel> compile_layer(const Layer& layer, cpu::Device& device, const KernelArgs& args) {
  return find_layer_type(layer.type())->compile_cpu(layer, device, args);
}

void check_layer(const std::string& text, const std::vector<Shape>& shapes, const Reference& reference, const CheckOptions& options) {
  Case c = make_case(text, shapes, options);
  const bool plain_possible = c.x.size() == 1 && c.layer->reads_plain(c.x[0].shape);
  Expected expected;
  if (options.training) expected = expected_gradients(c, reference, options);
  for (const int block : {16, 8}) {
    cpu::Device device({.threads = 2, .block = block, .convolution = options.convolution});
    const std::string where = concat(text, " input ", c.x[0].shape.n, " x ", c.x[0].shape.text(), " block ", block, ":");
    for (const bool plain_input : {false, true}) {
      if (plain_input && !plain_possible) continue;
      if (options.inference) check_inference(c, reference, device, plain_input, options, where);
      if (!options.training) continue;
      check_training(c, reference, expected, device, Write::overwrite, plain_input, options, where + " overwrite:");
      check_training(c, reference, expected, device, Write::accumulate, plain_input, options, where + " accumulate:");
    }
    if (options.training) check_repeatable(c, device, options, where);
  }
  check_on_cuda(c, reference, expected, options, text);
}

void separate(RefTensor& t, double gap) {
  std::vector<size_t> order(t.v.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return t.v[a] < t.v[b]; });
  for (size_t i = 0; i < order.size(); ++i) t.v[order[i]] = gap * (static_cast<double>(i) - static_cast<double>(order.size()) / 2);
}

std::string golden_folder() {
  std::error_code code;
  if (const char* named = std::getenv("DN_GOLDEN"); named && fs::is_directory(named, code)) return named;
  const fs::path beside = fs::path(DN_SOURCE_DIR) / ".." / "shared" / "golden";
  return fs::is_directory(beside, code) ? beside.lexically_normal().string() : std::string();
}

}  // namespace dn::testing
