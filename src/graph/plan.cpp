// Compiling: wiring -> slices -> kernels -> lifetimes -> addresses -> steps. Running: the steps in order.
//
// Time axis for lifetimes: 0 the input is set; 1+i forward of layer i; 1+2L-1-i backward of layer i; then the end.
#include "graph/plan.h"

#include <algorithm>
#include <chrono>

#include "device/cpu/arena.h"
#include "device/cpu/conv_choice.h"
#include "device/cpu/device.h"
#include "graph/memory_plan.h"
#include "graph/slices.h"
#include "graph/wiring.h"
#include "layers/registry.h"
#include "nn/elementwise.h"

namespace dn {
namespace {

// One kernel call with everything it is handed.
struct Step {
  Kernel* kernel = nullptr;
  int layer = 0;
  std::vector<Tensor> x, dx;
  std::vector<std::byte*> saved;
  std::vector<ParamView> params;
  Io forward_io, backward_io;
  bool in_backward = false;
  double forward_seconds = 0, backward_seconds = 0;
};

class Stopwatch {
 public:
  explicit Stopwatch(double& sum) : sum_(sum), start_(Clock::now()) {}
  ~Stopwatch() { sum_ += std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  double& sum_;
  Clock::time_point start_;
};

// Buffers of one layer as indexes into the request list; -1: none.
struct LayerBuffers {
  int y = -1, dy = -1, forward_scratch = -1, backward_scratch = -1;
  std::vector<int> saved;
};

}  // namespace

struct Plan::Impl {
  Impl(Network& network, cpu::Device& dev, const Shape& input, const PlanOptions& opts)
      : net(network), device(dev), input_shape(input), options(opts), layer_count(static_cast<int>(network.layers().size())) {
    wiring = wire(net, options.training, options.frozen_layers);
    describe_tensors();
    compile();
    request_memory();
    place();
    make_steps();
  }

  int forward_time(int layer) const { return 1 + layer; }
  int backward_time(int layer) const { return 2 * layer_count - layer; }
  int end_time() const { return options.training ? 2 * layer_count + 1 : layer_count + 1; }
  bool is_step(int layer) const { return !net.layers()[static_cast<size_t>(layer)]->is_view(); }
  const TensorDesc& desc_of(int layer) const { return layer == kNetworkInput ? input_desc : descs[static_cast<size_t>(layer)]; }

  void describe_tensors();
  int image_channels(const std::vector<Slice>& kind, int layer) const;
  void compile();
  void request_memory();
  int request(int layer, std::string what, size_t bytes, int first, int last);
  void request_outputs();
  void request_gradients();
  void place();
  void make_steps();
  Step make_step(int layer);
  float* slice_address(int buffer, const Slice& slice, const TensorDesc& desc) const {
    return buffer < 0 ? nullptr : address(buffer) + static_cast<size_t>(slice.channel / desc.block) * desc.block_stride();
  }
  float* address(int buffer) const { return buffer < 0 ? nullptr : reinterpret_cast<float*>(arena.data() + placed.offsets[static_cast<size_t>(buffer)]); }
  Tensor output_tensor(int source) const;
  Tensor gradient_tensor(int source) const;

  Network& net;
  cpu::Device& device;
  Shape input_shape;
  PlanOptions options;
  int layer_count;
  Wiring wiring;
  Slices slices;                       // per layer: whose buffers its output and gradient lie in
  std::vector<Shape> shapes;
  TensorDesc input_desc;
  std::vector<TensorDesc> descs;       // of outputs
  std::vector<std::unique_ptr<Kernel>> kernels;
  std::vector<Needs> needs;
  std::vector<BufferRequest> requests;
  std::vector<MemoryRow> memory;       // the same buffers, for people
  std::vector<LayerBuffers> buffers;
  int input_buffer = -1;               // only when the input must be packed into blocks
  const float* plain_input = nullptr;  // else the caller's memory itself
  MemoryPlan placed;
  cpu::Arena arena;
  std::vector<Step> steps;
  std::vector<LossReport> losses;
  PlanReport report;
};

// TensorDesc::image_channels of a layer's slice.
int Plan::Impl::image_channels(const std::vector<Slice>& kind, int layer) const {
  const int whole = kind[static_cast<size_t>(layer)].home;
  return whole == layer || input_shape.n == 1 ? 0 : round_up(shapes[static_cast<size_t>(whole)].c, device.block());
}

void Plan::Impl::describe_tensors() {
  const auto& layers = net.layers();
  shapes = net.output_shapes(input_shape);
  const bool plain = layers[0]->reads_plain(input_shape);
  input_desc = {input_shape, plain ? 1 : device.block()};
  slices = place_slices(net, shapes, {options.training, options.slices, device.block()}, wiring);
  for (int i = 0; i < layer_count; ++i) {
    const Layer& layer = *layers[static_cast<size_t>(i)];
    if (layer.is_view()) {
      descs.push_back(desc_of(wiring.root[static_cast<size_t>(i)]));
      continue;
    }
    descs.push_back({shapes[static_cast<size_t>(i)], layer.writes_plain() ? 1 : device.block()});
    descs.back().image_channels = image_channels(slices.outputs, i);
  }
}

void Plan::Impl::compile() {
  kernels.resize(static_cast<size_t>(layer_count));
  needs.resize(static_cast<size_t>(layer_count));
  for (int i = 0; i < layer_count; ++i) {
    if (!is_step(i)) continue;
    const size_t at = static_cast<size_t>(i);
    const Layer& layer = *net.layers()[at];
    KernelArgs args;
    for (const int source : wiring.sources[at]) args.x.push_back(desc_of(source));
    args.y = descs[at];
    args.network_input = input_shape;
    args.training = options.training;
    args.backward = wiring.backward[at];
    args.frozen = i < options.frozen_layers;
    args.dx = wiring.dx[at];
    kernels[at] = find_layer_type(layer.type())->compile_cpu(layer, device, args);
    needs[at] = kernels[at]->needs();
    report.reorders += kernels[at]->reorders();
    report.kernel_bytes += needs[at].kept;
  }
  cpu::save_choices();
}

int Plan::Impl::request(int layer, std::string what, size_t bytes, int first, int last) {
  requests.push_back({bytes, first, last});
  memory.push_back({layer, std::move(what), bytes});
  return static_cast<int>(requests.size()) - 1;
}

void Plan::Impl::request_memory() {
  buffers.resize(static_cast<size_t>(layer_count));
  request_outputs();
  if (options.training) request_gradients();
  for (int i = 0; i < layer_count; ++i) {
    if (!is_step(i)) continue;
    const Needs& need = needs[static_cast<size_t>(i)];
    LayerBuffers& b = buffers[static_cast<size_t>(i)];
    const bool backward = wiring.backward[static_cast<size_t>(i)];
    for (const size_t bytes : need.saved) b.saved.push_back(request(i, "saved", bytes, forward_time(i), backward ? backward_time(i) : forward_time(i)));
    if (need.forward_scratch) b.forward_scratch = request(i, "scratch forward", need.forward_scratch, forward_time(i), forward_time(i));
    if (need.backward_scratch && backward) b.backward_scratch = request(i, "scratch backward", need.backward_scratch, backward_time(i), backward_time(i));
    report.scratch_bytes = std::max({report.scratch_bytes, need.forward_scratch, need.backward_scratch});
  }
}

// An output lives to its last forward reader, or to the backward of a reader that needs it, or of its own layer when that does.
void Plan::Impl::request_outputs() {
  std::vector<int> last(static_cast<size_t>(layer_count), 0);
  int input_last = 0;
  for (int i = 0; i < layer_count; ++i) {
    if (!is_step(i)) continue;
    const size_t at = static_cast<size_t>(i);
    last[at] = std::max(last[at], forward_time(i));
    if (needs[at].y_in_backward && wiring.backward[at]) last[at] = std::max(last[at], backward_time(i));
    const bool late = needs[at].x_in_backward && wiring.backward[at];
    for (const int source : wiring.sources[at]) {
      const int root = wiring.root_of(source);
      int& until = root == kNetworkInput ? input_last : last[static_cast<size_t>(root)];
      until = std::max(until, late ? backward_time(i) : forward_time(i));
    }
    const bool read_by_caller = options.keep_outputs || (!options.training && (net.layers()[at]->head() || i + 1 == layer_count));
    if (read_by_caller) last[at] = end_time();
  }
  std::vector<int> first(last.size());
  for (int i = 0; i < layer_count; ++i) first[static_cast<size_t>(i)] = forward_time(i);
  for (int i = 0; i < layer_count; ++i) {  // a tensor lives as long as any of its slices
    const size_t whole = static_cast<size_t>(slices.outputs[static_cast<size_t>(i)].home);
    first[whole] = std::min(first[whole], forward_time(i));
    last[whole] = std::max(last[whole], last[static_cast<size_t>(i)]);
  }
  if (!options.training && layer_count > 0 && !is_step(layer_count - 1)) {
    const int root = wiring.root[static_cast<size_t>(layer_count) - 1];
    if (root != kNetworkInput) last[static_cast<size_t>(slices.outputs[static_cast<size_t>(root)].home)] = end_time();
  }
  if (input_desc.block != 1) input_buffer = request(kNetworkInput, "input", input_desc.bytes(), 0, std::max(input_last, 1));
  for (int i = 0; i < layer_count; ++i)
    if (const size_t at = static_cast<size_t>(i); is_step(i) && slices.outputs[at].home == i)
      buffers[at].y = request(i, "output", descs[at].bytes(), first[at], last[at]);
}

// A gradient lives from its first writer (the reader with the highest index) to its own layer's backward.
void Plan::Impl::request_gradients() {
  std::vector<int> first(static_cast<size_t>(layer_count), -1);
  for (int i = layer_count - 1; i >= 0; --i)
    for (size_t k = 0; k < wiring.sources[static_cast<size_t>(i)].size(); ++k)
      if (wiring.dx[static_cast<size_t>(i)][k] == Write::overwrite)
        first[static_cast<size_t>(wiring.root_of(wiring.sources[static_cast<size_t>(i)][k]))] = backward_time(i);
  std::vector<int> last(first.size(), 0);
  for (int i = 0; i < layer_count; ++i) {
    int& until = last[static_cast<size_t>(slices.gradients[static_cast<size_t>(i)].home)];
    until = std::max(until, backward_time(i));
  }
  for (int i = 0; i < layer_count; ++i)
    if (const size_t at = static_cast<size_t>(i); first[at] >= 0)
      buffers[at].dy = request(i, "gradient", descs[at].bytes(), first[at], options.keep_outputs ? end_time() : last[at]);
}

void Plan::Impl::place() {
  placed = plan_memory(requests);
  const int peak = busiest_step(requests);
  for (size_t i = 0; i < memory.size(); ++i) {
    memory[i].offset = placed.offsets[i];
    memory[i].at_peak = requests[i].first <= peak && peak <= requests[i].last;
  }
  arena = cpu::Arena(placed.bytes);
  report.arena_bytes = placed.bytes;
  for (const BufferRequest& r : requests) report.everything_live += round_up(r.bytes, kBufferAlignment);
}

Tensor Plan::Impl::output_tensor(int source) const {
  const int root = wiring.root_of(source);
  if (root == kNetworkInput) return {input_desc, input_buffer >= 0 ? address(input_buffer) : const_cast<float*>(plain_input)};
  const Slice& slice = slices.outputs[static_cast<size_t>(root)];
  return {desc_of(source), slice_address(buffers[static_cast<size_t>(slice.home)].y, slice, desc_of(source))};
}

Tensor Plan::Impl::gradient_tensor(int source) const {
  const int root = wiring.root_of(source);
  if (root == kNetworkInput) return {input_desc, nullptr};
  const Slice& slice = slices.gradients[static_cast<size_t>(root)];
  TensorDesc desc = desc_of(source).dense();
  desc.image_channels = image_channels(slices.gradients, root);
  return {desc, slice_address(buffers[static_cast<size_t>(slice.home)].dy, slice, desc)};
}

Step Plan::Impl::make_step(int layer) {
  const size_t at = static_cast<size_t>(layer);
  const LayerBuffers& b = buffers[at];
  Step step;
  step.kernel = kernels[at].get();
  step.layer = layer;
  step.in_backward = wiring.backward[at];
  for (size_t k = 0; k < wiring.sources[at].size(); ++k) {
    const int source = wiring.sources[at][k];
    step.x.push_back(output_tensor(source));
    step.dx.push_back(gradient_tensor(source));
    if (wiring.dx[at][k] == Write::none) step.dx.back().data = nullptr;
  }
  for (const int saved : b.saved) step.saved.push_back(reinterpret_cast<std::byte*>(address(saved)));
  for (const ParamSegment* segment : net.params().of_layer(layer))
    step.params.push_back({net.params().values(*segment), options.training ? net.params().grads(*segment) : std::span<float>{}});
  step.forward_io.y = output_tensor(layer);
  step.forward_io.dy = gradient_tensor(layer);
  step.forward_io.norm_updates = &net.params().norm_updates(layer);
  step.forward_io.loss = &losses[at];
  step.backward_io = step.forward_io;
  step.forward_io.scratch = reinterpret_cast<std::byte*>(address(b.forward_scratch));
  step.backward_io.scratch = reinterpret_cast<std::byte*>(address(b.backward_scratch));
  return step;
}

void Plan::Impl::make_steps() {
  if (options.training) net.params().allocate_grads();
  losses.resize(static_cast<size_t>(layer_count));
  if (layer_count > 0) net.params().norm_updates(layer_count - 1);  // the counters must not move once their addresses are handed out
  for (int i = 0; i < layer_count; ++i)
    if (is_step(i)) steps.push_back(make_step(i));
  for (Step& step : steps)
    for (Io* io : {&step.forward_io, &step.backward_io}) {
      io->x = step.x;
      io->dx = step.dx;
      io->saved = step.saved;
      io->params = step.params;
    }
  report.forward_steps = static_cast<int>(steps.size());
  report.backward_steps = static_cast<int>(std::count_if(steps.begin(), steps.end(), [](const Step& s) { return s.in_backward; }));
}

Plan::Plan(Network& network, cpu::Device& device, const Shape& input, const PlanOptions& options)
    : impl_(std::make_unique<Impl>(network, device, input, options)) {}

Plan::~Plan() = default;

const Shape& Plan::input_shape() const { return impl_->input_shape; }
const PlanReport& Plan::report() const { return impl_->report; }
std::vector<MemoryRow> Plan::memory() const { return impl_->memory; }

std::vector<StepTime> Plan::times() const {
  std::vector<StepTime> out;
  for (const Step& step : impl_->steps) out.push_back({step.layer, step.forward_seconds, step.backward_seconds});
  return out;
}

const LossReport& Plan::loss(int layer) const { return impl_->losses[static_cast<size_t>(layer)]; }
Tensor Plan::output(int layer) const { return impl_->output_tensor(layer); }

Tensor Plan::output_gradient(int layer) const { return impl_->gradient_tensor(layer); }

void Plan::set_input(const float* images) {
  Impl& p = *impl_;
  const Shape& s = p.input_shape;
  if (p.input_buffer < 0) {
    p.plain_input = images;
    for (Step& step : p.steps)
      for (size_t k = 0; k < step.x.size(); ++k)
        if (p.wiring.root_of(p.wiring.sources[static_cast<size_t>(step.layer)][k]) == kNetworkInput) step.x[k].data = const_cast<float*>(images);
    return;
  }
  const Tensor to = p.output_tensor(kNetworkInput);
  zero(p.device.threads(), to.data, to.desc.count());
  cpu::parallel_for(p.device.threads(), static_cast<size_t>(s.n) * static_cast<size_t>(s.c), [&](size_t i) {
    const int n = static_cast<int>(i) / s.c, c = static_cast<int>(i) % s.c;
    float* out = &to.at(n, c, 0, 0);
    const float* from = images + i * s.plane();
    for (size_t at = 0; at < s.plane(); ++at) out[at * static_cast<size_t>(to.desc.block)] = from[at];
  });
}

void Plan::forward(const Pass& pass) {
  Pass now = pass;
  now.weights_version = impl_->net.params().version();
  std::fill(impl_->losses.begin(), impl_->losses.end(), LossReport{});
  for (Step& step : impl_->steps) {
    const Stopwatch watch(step.forward_seconds);
    for (now.phase = 0; now.phase < step.kernel->forward_phases(); ++now.phase) step.kernel->forward(step.forward_io, now);
  }
}

void Plan::backward(const Pass& pass) {
  Impl& p = *impl_;
  ensure(p.options.training, "backward of an inference plan");
  Pass now = pass;
  now.weights_version = p.net.params().version();
  if (pass.param_grads == Write::overwrite)  // layers that no gradient reaches still take part in the update
    for (const ParamSegment& segment : p.net.params().segments())
      if (!p.wiring.backward[static_cast<size_t>(segment.layer)]) std::ranges::fill(p.net.params().grads(segment), 0.0f);
  for (auto step = p.steps.rbegin(); step != p.steps.rend(); ++step) {
    if (!step->in_backward) continue;
    const Stopwatch watch(step->backward_seconds);
    for (now.phase = 0; now.phase < step->kernel->backward_phases(); ++now.phase) step->kernel->backward(step->backward_io, now);
  }
}

}  // namespace dn
