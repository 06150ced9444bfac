// Compiling: wiring -> slices -> kernels -> what is kept -> lifetimes -> addresses -> steps. Running: the steps in order.
#include "graph/plan.h"

#include <algorithm>
#include <chrono>

#include "device/cpu/arena.h"
#include "device/cpu/conv_choice.h"
#include "device/cpu/device.h"
#include "graph/recompute.h"
#include "graph/wiring.h"
#include "layers/registry.h"
#include "nn/elementwise.h"

namespace dn {
namespace {

// One kernel call with everything it is handed.
struct Step {
  Kernel* kernel = nullptr;
  int layer = 0;
  std::vector<Tensor> x, x_late, dx;             // late: what a second forward pass and backward see (LayerBuffers)
  std::vector<std::byte*> saved, saved_late;
  std::vector<ParamView> params;
  bool adds_gradients = false;                   // a layer that shares its parameters goes backward before it
  Io forward_io, again_io, backward_io;
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

}  // namespace

struct Plan::Impl {
  Impl(Network& network, cpu::Device& dev, const Shape& input, const PlanOptions& opts)
      : net(network), device(dev), input_shape(input), options(opts), layer_count(static_cast<int>(network.layers().size())) {
    wiring = wire(net, options.training, options.frozen.parameters);
    describe_tensors();
    compile();
    choose();
    arena = cpu::Arena(placed.bytes);
    make_steps();
  }

  bool is_step(int layer) const { return !net.layers()[static_cast<size_t>(layer)]->is_view(); }
  const TensorDesc& desc_of(int layer) const { return layer == kNetworkInput ? input_desc : descs[static_cast<size_t>(layer)]; }

  void describe_tensors();
  int image_channels(const std::vector<Slice>& kind, int layer) const;
  void compile();
  PlanFacts facts() const { return {net, wiring, slices, descs, input_desc, needs, operations, options.training, options.keep_outputs}; }
  void choose();
  void use(const Recompute& chosen);
  void make_steps();
  Step make_step(int layer);
  float* slice_address(int buffer, const Slice& slice, const TensorDesc& desc) const {
    return buffer < 0 ? nullptr : address(buffer) + static_cast<size_t>(slice.channel / desc.block) * desc.block_stride();
  }
  float* address(int buffer) const { return buffer < 0 ? nullptr : reinterpret_cast<float*>(arena.data() + placed.offsets[static_cast<size_t>(buffer)]); }
  Tensor output_tensor(int source, bool late) const;
  void compute_again(Step& step, const Event& event, Pass now);
  void clear_unreached();
  Tensor gradient_tensor(int source) const;

  Network& net;
  cpu::Device& device;
  Shape input_shape;
  PlanOptions options;
  int layer_count;
  Wiring wiring;
  Slices slices;                       // per layer: whose buffers its output and gradient lie in
  std::vector<Shape> shapes;
  std::vector<double> operations;      // of one forward pass, per layer
  TensorDesc input_desc;
  std::vector<TensorDesc> descs;       // of outputs
  std::vector<std::unique_ptr<Kernel>> kernels;
  std::vector<Needs> needs;
  std::vector<Event> events;           // of backward
  Lifetimes life;
  std::vector<MemoryRow> memory;       // its buffers, for people
  const float* plain_input = nullptr;  // the caller's memory, where the input needs no packing (Lifetimes::input)
  MemoryPlan placed;
  cpu::Arena arena;
  std::vector<Step> steps;
  std::vector<int> step_of;            // per layer; -1: a view
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
  for (const auto& layer : layers) operations.push_back(layer->forward_flops(net.source_shapes(layer->index(), input_shape, shapes)));
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
    args.frozen = i < options.frozen.layers;
    args.dx = wiring.dx[at];
    kernels[at] = find_layer_type(layer.type())->compile_cpu(layer, device, args);
    needs[at] = kernels[at]->needs();
    report.reorders += kernels[at]->reorders();
    report.kernel_bytes += needs[at].kept;
  }
  cpu::save_choices();
}

// Everything is kept where that fits, else what can be, as the options say.
void Plan::Impl::choose() {
  use({Keep(facts())});
  for (const MemoryRow& row : memory) report.everything_live += round_up(row.bytes, kBufferAlignment);
  const bool fits = options.budget == 0 || placed.bytes <= options.budget;
  if (!options.training || (options.segments <= 0 && fits)) return;
  ensure(!options.keep_outputs, "outputs that are kept cannot be computed again");
  const PlanFacts compiled = facts();
  const RecomputeSearch search(compiled);
  if (options.segments > 0) use(search.smallest(options.segments));
  if (options.segments == kAutomatic)
    if (const auto found = search.within(options.budget)) use(*found);
  if (options.budget > 0 && placed.bytes > options.budget) {
    const size_t least = search.smallest().bytes, needed = options.segments == kAutomatic ? least : placed.bytes;
    throw DoesNotFit(concat(net.file(), ": the activations of ", input_shape.n, " images of ", input_shape.w, " x ", input_shape.h, " need ",
                            bytes_text(static_cast<double>(needed)), options.segments == kAutomatic ? " at least" : "",
                            options.budget > 1 ? concat("; there is room for ", bytes_text(static_cast<double>(options.budget))) : "; nothing is left for them"),
                     least);
  }
}

void Plan::Impl::use(const Recompute& chosen) {
  memory.clear();
  const PlanFacts compiled = facts();
  const StepOrder order(compiled, chosen.keep);
  events = order.events();
  life = plan_lifetimes(compiled, chosen.keep, order);
  placed = dn::plan_memory(life.requests);
  const int peak = busiest_step(life.requests);
  for (size_t i = 0; i < life.requests.size(); ++i) {
    const BufferRequest& r = life.requests[i];
    memory.push_back({life.names[i].layer, std::string(life.names[i].what), r.bytes, placed.offsets[i], r.first <= peak && peak <= r.last});
  }
  for (const Needs& need : needs) report.scratch_bytes = std::max({report.scratch_bytes, need.forward_scratch, need.backward_scratch});
  report.arena_bytes = placed.bytes;
  report.segments = chosen.segments;
  report.again = share_of_step(compiled, chosen.operations);
}

Tensor Plan::Impl::output_tensor(int source, bool late) const {
  const int root = wiring.root_of(source);
  if (root == kNetworkInput) return {input_desc, life.input >= 0 ? address(life.input) : const_cast<float*>(plain_input)};
  const Slice& slice = slices.outputs[static_cast<size_t>(root)];
  const LayerBuffers& home = life.layers[static_cast<size_t>(slice.home)];
  return {desc_of(source), slice_address(late ? home.late.y : home.now.y, slice, desc_of(source))};
}

Tensor Plan::Impl::gradient_tensor(int source) const {
  const int root = wiring.root_of(source);
  if (root == kNetworkInput) return {input_desc, nullptr};
  const Slice& slice = slices.gradients[static_cast<size_t>(root)];
  TensorDesc desc = desc_of(source).dense();
  desc.image_channels = image_channels(slices.gradients, root);
  return {desc, slice_address(life.layers[static_cast<size_t>(slice.home)].dy, slice, desc)};
}

Step Plan::Impl::make_step(int layer) {
  const size_t at = static_cast<size_t>(layer);
  const LayerBuffers& b = life.layers[at];
  Step step;
  step.kernel = kernels[at].get();
  step.layer = layer;
  for (size_t k = 0; k < wiring.sources[at].size(); ++k) {
    const int source = wiring.sources[at][k];
    step.x.push_back(output_tensor(source, false));
    step.x_late.push_back(output_tensor(source, true));
    step.dx.push_back(gradient_tensor(source));
    if (wiring.dx[at][k] == Write::none) step.dx.back().data = nullptr;
  }
  const auto bytes = [this](int buffer) { return reinterpret_cast<std::byte*>(address(buffer)); };
  for (const int saved : b.now.saved) step.saved.push_back(bytes(saved));
  for (const int saved : b.late.saved) step.saved_late.push_back(bytes(saved));
  for (const ParamSegment* segment : net.params().used_by(layer))
    step.params.push_back({net.params().values(*segment), options.training ? net.params().grads(*segment) : std::span<float>{}});
  for (int later = layer + 1; later < layer_count; ++later)
    step.adds_gradients |= net.params().owner(later) == net.params().owner(layer) && wiring.backward[static_cast<size_t>(later)];
  step.forward_io.y = output_tensor(layer, false);
  step.forward_io.dy = gradient_tensor(layer);
  step.forward_io.norm = &net.params().norm_state(layer);
  step.forward_io.loss = &losses[at];
  step.forward_io.rejection = options.training ? net.rejection() : nullptr;
  step.again_io = step.forward_io;
  step.again_io.y = output_tensor(layer, true);
  step.backward_io = step.again_io;
  step.forward_io.scratch = bytes(b.now.scratch);
  step.again_io.scratch = bytes(b.late.scratch);
  step.backward_io.scratch = bytes(b.backward_scratch);
  return step;
}

void Plan::Impl::make_steps() {
  if (options.training) net.params().allocate_grads();
  losses.resize(static_cast<size_t>(layer_count));
  if (layer_count > 0) net.params().norm_state(layer_count - 1);  // they must not move once their addresses are handed out
  for (int i = 0; i < layer_count; ++i)
    if (step_of.push_back(is_step(i) ? static_cast<int>(steps.size()) : -1); is_step(i)) steps.push_back(make_step(i));
  for (Step& step : steps)
    for (Io* io : {&step.forward_io, &step.again_io, &step.backward_io}) {
      io->x = io == &step.forward_io ? step.x : step.x_late;
      io->dx = step.dx;
      io->saved = io == &step.forward_io ? step.saved : step.saved_late;
      io->params = step.params;
    }
  report.forward_steps = static_cast<int>(steps.size());
  report.backward_steps = static_cast<int>(std::ranges::count(events, false, &Event::again));
}

Plan::Plan(Network& network, cpu::Device& device, const Shape& input, const PlanOptions& options)
    : impl_(std::make_unique<Impl>(network, device, input, options)) {}

Plan::~Plan() = default;

const Shape& Plan::input_shape() const { return impl_->input_shape; }
const PlanReport& Plan::report() const { return impl_->report; }
std::vector<MemoryRow> Plan::memory() const { return impl_->memory; }

std::vector<PlanChoice> Plan::choices() const {
  ensure(impl_->options.training, "choices of an inference plan");
  const PlanFacts facts = impl_->facts();
  const RecomputeSearch search(facts);
  const Keep everything(facts);
  std::vector<PlanChoice> rows = {{0, plan_memory(plan_lifetimes(facts, everything, StepOrder(facts, everything)).requests).bytes, 0}};
  for (int segments = 1; segments <= RecomputeSearch::kMostSegments; ++segments)
    if (const Recompute found = search.smallest(segments); found.bytes < rows.back().arena_bytes)
      rows.push_back({segments, found.bytes, share_of_step(facts, found.operations)});
  return rows;
}

std::vector<StepTime> Plan::times() const {
  std::vector<StepTime> out;
  for (const Step& step : impl_->steps) out.push_back({step.layer, step.forward_seconds, step.backward_seconds});
  return out;
}

const LossReport& Plan::loss(int layer) const { return impl_->losses[static_cast<size_t>(layer)]; }
Tensor Plan::output(int layer) const { return impl_->output_tensor(layer, true); }

Tensor Plan::output_gradient(int layer) const { return impl_->gradient_tensor(layer); }

void Plan::set_input(const float* images) {
  Impl& p = *impl_;
  const Shape& s = p.input_shape;
  if (p.life.input < 0) {
    p.plain_input = images;
    for (Step& step : p.steps)
      for (size_t k = 0; k < step.x.size(); ++k)
        if (p.wiring.root_of(p.wiring.sources[static_cast<size_t>(step.layer)][k]) == kNetworkInput)
          step.x[k].data = step.x_late[k].data = const_cast<float*>(images);
    return;
  }
  const Tensor to = p.output_tensor(kNetworkInput, false);
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

// Statistics and losses were reported the first time.
void Plan::Impl::compute_again(Step& step, const Event& event, Pass now) {
  now.again = true;
  const int to = event.output ? step.kernel->forward_phases() : needs[static_cast<size_t>(step.layer)].output_phase;
  for (now.phase = event.from; now.phase < to; ++now.phase) step.kernel->forward(step.again_io, now);
}

// Layers that no gradient reaches still take part in the update.
void Plan::Impl::clear_unreached() {
  std::vector<bool> reached(static_cast<size_t>(layer_count), false);
  for (int layer = 0; layer < layer_count; ++layer)
    if (wiring.backward[static_cast<size_t>(layer)]) reached[static_cast<size_t>(net.params().owner(layer))] = true;
  for (const ParamSegment& segment : net.params().segments())
    if (!reached[static_cast<size_t>(segment.layer)]) std::ranges::fill(net.params().grads(segment), 0.0f);
}

void Plan::backward(const Pass& pass) {
  Impl& p = *impl_;
  ensure(p.options.training, "backward of an inference plan");
  Pass now = pass;
  now.weights_version = p.net.params().version();
  if (pass.param_grads == Write::overwrite) p.clear_unreached();
  for (const Event& event : p.events) {
    Step& step = p.steps[static_cast<size_t>(p.step_of[static_cast<size_t>(event.layer)])];
    const Stopwatch watch(step.backward_seconds);
    if (event.again) {
      p.compute_again(step, event, now);
      continue;
    }
    now.param_grads = step.adds_gradients && pass.param_grads == Write::overwrite ? Write::accumulate : pass.param_grads;
    for (now.phase = 0; now.phase < step.kernel->backward_phases(); ++now.phase) step.kernel->backward(step.backward_io, now);
  }
}

}  // namespace dn
