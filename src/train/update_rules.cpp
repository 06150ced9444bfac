#include "train/update_rules.h"

#include <algorithm>
#include <cmath>

#include "base/log.h"

namespace dn {
namespace {

void warn(const Layer& layer, std::string_view key, std::string_view why) {
  if (const Entry* entry = layer.section().find(key)) log::warn(concat(layer.section().where(*entry), ": changes nothing: ", why));
}

bool has_filters(const std::vector<const ParamSegment*>& params) {
  return std::ranges::any_of(params, [](const ParamSegment* s) {
    return s->spec.role == ParamRole::weight && s->spec.shape.size() > 1 && s->spec.count / s->spec.shape[0] > 1;
  });
}

bool normalized(const Layer& layer) { return layer.normalization() && layer.normalization()->any(); }

// A frozen or untrained layer needs no word: the keys are about what is trained of it.
void warn_of_idle_keys(const Layer& layer, const std::vector<const ParamSegment*>& params, const NetSpec& net) {
  const LayerCommon& keys = layer.common();
  const bool weights = std::ranges::any_of(params, [](const ParamSegment* s) { return s->spec.role == ParamRole::weight; });
  if (keys.clip > 0 && !weights) warn(layer, "clip", "the layer has no weights");
  if (params.empty()) {
    if (keys.dont_update > 0) warn(layer, "dont_update", "the layer has no parameters");
    if (keys.burnin_update > 0) warn(layer, "burnin_update", "the layer has no parameters");
    if (keys.learning_rate != 1) warn(layer, "learning_rate", "the layer has no parameters");
  } else if (keys.burnin_update > 0 && net.burn_in == 0) {
    warn(layer, "burnin_update", "[net] has no burn_in");
  }
  if (!keys.grad_centr) return;
  if (!normalized(layer))
    warn(layer, "grad_centr", "the layer is not normalized");
  else if (!has_filters(params))
    warn(layer, "grad_centr", "no filter has more than one weight");
}

}  // namespace

OptimizerOptions optimizer_options(const Network& network, int threads) {
  const NetSpec& net = network.spec();
  OptimizerOptions options{net.momentum, net.decay, net.batch, {}, threads};
  if (net.adam) options.adam = AdamOptions{net.beta1, net.beta2, net.adam_eps};
  for (const auto& layer : network.layers()) {
    const LayerCommon& keys = layer->common();
    warn_of_idle_keys(*layer, network.params().of_layer(layer->index()), net);
    const auto after_burn_in = static_cast<int64_t>(std::ceil(static_cast<double>(keys.burnin_update) * net.burn_in));
    const int64_t frozen = keys.dont_update;
    options.layers.push_back(
        {keys.learning_rate, keys.clip, keys.grad_centr && normalized(*layer), std::max(frozen > 0 ? frozen + 1 : 0, after_burn_in)});
  }
  return options;
}

}  // namespace dn
