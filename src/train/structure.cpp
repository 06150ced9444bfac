#include "train/structure.h"

#include <algorithm>
#include <map>

#include "layers/registry.h"

namespace dn {
namespace {

// Keys of layers without a say in what a trained network computes. The kind of normalization is among the tensors and the obstacles, the layers that
// `layers`, `from` and `share_index` mean are listed as indexes.
constexpr std::string_view kElsewhere[] = {
    "layers",      "from",          "batch_normalize", "cbn",       "norm",     "norm_scope", "norm_grad", "norm_frozen", "use_global_stats",
    "norm_affine", "norm_momentum", "norm_update",     "norm_warm", "brn_rmax", "brn_dmax",   "norm_window", "norm_sync", "noloss", "probability",
    // of [dropout], of [crop], of [implicit]
    "dropblock",   "dropblock_size_rel", "dropblock_size_abs", "flip", "saturation", "exposure", "shift", "mean", "std",
    "share_index", "assisted_excitation",
};
// Of a head, whose other keys are about its loss and the suppression.
constexpr std::string_view kOfHead[] = {"anchors", "classes", "classfix", "mask",    "new_coords", "num",
                                        "scale_x_y", "side",  "softmax",  "sqrt", "tree",       "yolo_point"};

template <size_t N>
bool among(const std::string_view (&names)[N], std::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

// "0.10, .5," -> "0.1,0.5"
std::string canonical(std::string_view value) {
  std::string text;
  for (const std::string_view part : split(value, ',')) {
    if (trim(part).empty()) continue;
    const std::optional<double> number = parse_real(trim(part));
    text += concat(text.empty() ? "" : ",", number ? concat(*number) : std::string(trim(part)));
  }
  return text;
}

std::map<std::string, std::string> values(const Layer& layer, const Section& net, std::span<const KeyHelp> net_norm) {
  std::map<std::string, std::string> found;
  if (layer.has_loss() && !layer.head()) return found;   // only a loss
  for (const KeyHelp& key : find_layer_type(layer.type())->keys()) {
    if (layer.head() ? !among(kOfHead, key.name) : among(kElsewhere, key.name)) continue;
    const Entry* entry = layer.section().find(key.name);
    const bool inherited = std::any_of(net_norm.begin(), net_norm.end(), [&](const KeyHelp& other) { return other.name == key.name; });
    if (!entry && inherited) entry = net.find(key.name);
    if (entry && canonical(entry->value) != canonical(key.initial)) found.emplace(key.name, canonical(entry->value));
  }
  return found;
}

}  // namespace

std::string structure_listing(const Network& network, int layers) {
  const std::vector<KeyHelp> net_norm = with_norm_keys({}, NormPlace::net);
  std::string text;
  for (const auto& layer : network.layers()) {
    if (layer->index() >= layers) break;
    text += concat("[", layer->type(), "]\nreads");
    for (const int source : layer->sources()) text += concat(" ", source);
    if (layer->shares_parameters_of() >= 0) text += concat(" with ", layer->shares_parameters_of());
    text += concat("\n", layer->weights_file_obstacle(), "\n");
    for (const auto& [key, value] : values(*layer, network.spec().section, net_norm)) text += concat(key, "=", value, "\n");
  }
  return text;
}

uint64_t structure_hash(const Network& network, int layers) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : structure_listing(network, layers)) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

}  // namespace dn
