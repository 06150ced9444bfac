#include "nn/layer.h"

namespace dn {
namespace {

constexpr Key<LayerCommon> kCommonKeys[] = {
    {"stopbackward", &LayerCommon::stopbackward, 0, 1e9, "1: this layer and all before it are frozen; N > 1: before iteration N only their running statistics move"},
    {"onlyforward", &LayerCommon::onlyforward, 0, 1, "no gradient through this layer: what lies before it learns from its other readers"},
    {"dontload", &LayerCommon::dontload, 0, 1, "a weights file holds nothing for this layer"},
    {"dontloadscales", &LayerCommon::dontloadscales, 0, 1, "a weights file holds no scales, means and variances for this layer"},
    {"train_only_bn", &LayerCommon::train_only_bn, 0, 1, "1: of this layer and all before it only the running statistics of the normalization move"},
    {"learning_rate", &LayerCommon::learning_rate, 0, 1e6, "factor on the learning rate of this layer"},
    {"clip", &LayerCommon::clip, 0, 1e9, "above 0: after each update the layer's weights (not biases and scales) are held between -clip and clip"},
    {"dont_update", &LayerCommon::dont_update, 0, 1e9,
     "N > 0: the first N iterations leave this layer's parameters as they are (running statistics move, gradients flow on)"},
    {"burnin_update", &LayerCommon::burnin_update, 0, 1e9, "N > 0: this layer's parameters stay as they are before iteration N x burn_in"},
    {"grad_centr", &LayerCommon::grad_centr, 0, 1,
     "1: gradient centralization: from the gradient of each filter its mean is taken; of normalized layers with more than one weight a filter"},
};

}  // namespace

Layer::Layer(const Section& section, int index, Problems& problems)
    : section_(section), index_(index), common_(bind<LayerCommon>(section, kCommonKeys, problems)) {
  section_.known = section.known;
}

std::string Layer::above() const { return index_ == 0 ? "the network's input" : concat("layer ", index_ - 1); }
std::string Layer::where() const { return concat("layer ", index_, " (", section_.where(), ")"); }

std::vector<KeyHelp> common_key_help() { return key_help<LayerCommon>(kCommonKeys); }

int resolve_layer(const Section& section, const Entry& entry, int written, int index, Problems& problems) {
  const int absolute = written < 0 ? index + written : written;
  if (absolute >= 0 && absolute < index) return absolute;
  problems.error(section, entry, concat(written, " is not an earlier layer"),
                 index == 0 ? std::string("no reference: this is the first layer")
                            : concat("0..", index - 1, " or -1..-", index, " (this is layer ", index, ")"));
  return kNetworkInput;
}

}  // namespace dn
