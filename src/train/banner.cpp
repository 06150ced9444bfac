#include "train/banner.h"

#include <algorithm>
#include <charconv>

#include "data/augment.h"
#include "data/batch_layout.h"
#include "nn/detection.h"
#include "train/batch_schedule.h"
#include "train/memory_estimate.h"
#include "train/schedule.h"

namespace dn {
namespace {

// Six significant digits; the last ones of a product of floats mean nothing.
std::string real(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 6).ptr;
  return std::string(text, end);
}

std::string policy_text(const NetSpec& net) {
  if (net.policy == "steps") {
    std::string text = "then";
    double value = net.learning_rate;
    for (size_t i = 0; i < net.steps.size() && i < net.scales.size(); ++i) {
      value *= static_cast<double>(net.scales[i]);
      text += concat(i ? ", " : " ", real(value), " from iteration ", net.steps[i]);
    }
    return net.steps.empty() ? std::string("then constant") : text;
  }
  if (net.policy == "step") return concat("times ", real(net.scale), " every ", net.step, " iterations");
  if (net.policy == "sgdr")
    return concat("cosine cycles of ", net.sgdr_cycle > 0 ? net.sgdr_cycle : net.max_batches, " iterations down to ", real(net.learning_rate_min));
  return concat("policy ", net.policy);
}

std::string weights_text(const RunFacts& f) {
  if (!f.weights) return concat("weights: random, seed ", f.options.seed);
  const WeightsInfo& w = *f.weights;
  const std::string name = f.options.weights->string();
  if (!w.complete())
    return concat("weights: ", name, ": loaded ", w.loaded, " of ", w.layers, " layers; the rest starts random, seed ", f.options.seed,
                  ", at iteration 0");
  return concat("weights: ", name, ": loaded ", w.layers, " of ", w.layers, " layers, ", w.seen, " images seen; ",
                f.options.clear ? "starting at iteration 0 (-clear)" : concat("going on after iteration ", f.start));
}

double epochs(const RunFacts& f, int64_t iterations) {
  return static_cast<double>(iterations) * f.network.spec().batch / static_cast<double>(f.images);
}

std::string batch_text(const RunFacts& f) {
  const NetSpec& net = f.network.spec();
  const int64_t per_epoch = static_cast<int64_t>((f.images + static_cast<size_t>(net.batch) - 1) / static_cast<size_t>(net.batch));
  const std::string again = f.plan.segments > 0 ? concat(" in ", f.plan.segments, f.plan.segments == 1 ? " segment, +" : " segments, +",
                                                         fixed(100 * f.plan.again, 1), " % operations") : "";
  const std::string parts = net.norm.whole_batch() ? concat(", all at once", again, " (norm_scope = batch: subdivisions = ", net.subdivisions, " changes nothing")
                                                   : concat(" = ", net.parts(), " x ", net.mini_batch(), " (batch normalization sees ", net.mini_batch());
  return concat(net.batch, " images per update", parts, "); one epoch = ", f.images, " images = ", per_epoch, per_epoch == 1 ? " update" : " updates", "; ", net.max_batches - f.start,
                " updates to go, ends after epoch ", fixed(epochs(f, net.max_batches), 1));
}

std::string rate_text(const NetSpec& net) {
  return concat("learning rate: ", net.burn_in > 0 ? concat("burn-in of ", net.burn_in, " updates up to ") : "", real(net.learning_rate), ", ",
                policy_text(net), "; ",
                net.adam ? concat("Adam, B1 ", real(net.beta1), ", B2 ", real(net.beta2), ", eps ", real(net.adam_eps))
                         : concat("momentum ", real(net.momentum)),
                ", decay ", real(net.decay));
}

std::string size_text(const RunFacts& f) {
  const NetSpec& net = f.network.spec();
  if (!f.resizer.active()) return concat("input: ", net.width, " x ", net.height, " x ", net.channels);
  const NetSize low = f.resizer.smallest(), high = f.resizer.largest();
  return concat("input: ", net.width, " x ", net.height, " x ", net.channels, "; random=1: every 10 iterations another size between ", low.width,
                " x ", low.height, " and ", high.width, " x ", high.height,
                net.dynamic_minibatch ? concat(", in mini-batches of ", net.mini_batch(), " to ", mini_batch_at(net, low, high), " images") : "");
}

std::string augmentation_text(const RunFacts& f) {
  const NetSpec& net = f.network.spec();
  const Head& head = *f.network.heads().back();
  std::string text = concat("augmentation: ", summary(make_augmentation(net, head.jitter(), head.resize(), head.max_truths())));
  const BatchLayout layout = make_batch_layout(net);
  if (layout.track)
    text += concat("; sequences of ", layout.time_steps * layout.chain, " frames in steps of 1", layout.max_speed > 1 ? concat(" to ", layout.max_speed) : "");
  if (layout.contrastive) text += "; pairs of the same picture";
  return text;
}

double parameters(const RunFacts& f) {
  size_t count = 0;
  for (const ParamSegment& s : f.network.params().segments()) count += s.spec.count;
  return static_cast<double>(count);
}

std::string count_text(double count) { return count >= 1e5 ? concat(fixed(count / 1e6, 2), " M") : fixed(count, 0); }

double gflops(const RunFacts& f) {
  const Shape input = f.network.input(1);
  const std::vector<Shape> outputs = f.network.output_shapes(input);
  double flops = 0;
  for (const auto& layer : f.network.layers()) flops += layer->forward_flops(f.network.source_shapes(layer->index(), input, outputs));
  return flops / 1e9;
}

MemoryEstimate memory(const RunFacts& f) {
  const NetSize size = f.resizer.at(f.start);
  return estimate_training(f.network, f.plan, size.width, size.height, f.device.kind());
}

std::string memory_text(const RunFacts& f) {
  const MemoryEstimate m = memory(f);
  const auto mib = [](size_t bytes) { return bytes_text(static_cast<double>(bytes)); };
  const std::string activations = concat("activations ", mib(m.arena), ", ", mib(f.plan.everything_live), " without reuse; parameters, gradients, momentum");
  if (m.device == DeviceKind::cpu)
    return concat("memory: about ", mib(m.total()), " (", activations, m.averages > 0 ? ", averages " : " ",
                  mib(m.parameters + m.gradients + m.momentum + m.averages), "; batches ", mib(m.batches), ")");
  return concat("memory: about ", mib(m.on_device()), " of the GPU (", activations, ", packed weights", m.averages > 0 ? ", averages " : " ",
                mib(m.parameters + m.gradients + m.momentum + m.packed + m.averages), "; images to draw ", mib(m.images), "), ", mib(m.on_host()),
                " of the host (batches ", mib(m.batches), "), beside the driver's and libraries'");
}

// When the first layers that stand still at the start begin to learn.
std::string thaw_text(const RunFacts& f) {
  int thaw = 0;
  for (const auto& layer : f.network.layers())
    if (const int stop = layer->common().stopbackward; stop > f.start && f.network.frozen(stop) != f.network.frozen(f.start))
      thaw = thaw == 0 ? stop : std::min(thaw, stop);
  return thaw > 0 ? concat(" before iteration ", thaw) : std::string();
}

}  // namespace

std::string host_layers_text(const Network& network, const PlanReport& plan) {
  std::vector<std::pair<std::string, std::vector<std::string>>> by_type;
  for (const int layer : plan.host_layers) {
    const std::string& type = network.layers()[static_cast<size_t>(layer)]->type();
    auto found = std::ranges::find(by_type, type, [](const auto& entry) { return entry.first; });
    if (found == by_type.end()) found = by_type.insert(by_type.end(), {type, {}});
    found->second.push_back(concat(layer));
  }
  std::vector<std::string> parts;
  for (const auto& [type, layers] : by_type) parts.push_back(concat(layers.size() > 1 ? "layers " : "layer ", join(layers, ", "), " [", type, "]"));
  return parts.empty() ? std::string() : concat(" on the CPU, between copies: ", join(parts, "; "));
}

std::vector<std::string> banner(const RunFacts& f) {
  const NetSpec& net = f.network.spec();
  std::vector<std::string> lines;
  lines.push_back(concat(run_name(f.options.cfg), ": ", f.network.layers().size(), " layers, ", count_text(parameters(f)), " parameters, ",
                         fixed(gflops(f), 3), " GFLOP forward per image"));
  lines.push_back(concat("device: ", f.device.description()));
  if (const std::string on_host = host_layers_text(f.network, f.plan); !on_host.empty()) lines.push_back(on_host);
  lines.push_back(weights_text(f));
  lines.push_back(size_text(f));
  lines.push_back(batch_text(f));
  lines.push_back(rate_text(net));
  lines.push_back(augmentation_text(f));
  lines.push_back(memory_text(f));
  const Frozen frozen = f.network.frozen(f.start);
  if (frozen.layers > 0) lines.push_back(concat("frozen: layers 0 to ", frozen.layers - 1));
  if (frozen.parameters > frozen.layers)
    lines.push_back(concat("of layers ", frozen.layers, " to ", frozen.parameters - 1, " only running statistics move", thaw_text(f)));
  lines.push_back(concat("snapshots and metrics.jsonl: ", f.backup.string(),
                         f.next_map >= 0 ? concat("; first mAP after iteration ", f.next_map) : "; no mAP during training (-map)"));
  return lines;
}

nlohmann::ordered_json start_event(const RunFacts& f) {
  const NetSpec& net = f.network.spec();
  return {{"iteration", f.start},
          {"version", DN_VERSION},
          {"cfg", f.options.cfg.string()},
          {"data", f.options.data.string()},
          {"weights", f.options.weights ? nlohmann::ordered_json(f.options.weights->string()) : nlohmann::ordered_json(nullptr)},
          {"seed", f.options.seed},
          {"device", f.device.description()},
          {"host_layers", f.plan.host_layers},
          {"images", f.images},
          {"batch", net.batch},
          {"subdivisions", net.subdivisions},
          {"max_batches", net.max_batches},
          {"parameters", parameters(f)},
          {"gflop_forward", gflops(f)},
          {"memory_bytes", memory(f).on_host()},
          {"device_memory_bytes", memory(f).on_device()}};
}

nlohmann::ordered_json map_event(const MapReport& result, int64_t iteration, double seconds) {
  const auto or_null = [](const std::optional<double>& v) { return v ? nlohmann::ordered_json(*v) : nlohmann::ordered_json(nullptr); };
  const ClassMetrics& total = result.total;
  nlohmann::ordered_json event = {{"iteration", iteration},
                                  {"map", result.map},
                                  {"iou_threshold", result.options.iou_thresh},
                                  {"map50_95", result.map50_95},
                                  {"precision", or_null(total.precision())},
                                  {"recall", or_null(total.recall())},
                                  {"f1", or_null(total.f1())},
                                  {"average_iou", or_null(total.mean_iou())},
                                  {"images", result.images},
                                  {"seconds", seconds}};
  nlohmann::ordered_json classes = nlohmann::ordered_json::array();
  for (const ClassMetrics& c : result.classes)
    classes.push_back({{"ap", or_null(c.ap)}, {"tp", c.true_positives}, {"fp", c.false_positives}, {"truths", c.truths}});
  event["classes"] = std::move(classes);
  return event;
}

}  // namespace dn
