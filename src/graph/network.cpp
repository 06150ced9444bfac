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
  if (std::ranges::any_of(out.layers, [](const auto& layer) { return layer->recurrent(); }))
    out.spec.count_frames();
  else if (const Entry* steps = sections[0].find("time_steps"); steps && out.spec.time_steps > 1)
    problems.warning(concat(sections[0].where(*steps), ": no recurrent layer, every image stands for itself"));
  std::vector<const NormSpec*> norms;
  for (const auto& layer : out.layers)
    if (layer->normalization()) norms.push_back(layer->normalization());
  warn_of_unused_norm_keys(sections[0], out.spec.norm, norms, problems);
  return out;
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
  for (const auto& layer : network.layers_) {
    const std::vector<Shape> in = network.source_shapes(layer->index(), input, outputs);
    for (const ParamSpec& spec : layer->params(in)) network.params_.add(layer->index(), spec);
  }
  network.params_.allocate();
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

int Network::statistics_only_layers() const {
  int only = 0;
  for (const auto& layer : layers_)
    if (layer->common().train_only_bn) only = layer->index() + 1;
  return only;
}

int Network::frozen_layers(int64_t iteration) const {
  int frozen = 0;
  for (const auto& layer : layers_) {
    const int stop = layer->common().stopbackward;
    if (stop == 1 || (stop > 1 && iteration < stop)) frozen = layer->index() + 1;
  }
  return frozen;
}

}  // namespace dn
