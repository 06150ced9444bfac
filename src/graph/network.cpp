#include "graph/network.h"

#include <algorithm>

#include "config/compat.h"
#include "layers/registry.h"

namespace dn {
namespace {

std::string unknown_section(const Section& section) {
  if (const std::string_view reason = foreign_section(section.type); !reason.empty()) return concat(section.where(), ": ", reason);
  std::vector<std::string_view> names;
  for (const LayerType& type : layer_types()) names.push_back(type.name);
  const std::string_view nearest = nearest_name(section.type, names);
  std::string text = concat(section.where(), ": no such section type");
  if (!nearest.empty()) return concat(text, "; did you mean [", nearest, "]?");
  std::vector<std::string> known(names.begin(), names.end());
  return concat(text, "; expected one of ", join(known, ", "));
}

struct Built {
  NetSpec spec;
  std::vector<std::unique_ptr<Layer>> layers;
};

// The keys of [net] that only [yolo] acts on.
void warn_of_unused_rejection(const Section& net, const Built& built, Problems& problems) {
  if (std::ranges::any_of(built.layers, [](const auto& layer) { return layer->type() == "yolo"; })) return;
  for (const std::string_view key : {"equidistant_point", "badlabels_rejection_percentage", "num_sigmas_reject_badlabels"})
    if (const Entry* entry = net.find(key); entry && parse_real(entry->value) != 0)
      problems.warning(concat(net.where(*entry), ": only [yolo] leaves labels out, and there is none: no effect"));
}

Built build(const std::vector<Section>& sections, const std::string& file, Problems& problems) {
  Built out;
  if (sections.empty()) {
    if (!problems.failed()) problems.error(concat(file, ": no sections; expected [net] and layers"));
    return out;
  }
  out.spec = bind_net(sections[0], problems);
  if (sections.size() == 1) problems.error(concat(file, ": no layers after [net]"));
  for (size_t i = 1; i < sections.size(); ++i) {
    const LayerType* type = find_layer_type(sections[i].type);
    if (!type)
      problems.error(unknown_section(sections[i]));
    else
      out.layers.push_back(type->parse(sections[i], out.spec, static_cast<int>(i) - 1, problems));
  }
  if (out.spec.track || std::ranges::any_of(out.layers, [](const auto& layer) { return layer->recurrent(); }))
    out.spec.count_frames();
  else if (const Entry* steps = sections[0].find("time_steps"); steps && out.spec.time_steps > 1)
    problems.warning(concat(sections[0].where(*steps), ": neither track = 1 nor a recurrent layer, every image stands for itself"));
  if (out.layers.size() + 1 == sections.size())   // indexes are right
    for (const auto& layer : out.layers) layer->relate(out.layers, problems);
  warn_of_unused_rejection(sections[0], out, problems);
  std::vector<const NormSpec*> norms;
  for (const auto& layer : out.layers)
    if (layer->normalization()) norms.push_back(layer->normalization());
  warn_of_unused_norm_keys(sections[0], out.spec.norm, norms, problems);
  return out;
}

std::string kind_and_counts(const Layer& layer, std::span<const ParamSpec> specs) {
  std::string text = concat("[", layer.type(), "]");
  for (const ParamSpec& spec : specs) {
    text += concat(text.back() == ']' ? " with " : ", ", spec.count, " ", spec.name);
    for (size_t i = 0; i < spec.shape.size(); ++i) text += concat(i == 0 ? " (" : " x ", spec.shape[i], i + 1 == spec.shape.size() ? ")" : "");
  }
  return text;
}

// A layer that computes with another one's parameters has the same ones.
void check_shared(const Layer& layer, std::span<const ParamSpec> specs, const Layer& owner, std::span<const ParamSpec> owned) {
  const bool same = layer.type() == owner.type() && std::ranges::equal(specs, owned, [](const ParamSpec& a, const ParamSpec& b) {
                      return a.name == b.name && a.count == b.count && a.shape == b.shape;
                    });
  const Entry& entry = *layer.section().find("share_index");
  if (!same)
    fail(layer.section().where(entry), ": layer ", layer.index(), " is ", kind_and_counts(layer, specs), ", but ", owner.where(), " is ",
         kind_and_counts(owner, owned), "; expected a layer with the same");
  if (const NormSpec* norm = layer.normalization(); norm && norm->batch_statistics() && norm->scope == NormScope::window)
    fail(layer.section().where(entry), ": norm_scope = window remembers the past batches of one layer, and layers ", owner.index(), " and ", layer.index(),
         " share their statistics; expected another norm_scope");
}

}  // namespace

Network Network::from_cfg(const fs::path& path) {
  return from_text(read_text(path), path.string());
}

Network Network::from_text(std::string_view text, const std::string& file) {
  Problems problems;
  const std::vector<Section> sections = parse_sections(text, file, problems);
  Built built = build(sections, file, problems);
  problems.settle();
  Network network;
  network.file_ = file;
  network.spec_ = std::move(built.spec);
  network.layers_ = std::move(built.layers);
  const Shape input = network.input(1);
  const std::vector<Shape> outputs = network.output_shapes(input);
  std::vector<std::vector<ParamSpec>> specs;
  for (const auto& layer : network.layers_) {
    specs.push_back(layer->params(network.source_shapes(layer->index(), input, outputs)));
    const int shared = layer->shares_parameters_of();
    if (shared >= 0) {
      check_shared(*layer, specs.back(), *network.layers_[static_cast<size_t>(shared)], specs[static_cast<size_t>(shared)]);
      network.params_.share(layer->index(), shared);
    } else {
      for (const ParamSpec& spec : specs.back()) network.params_.add(layer->index(), spec);
    }
  }
  network.params_.allocate();
  if (LabelRejection::wanted(network.spec_)) network.rejection_ = std::make_unique<LabelRejection>(network.spec_);
  return network;
}

std::vector<Shape> Network::source_shapes(int layer, const Shape& input, std::span<const Shape> outputs) const {
  std::vector<Shape> in;
  for (const int source : layers_[static_cast<size_t>(layer)]->sources())
    in.push_back(source == kNetworkInput ? input : outputs[static_cast<size_t>(source)]);
  return in;
}

std::vector<Shape> Network::output_shapes(const Shape& input) const {
  std::vector<Shape> outputs;
  for (const auto& layer : layers_) {
    const std::vector<int> sources = layer->sources();
    for (const int source : sources)
      if (source != kNetworkInput && layers_[static_cast<size_t>(source)]->writes_plain())
        fail(layer->section().where(), ": reads layer ", source, ", the [", layers_[static_cast<size_t>(source)]->type(),
             "] head; expected a layer before it (use [route])");
    const std::vector<Shape> in = source_shapes(layer->index(), input, outputs);
    outputs.push_back(layer->output_shape(in));
    checked_product({static_cast<size_t>(outputs.back().n), static_cast<size_t>(round_up(outputs.back().c, 16)), outputs.back().plane(), sizeof(float)});
  }
  for (const auto& layer : layers_) layer->check_relations(outputs);
  return outputs;
}

std::vector<const Head*> Network::heads() const {
  std::vector<const Head*> found;
  for (const int layer : head_layers()) found.push_back(layers_[static_cast<size_t>(layer)]->head());
  return found;
}

std::vector<int> Network::head_layers() const {
  std::vector<int> found;
  for (const auto& layer : layers_)
    if (layer->head()) found.push_back(layer->index());
  return found;
}

Frozen Network::frozen(int64_t iteration) const {
  Frozen frozen;
  for (const auto& layer : layers_) {
    const LayerCommon& keys = layer->common();
    if (keys.stopbackward == 1) frozen.layers = layer->index() + 1;
    if (keys.stopbackward == 1 || iteration < keys.stopbackward || keys.train_only_bn) frozen.parameters = layer->index() + 1;
  }
  return frozen;
}

}  // namespace dn
