// Compiling: wiring -> slices -> kernels -> what is kept -> lifetimes -> addresses -> steps. Running: the steps in order.
#include "graph/plan.h"

#include <algorithm>
#include <chrono>

#include "graph/plan_backend.h"
#include "graph/recompute.h"
#include "graph/wiring.h"

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
  Impl(Network& network, Device& dev, const Shape& input, const PlanOptions& opts)
      : net(network), device(dev), backend(make_plan_backend(network, dev, opts.training)), input_shape(input), options(opts),
        layer_count(static_cast<int>(network.layers().size())) {
    wiring = wire(net, options.training, options.frozen.parameters);
    describe_tensors();
    compile();
    choose();
    report.forward_steps = static_cast<int>(std::ranges::count_if(kernels, [](const auto& kernel) { return kernel != nullptr; }));
    report.backward_steps = static_cast<int>(std::ranges::count(events, false, &Event::again));
    report.host_layers = backend->host_layers();
    if (options.only_planned) return;
    arena = device.allocate(placed.bytes);
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
    return buffer < 0 ? nullptr : reinterpret_cast<float*>(bytes_at(buffer) + desc.channel_offset(slice.channel) * bytes_of(desc.dtype));
  }
  std::byte* bytes_at(int buffer) const { return buffer < 0 ? nullptr : arena->data() + placed.offsets[static_cast<size_t>(buffer)]; }
  bool wide(int layer) const;
  Tensor output_tensor(int source, bool late) const;
  void compute_again(Step& step, const Event& event, Pass now);
  void run_backward(Pass now);
  bool can_record() const { return recordable && !options.timed; }
  void clear_unreached();
  Tensor gradient_tensor(int source) const;

  Network& net;
  Device& device;
  std::unique_ptr<PlanBackend> backend;
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
  std::unique_ptr<DeviceMemory> arena;
  std::vector<Step> steps;
  std::vector<int> step_of;            // per layer; -1: a view
  std::vector<LossReport> losses, loss_sums;
  bool recordable = true;              // all kernels are
  PlanReport report;
};

// TensorDesc::image_channels of a layer's slice; one that is all of the other layer's tensor has no gaps.
int Plan::Impl::image_channels(const std::vector<Slice>& kind, int layer) const {
  const int whole = kind[static_cast<size_t>(layer)].home;
  const TensorDesc form = device.activation(shapes[static_cast<size_t>(whole)], false);
  const bool all = shapes[static_cast<size_t>(whole)].c == shapes[static_cast<size_t>(layer)].c;
  return all || (input_shape.n == 1 && !form.channels_last) ? 0 : form.padded_channels();
}

// What a loss reads is in FP32.
bool Plan::Impl::wide(int layer) const {
  const auto& layers = net.layers();
  for (size_t reader = static_cast<size_t>(layer) + 1; reader < layers.size(); ++reader)
    if (layers[reader]->writes_plain() && std::ranges::any_of(wiring.sources[reader], [&](int source) { return wiring.root_of(source) == layer; })) return true;
  return false;
}

void Plan::Impl::describe_tensors() {
  const auto& layers = net.layers();
  shapes = net.output_shapes(input_shape);
  for (const auto& layer : layers) operations.push_back(layer->forward_flops(net.source_shapes(layer->index(), input_shape, shapes)));
  input_desc = device.activation(input_shape, false);
  if (device.kind() == DeviceKind::cpu && layers[0]->reads_plain(input_shape)) input_desc = {input_shape, 1};
  slices = place_slices(net, shapes, {options.training, options.slices, device.slice_channels(), input_desc.channels_last, device.kind() == DeviceKind::cuda}, wiring);
  for (int i = 0; i < layer_count; ++i) {
    const Layer& layer = *layers[static_cast<size_t>(i)];
    if (layer.is_view()) {
      descs.push_back(desc_of(wiring.root[static_cast<size_t>(i)]));
      continue;
    }
    const Shape& shape = shapes[static_cast<size_t>(i)];
    descs.push_back(layer.writes_plain() ? TensorDesc{shape, 1} : device.activation(shape, wide(i)));
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
    if (const int other = slices.residual[at]; other != kNetworkInput) args.residual = desc_of(other), report.summing_layers.push_back(i);
    args.made = slices.made[at];
    args.keeps_dy = slices.keeps_dy[at];
    kernels[at] = backend->compile(layer, args);
    recordable &= kernels[at]->recordable();
    needs[at] = kernels[at]->needs();
    report.reorders += kernels[at]->reorders();
    report.kernel_bytes += needs[at].kept;
  }
  backend->compiled();
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
                     needed, least);
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
  if (root == kNetworkInput) return {input_desc, life.input >= 0 ? reinterpret_cast<float*>(bytes_at(life.input)) : const_cast<float*>(plain_input)};
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
  for (const int saved : b.now.saved) step.saved.push_back(bytes_at(saved));
  for (const int saved : b.late.saved) step.saved_late.push_back(bytes_at(saved));
  for (const ParamSegment* segment : net.params().used_by(layer)) step.params.push_back(backend->view(*segment));
  for (int later = layer + 1; later < layer_count; ++later)
    step.adds_gradients |= net.params().owner(later) == net.params().owner(layer) && wiring.backward[static_cast<size_t>(later)];
  step.forward_io.y = output_tensor(layer, false);
  step.forward_io.dy = gradient_tensor(layer);
  step.forward_io.norm = &net.params().norm_state(layer);
  step.forward_io.norm_updates = backend->norm_updates(layer);
  step.forward_io.loss = &losses[at];
  step.forward_io.rejection = options.training ? net.rejection() : nullptr;
  step.again_io = step.forward_io;
  step.again_io.y = output_tensor(layer, true);
  if (const int other = slices.residual[at]; other != kNetworkInput)
    step.forward_io.residual = output_tensor(other, false), step.again_io.residual = output_tensor(other, true);
  step.backward_io = step.again_io;
  step.forward_io.scratch = bytes_at(b.now.scratch);
  step.again_io.scratch = bytes_at(b.late.scratch);
  step.backward_io.scratch = bytes_at(b.backward_scratch);
  return step;
}

void Plan::Impl::make_steps() {
  losses.resize(static_cast<size_t>(layer_count));
  loss_sums.resize(losses.size());
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
}

Plan::Plan(Network& network, Device& device, const Shape& input, const PlanOptions& options)
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

// On a device losses stay there until somebody asks.
const LossReport& Plan::loss(int layer) const {
  const size_t at = static_cast<size_t>(layer);
  if (Kernel* kernel = impl_->kernels[at].get(); kernel && kernel->keeps_losses()) kernel->fetch_losses(impl_->losses[at], impl_->loss_sums[at]);
  return impl_->losses[at];
}

LossReport Plan::take_losses(int layer) {
  loss(layer);
  return std::exchange(impl_->loss_sums[static_cast<size_t>(layer)], {});
}

Tensor Plan::output(int layer) const { return impl_->backend->on_host(layer, impl_->output_tensor(layer, true)); }

Tensor Plan::output_gradient(int layer) const {
  const Tensor gradient = impl_->gradient_tensor(layer);
  return gradient ? impl_->backend->on_host(-2 - layer, gradient) : gradient;
}

void Plan::set_input(const float* images) {
  Impl& p = *impl_;
  if (p.life.input < 0) {
    p.plain_input = images;
    for (Step& step : p.steps)
      for (size_t k = 0; k < step.x.size(); ++k)
        if (p.wiring.root_of(p.wiring.sources[static_cast<size_t>(step.layer)][k]) == kNetworkInput)
          step.x[k].data = step.x_late[k].data = const_cast<float*>(images);
    return;
  }
  p.backend->load_input(images, p.output_tensor(kNetworkInput, false));
}

void Plan::fill_input(const std::function<void(const Tensor&)>& fill) {
  ensure(impl_->life.input >= 0, "a plan that reads its caller's images is given them");
  fill(impl_->output_tensor(kNetworkInput, false));
}

void Plan::forward(const Pass& pass) {
  Impl& p = *impl_;
  ensure(!p.options.only_planned, "such a plan does not run");
  Pass now = pass;
  now.weights_version = p.net.params().version();
  std::fill(p.losses.begin(), p.losses.end(), LossReport{});
  p.backend->begin(now, false);
  for (Step& step : p.steps) step.kernel->prepare(step.forward_io, now);
  p.backend->run({false, pass.training, pass.continues, pass.stage, Write::none}, p.can_record(), [&] {
    for (Step& step : p.steps) {
      const Stopwatch watch(step.forward_seconds);
      for (now.phase = 0; now.phase < step.kernel->forward_phases(); ++now.phase) step.kernel->forward(step.forward_io, now);
      if (p.options.timed) p.backend->synchronize();
    }
  });
}

// Statistics and losses were reported the first time.
void Plan::Impl::compute_again(Step& step, const Event& event, Pass now) {
  now.again = true;
  const int to = event.output ? step.kernel->forward_phases() : needs[static_cast<size_t>(step.layer)].output_phase;
  for (now.phase = event.from; now.phase < to; ++now.phase) step.kernel->forward(step.again_io, now);
}

void Plan::Impl::run_backward(Pass now) {
  const Write param_grads = now.param_grads;
  if (param_grads == Write::overwrite) clear_unreached();
  for (const Event& event : events) {
    Step& step = steps[static_cast<size_t>(step_of[static_cast<size_t>(event.layer)])];
    const Stopwatch watch(step.backward_seconds);
    if (event.again) {
      compute_again(step, event, now);
    } else {
      now.param_grads = step.adds_gradients && param_grads == Write::overwrite ? Write::accumulate : param_grads;
      for (now.phase = 0; now.phase < step.kernel->backward_phases(); ++now.phase) step.kernel->backward(step.backward_io, now);
    }
    if (options.timed) backend->synchronize();
  }
}

// Layers that no gradient reaches still take part in the update.
void Plan::Impl::clear_unreached() {
  std::vector<bool> reached(static_cast<size_t>(layer_count), false);
  for (int layer = 0; layer < layer_count; ++layer)
    if (wiring.backward[static_cast<size_t>(layer)]) reached[static_cast<size_t>(net.params().owner(layer))] = true;
  for (const ParamSegment& segment : net.params().segments())
    if (!reached[static_cast<size_t>(segment.layer)]) backend->clear_gradient(segment);
}

void Plan::backward(const Pass& pass) {
  Impl& p = *impl_;
  ensure(p.options.training, "backward of an inference plan");
  Pass now = pass;
  now.weights_version = p.net.params().version();
  p.backend->begin(now, true);
  p.backend->run({true, pass.training, pass.continues, pass.stage, pass.param_grads}, p.can_record(), [&] { p.run_backward(now); });
  for (const Step& step : p.steps)
    if (const auto at = static_cast<size_t>(step.layer); !step.kernel->keeps_losses()) p.loss_sums[at] += p.losses[at];
}

}  // namespace dn
