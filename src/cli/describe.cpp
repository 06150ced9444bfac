// describe CFG: every layer with its shapes, parameters and arithmetic, and the memory that training and inference would take.
// describe SECTION: the keys of a section type, from the tables that parse them.
#include <algorithm>

#include "base/log.h"
#include "cli/common.h"
#include "graph/plan.h"
#include "layers/registry.h"
#include "nn/detection.h"
#include "train/banner.h"
#include "train/memory_estimate.h"
#include "train/training_plan.h"

namespace dn::cli {
namespace {

std::string cell(std::string text, size_t width, bool right = false) {
  if (text.size() < width) return text.insert(right ? 0 : text.size(), width - text.size(), ' ');
  return right ? text : text + "  ";   // too long: pushes the others, but never touches them
}

std::string mib(size_t bytes) { return bytes_text(static_cast<double>(bytes)); }

size_t parameters_of(const Network& network, int layer) {
  size_t count = 0;
  for (const ParamSegment* segment : network.params().of_layer(layer)) count += segment->spec.count;
  return count;
}

void layer_table(const Network& network) {
  const Shape input = network.input(1);
  const std::vector<Shape> outputs = network.output_shapes(input);
  log::say(concat(cell("layer", 7), cell("type", 16), cell("", 30), cell("input", 20), cell("output", 20), cell("parameters", 12, true),
                  cell("GFLOP", 10, true)));
  double flops = 0;
  size_t parameters = 0;
  for (const auto& layer : network.layers()) {
    const std::vector<Shape> in = network.source_shapes(layer->index(), input, outputs);
    const double mine = layer->forward_flops(in) / 1e9;
    const size_t count = parameters_of(network, layer->index());
    flops += mine;
    parameters += count;
    log::say(concat(cell(concat(layer->index()), 7), cell(layer->type(), 16), cell(layer->summary(in), 30), cell(in.empty() ? "" : in[0].text(), 20),
                    cell(outputs[static_cast<size_t>(layer->index())].text(), 20), cell(count ? concat(count) : "", 12, true),
                    cell(mine > 0 ? fixed(mine, 3) : "", 10, true)));
  }
  log::say(concat("total: ", network.layers().size(), " layers, ", parameters, " parameters (", mib(parameters * sizeof(float)), "), ",
                  fixed(flops, 3), " GFLOP forward per image, about ", fixed(3 * flops, 3), " per trained image"));
}

void say_memory(const Network& network, std::string_view title, const MemoryEstimate& m, const PlanReport& report) {
  const bool gpu = m.device != DeviceKind::cpu;
  log::say(gpu ? concat(title, ": about ", mib(m.on_device()), " of the GPU and ", mib(m.on_host()), " of the host, beside the driver's and libraries'")
               : concat(title, ": about ", mib(m.total())));
  const auto row = [](std::string_view name, size_t bytes, std::string_view note = {}) {
    if (bytes) log::say(concat("  ", cell(std::string(name), 34), cell(mib(bytes), 12, true), note.empty() ? "" : "  ", note));
  };
  row("activations, gradients, scratch", m.arena, concat("(", mib(report.everything_live), " if everything stayed alive)"));
  row("parameters", m.parameters);
  row("parameter gradients", m.gradients);
  row(m.momentum > m.parameters ? "both moments of Adam" : "momentum", m.momentum);
  row("averages of the parameters (EMA)", m.averages);
  row("weights packed for convolutions", m.packed);
  row("images on their way to the input", m.images);
  if (gpu) row("host: parameters and gradients", m.parameters + m.gradients);
  row(gpu ? "host: batches of the loader" : "batches of the loader", m.batches);
  row(gpu ? "host: program and libraries" : "program and libraries", m.process);
  log::say(concat("  ", report.forward_steps, " forward and ", report.backward_steps, " backward steps, ", report.reorders, " layout conversions"));
  if (const std::string on_host = host_layers_text(network, report); !on_host.empty()) log::say(concat(" ", on_host));
}

// What whole-batch normalization costs: memory against operations. chosen: how a run would train; null: nothing fits.
void choice_table(Network& network, Device& device, const PlanReport* chosen) {
  const int batch = network.spec().batch, written = network.spec().norm.exact_segments();
  const auto row = [](const std::string& name, int segments, size_t bytes, double again, bool mark) {
    log::say(concat("  ", cell(name, 7), cell(segments == 0 ? "all kept" : concat(segments, segments == 1 ? " segment" : " segments"), 14), cell(mib(bytes), 12, true),
                    "  activations; operations +", fixed(100 * again, 1), " %", mark ? "  <- this one" : ""));
  };
  log::say(concat("whole-batch normalization of ", batch, " images (norm_exact_segments, here ", written < 0 ? "auto" : concat(written), "):"));
  for (const PlanChoice& choice : Plan(network, device, network.input(batch), PlanOptions{.training = true, .only_planned = true}).choices())
    row(concat(choice.segments), choice.segments, choice.arena_bytes, choice.again,
        chosen && written >= 0 && choice.segments == chosen->segments);
  if (chosen && written < 0) row("auto", chosen->segments, chosen->arena_bytes, chosen->again, true);
}

void training_tables(Network& network, Device& device, size_t memory) {
  const NetSpec& net = network.spec();
  std::unique_ptr<Plan> plan;
  std::string refused;
  try {
    plan = make_training_plan(network, device, {{net.width, net.height}, net.mini_batch(), network.frozen(net.max_batches), memory, false, true});   // when the last layers thaw that do
  } catch (const Error& e) {
    refused = e.what();
  }
  if (net.norm.whole_batch()) choice_table(network, device, plan ? &plan->report() : nullptr);
  if (!plan) return log::warn(refused);
  say_memory(network, concat("training memory, batch = ", net.batch, " as ", net.parts(), " x ", net.mini_batch()),
             estimate_training(network, plan->report(), net.width, net.height, device.kind()), plan->report());
}

void memory_tables(Network& network, Device& device, size_t memory) {
  if (std::any_of(network.layers().begin(), network.layers().end(), [](const auto& layer) { return layer->has_loss(); }))
    training_tables(network, device, memory);
  const Plan plan(network, device, network.input(1), PlanOptions{.only_planned = true});
  say_memory(network, "inference memory, one image", estimate_inference(network, plan.report(), 1, device.kind()), plan.report());
}

// Long lists of values stand on a line of their own.
void key_table(const std::vector<KeyHelp>& rows) {
  constexpr size_t kWidest = 40;
  size_t name = 4, initial = 8, range = 8;
  for (const KeyHelp& row : rows) {
    name = std::max(name, row.name.size() + 2);
    initial = std::max(initial, row.initial.size() + 2);
    if (row.range.size() + 2 <= kWidest) range = std::max(range, row.range.size() + 2);
  }
  log::say(concat("  ", cell("key", name), cell("default", initial), cell("values", range), "meaning"));
  for (const KeyHelp& row : rows) {
    const bool fits = row.range.size() + 2 <= range;
    log::say(concat("  ", cell(row.name, name), cell(row.initial, initial), cell(fits ? row.range : "", range), row.doc));
    if (!fits) log::say(concat("  ", cell("", name + initial + range), row.range));
  }
}

int describe_section(std::string section) {
  if (section.starts_with('[') && section.ends_with(']')) section = section.substr(1, section.size() - 2);
  section = lower(section);
  if (section == "net" || section == "network") {
    log::say("[net]: what concerns the whole network");
    key_table(net_key_help());
    return 0;
  }
  const LayerType* type = find_layer_type(section);
  if (!type) {
    std::vector<std::string_view> names = {"net"};
    for (const LayerType& t : layer_types()) names.push_back(t.name);
    const std::string_view near = nearest_name(section, names);
    fail("describe ", section, ": neither a file nor a section type", near.empty() ? "" : concat("; did you mean '", near, "'?"),
         "; section types: ", join(std::vector<std::string>(names.begin(), names.end()), ", "));
  }
  log::say(concat("[", type->name, "]"));
  key_table(type->keys());
  log::say("keys of every section");
  key_table(common_key_help());
  return 0;
}

}  // namespace

int describe(const Arguments& arguments) {
  const std::string& what = arguments.positional[0];
  std::error_code code;
  if (!fs::is_regular_file(what, code) && !lower(what).ends_with(".cfg")) return describe_section(what);
  Network network = Network::from_cfg(what);
  layer_table(network);
  network.params().initialize(1);
  network.params().allocate_grads();
  const std::unique_ptr<Device> opened = open_device_to_plan(device_choice(arguments));
  Device& device = *opened;
  log::say(concat("device: ", device.description()));
  if (device.kind() == DeviceKind::cuda && static_cast<cuda::Device&>(device).stream().emulated())
    log::say("(planned without a GPU: how much memory it has is not known here, nor what convolutions need as workspace, which cuDNN says)");
  memory_tables(network, device, memory_option(arguments));
  return 0;
}

}  // namespace dn::cli
