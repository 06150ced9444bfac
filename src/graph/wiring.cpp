#include "graph/wiring.h"

#include <algorithm>

#include "nn/detection.h"

namespace dn {
namespace {

// A layer wants a gradient when something at or below it can be trained.
std::vector<bool> wanting(const Network& network, const Wiring& w, int frozen) {
  const auto& layers = network.layers();
  std::vector<bool> wants(layers.size(), false);
  for (size_t i = 0; i < layers.size(); ++i) {
    if (static_cast<int>(i) < frozen || layers[i]->common().onlyforward) continue;
    bool any = false;
    for (const ParamSegment* segment : network.params().used_by(static_cast<int>(i))) any = any || segment->trained();
    for (const int source : w.sources[i]) any = any || (source != kNetworkInput && wants[static_cast<size_t>(source)]);
    wants[i] = any;
  }
  return wants;
}

}  // namespace

bool is_embedding(const Network& network, const Wiring& wiring, int layer) {
  return std::ranges::any_of(network.heads(), [&](const Head* head) { return head->embedding_layer() >= 0 && wiring.root_of(head->embedding_layer()) == layer; });
}

Wiring wire(const Network& network, bool training, int frozen) {
  const auto& layers = network.layers();
  Wiring w;
  for (size_t i = 0; i < layers.size(); ++i) {
    w.sources.push_back(layers[i]->sources());
    w.root.push_back(layers[i]->is_view() ? w.root_of(w.sources[i][0]) : static_cast<int>(i));
    w.dx.emplace_back(w.sources[i].size(), Write::none);
  }
  w.backward.assign(layers.size(), false);
  if (!training) return w;

  const std::vector<bool> wants = wanting(network, w, frozen);
  std::vector<bool> receives(layers.size(), false), written(layers.size(), false);
  for (size_t i = layers.size(); i-- > 0;) {
    if (!wants[i] || !(layers[i]->has_loss() || receives[i])) continue;
    w.backward[i] = true;
    for (size_t k = 0; k < w.sources[i].size(); ++k) {
      const int source = w.sources[i][k];
      if (source == kNetworkInput || !wants[static_cast<size_t>(source)]) continue;
      receives[static_cast<size_t>(source)] = true;
      const int root = w.root_of(source);
      if (layers[i]->is_view() || root == kNetworkInput) continue;  // a view's gradient is its source's already
      w.dx[i][k] = written[static_cast<size_t>(root)] ? Write::accumulate : Write::overwrite;
      written[static_cast<size_t>(root)] = true;
    }
  }
  return w;
}

}  // namespace dn
