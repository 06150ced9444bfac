#include "train/weights_edit.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "nn/norm.h"

namespace dn {
namespace {

constexpr std::string_view kBiases = "biases", kScales = "scales", kMean = "rolling_mean", kVariance = "rolling_variance", kWeights = "weights";

bool has_switch(const Layer& layer) { return layer.type() == "convolutional" || layer.type() == "connected"; }
bool is_normalized(const Layer& layer) { return layer.normalization() && layer.normalization()->any(); }

const ParamSegment* segment(const Network& network, int layer, std::string_view name) {
  for (const ParamSegment* s : network.params().of_layer(layer))
    if (s->spec.name == name) return s;
  return nullptr;
}

std::span<float> values(Network& network, int layer, std::string_view name) {
  const ParamSegment* found = segment(network, layer, name);
  if (!found) fail(network.layers()[static_cast<size_t>(layer)]->where(), ": has no ", name, " of its own, so they cannot be changed alone");
  return network.params().values(*found);
}

// Layers whose normalization can be folded into their weights, in order. Throws Error for a normalization that cannot.
std::vector<int> foldable_layers(const Network& network, std::string_view what) {
  std::vector<int> found;
  for (const auto& layer : network.layers()) {
    if (!has_switch(*layer) || !is_normalized(*layer)) continue;
    const NormSpec& norm = *layer->normalization();
    if (!norm.batch_statistics() || norm.standardize)
      fail(layer->where(), ": ", norm.standardize ? "weight_standardize = 1" : "norm = " + norm.text(), ": ", what,
           " folds batch normalization only, whose statistics are constants at inference");
    found.push_back(layer->index());
  }
  if (found.empty()) fail(network.file(), ": no layer with batch_normalize = 1; nothing to ", what);
  return found;
}

// Folds layer `index` of `from` into the biases and weights of `to`, whose layer divides by `deviation` afterwards.
void fold(const Network& from, Network& to, int index, double inverse_after) {
  const Layer& layer = *from.layers()[static_cast<size_t>(index)];
  const auto read = [&](std::string_view name) {
    const ParamSegment* s = segment(from, index, name);
    if (!s) fail(layer.where(), ": has no ", name, " of its own, so its normalization cannot be folded");
    return from.params().values(*s);
  };
  const auto scales = read(kScales), means = read(kMean), variances = read(kVariance), biases = read(kBiases), weights = read(kWeights);
  const auto new_biases = values(to, index, kBiases), new_weights = values(to, index, kWeights);
  const size_t per_filter = weights.size() / biases.size();
  for (size_t c = 0; c < biases.size(); ++c) {
    const double factor = static_cast<double>(scales[c]) * inverse_deviation(*layer.normalization(), static_cast<double>(variances[c]));
    new_biases[c] = static_cast<float>(static_cast<double>(biases[c]) - factor * static_cast<double>(means[c]));
    for (size_t i = c * per_filter; i < (c + 1) * per_filter; ++i)
      new_weights[i] = static_cast<float>(static_cast<double>(weights[i]) * factor / inverse_after);
  }
}

bool is_norm_key(std::string_view key) {
  return key == "batch_normalize" || key == "cbn" || key == "norm" || key == "use_global_stats" || key.starts_with("norm_") || key.starts_with("brn_");
}

// The cfg with batch_normalize = `value` in these layers and no other key of a normalization.
std::string edited_cfg(const std::string& file, const std::vector<int>& layers, int value) {
  std::vector<std::string> lines = read_lines(file);
  Problems problems;
  const std::vector<Section> sections = read_sections(file, problems);
  problems.settle();
  for (const int index : layers) {
    const Section& section = sections[static_cast<size_t>(index) + 1];
    for (const Entry& entry : section.entries)
      if (is_norm_key(entry.key)) lines[static_cast<size_t>(entry.line) - 1].clear();
    lines[static_cast<size_t>(section.line) - 1] += concat("\nbatch_normalize=", value);
  }
  std::string text;
  for (size_t i = 0; i < lines.size(); ++i) text += lines[i] + "\n";
  return text;
}

// The edited cfg as a network that has the parameters of `network` wherever both have them.
EditedNetwork edited(const Network& network, const std::vector<int>& layers, int value) {
  std::string text = edited_cfg(network.file(), layers, value);
  EditedNetwork result{Network::from_text(text, network.file()), std::move(text), static_cast<int>(layers.size())};
  for (const auto& layer : network.layers())
    result.network.params().norm_state(layer->index()).updates = network.params().norm_updates(layer->index());
  for (const ParamSegment& to : result.network.params().segments()) {
    const ParamSegment* from = segment(network, to.layer, to.spec.name);
    if (!from) continue;
    ensure(from->spec.count == to.spec.count, "batch_normalize changes no shape");
    std::ranges::copy(network.params().values(*from), result.network.params().values(to).begin());
  }
  result.network.params().touch();
  return result;
}

// The weights of the convolution that sees the image, [filters, 3, size, size], and how many there are per channel of a filter.
struct FirstConvolution {
  int layer = 0;
  size_t filters = 0, plane = 0;
};

FirstConvolution first_convolution(const Network& network) {
  constexpr size_t kColours = 3;
  const auto& layers = network.layers();
  const auto found = std::ranges::find_if(layers, [](const auto& layer) { return layer->type() == "convolutional"; });
  if (found == layers.end()) fail(network.file(), ": no [convolutional] layer");
  const ParamSegment* weights = segment(network, (*found)->index(), kWeights);
  if ((*found)->sources() != std::vector<int>{kNetworkInput} || network.spec().channels != static_cast<int>(kColours) || !weights ||
      weights->spec.shape.size() != 4 || weights->spec.shape[1] != kColours)
    fail((*found)->where(), ": expected the first convolution to read the network's input of 3 channels, without groups");
  return {(*found)->index(), weights->spec.shape[0], weights->spec.shape[2] * weights->spec.shape[3]};
}

}  // namespace

EditedNetwork denormalized(const Network& network) {
  const std::vector<int> layers = foldable_layers(network, "denormalize");
  EditedNetwork result = edited(network, layers, 0);
  for (const int layer : layers) fold(network, result.network, layer, 1);
  return result;
}

int reset_normalizations(Network& network) {
  const std::vector<int> layers = foldable_layers(network, "reset");
  for (const int layer : layers) {
    fold(network, network, layer, inverse_deviation(*network.layers()[static_cast<size_t>(layer)]->normalization(), 1));
    std::ranges::fill(values(network, layer, kScales), 1.f);
    std::ranges::fill(values(network, layer, kMean), 0.f);
    std::ranges::fill(values(network, layer, kVariance), 1.f);
  }
  network.params().touch();
  return static_cast<int>(layers.size());
}

EditedNetwork normalized(const Network& network) {
  std::vector<int> layers;
  for (const auto& layer : network.layers())
    if (has_switch(*layer) && !is_normalized(*layer) && segment(network, layer->index(), kWeights)) layers.push_back(layer->index());
  if (layers.empty()) fail(network.file(), ": every [convolutional] and [connected] is normalized already; nothing to normalize");
  EditedNetwork result = edited(network, layers, 1);
  for (const int index : layers) {
    const Layer& layer = *result.network.layers()[static_cast<size_t>(index)];
    if (!layer.normalization()->batch_statistics())
      fail(layer.where(), ": [net] makes it norm = ", layer.normalization()->text(), ", which no constants can undo; expected norm = bn there");
    const double inverse = inverse_deviation(*layer.normalization(), 1);
    std::ranges::fill(values(result.network, index, kScales), static_cast<float>(1 / inverse));
    std::ranges::fill(values(result.network, index, kMean), 0.f);
    std::ranges::fill(values(result.network, index, kVariance), 1.f);
  }
  result.network.params().touch();
  return result;
}

void swap_red_and_blue(Network& network) {
  const FirstConvolution first = first_convolution(network);
  const auto weights = values(network, first.layer, kWeights);
  for (size_t f = 0; f < first.filters; ++f) {
    const auto red = weights.begin() + static_cast<std::ptrdiff_t>(3 * f * first.plane), blue = red + static_cast<std::ptrdiff_t>(2 * first.plane);
    std::swap_ranges(red, red + static_cast<std::ptrdiff_t>(first.plane), blue);
  }
  network.params().touch();
}

void rescale_input(Network& network) {
  const FirstConvolution first = first_convolution(network);
  const NormSpec& norm = *network.layers()[static_cast<size_t>(first.layer)]->normalization();
  if (norm.any() && (!norm.batch_statistics() || norm.standardize))
    fail(network.layers()[static_cast<size_t>(first.layer)]->where(), ": rescale needs batch normalization or none");
  const auto weights = values(network, first.layer, kWeights);
  // What the convolution gives is smaller by the sum of the filter's weights: a bias, or the mean that is taken away.
  const auto constant = values(network, first.layer, norm.any() ? kMean : kBiases);
  const double sign = norm.any() ? 1 : -1;
  const size_t per_filter = 3 * first.plane;
  for (size_t f = 0; f < first.filters; ++f) {
    double sum = 0;
    for (float& w : weights.subspan(f * per_filter, per_filter)) {
      sum += static_cast<double>(w);
      w *= 2;
    }
    constant[f] = static_cast<float>(static_cast<double>(constant[f]) + sign * sum);
  }
  network.params().touch();
}

void add_parameters(const Network& network, std::vector<double>& sums) {
  const auto values = network.params().values();
  sums.resize(values.size());
  for (size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<double>(values[i]);
}

void set_mean_parameters(Network& network, const std::vector<double>& sums, int count) {
  const auto values = network.params().values();
  ensure(values.size() == sums.size(), "sums are of one network");
  for (size_t i = 0; i < sums.size(); ++i) values[i] = static_cast<float>(sums[i] / count);
  network.params().touch();
}

}  // namespace dn
