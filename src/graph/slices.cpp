#include "graph/slices.h"

#include <algorithm>

namespace dn {
namespace {

class Placer {
 public:
  Placer(const Network& network, const std::vector<Shape>& outputs, const SliceOptions& options, Wiring& wiring)
      : layers_(network.layers()), outputs_(outputs), options_(options), wiring_(wiring), count_(static_cast<int>(layers_.size())) {
    readers_.resize(layers_.size());
    for (int i = 0; i < count_; ++i) {
      slices_.push_back({i, 0});
      if (layer(i).is_view()) continue;
      for (const int source : wiring.sources[static_cast<size_t>(i)])
        if (const int root = wiring.root_of(source); root != kNetworkInput) readers_[static_cast<size_t>(root)].push_back(i);
    }
  }

  std::vector<Slice> place() {
    // The last concatenation that reads a layer takes it in: its readers are the first whose gradients arrive.
    for (int i = count_ - 1; i >= 0; --i)
      if (layer(i).is_concatenation()) take_in(i);
    if (!options_.training)   // in training the rest of the source's gradient would have to be cleared
      for (int i = 0; i < count_; ++i) lie_in_source(i);
    for (int i = 0; i < count_; ++i) slices_[static_cast<size_t>(i)] = resolved(i);
    return slices_;
  }

 private:
  const Layer& layer(int i) const { return *layers_[static_cast<size_t>(i)]; }
  const Shape& shape(int i) const { return outputs_[static_cast<size_t>(i)]; }
  bool placed(int i) const { return slices_[static_cast<size_t>(i)].home != i; }

  Slice resolved(int i) const {
    Slice slice{i, 0};
    while (placed(slice.home)) {
      const Slice& next = slices_[static_cast<size_t>(slice.home)];
      slice = {next.home, slice.channel + next.channel};
    }
    return slice;
  }

  void take_in(int concatenation) {
    const std::vector<int>& sources = wiring_.sources[static_cast<size_t>(concatenation)];
    int channel = 0;
    for (size_t k = 0; k < sources.size(); ++k) {
      const int root = wiring_.root_of(sources[k]);
      if (root == kNetworkInput) return;
      if (fits(root, concatenation, channel, k + 1 == sources.size())) {
        slices_[static_cast<size_t>(root)] = {concatenation, channel};
        wiring_.dx[static_cast<size_t>(concatenation)][k] = Write::none;
      }
      channel += shape(root).c;
    }
  }

  bool fits(int source, int concatenation, int channel, bool last) const {
    const std::vector<int>& readers = readers_[static_cast<size_t>(source)];
    const bool whole_blocks = channel % options_.block == 0 && (last || shape(source).c % options_.block == 0);
    if (placed(source) || !whole_blocks || layer(source).writes_plain() || std::ranges::count(readers, concatenation) != 1) return false;
    if (options_.training) {
      const bool gradients = wiring_.backward[static_cast<size_t>(source)] && wiring_.backward[static_cast<size_t>(concatenation)];
      if (!gradients || std::ranges::max(readers) != concatenation) return false;
    }
    if (shape(source).n == 1) return true;
    return options_.training && layer(source).writes_slices() && std::ranges::all_of(readers, [this](int r) { return layer(r).reads_slices(); });
  }

  void lie_in_source(int i) {
    if (layer(i).is_view() || placed(i) || shape(i).n != 1) return;
    const int source = wiring_.sources[static_cast<size_t>(i)][0], root = wiring_.root_of(source);
    if (root == kNetworkInput || layer(root).writes_plain()) return;
    const int channel = layer(i).slice_of_source(shape(root));
    if (channel < 0 || channel % options_.block != 0 || shape(i).c % options_.block != 0) return;
    slices_[static_cast<size_t>(i)] = {root, channel};
  }

  const std::vector<std::unique_ptr<Layer>>& layers_;
  const std::vector<Shape>& outputs_;
  SliceOptions options_;
  Wiring& wiring_;
  int count_;
  std::vector<std::vector<int>> readers_;   // per layer: who reads its tensor, views seen through; in rising order
  std::vector<Slice> slices_;
};

}  // namespace

std::vector<Slice> place_slices(const Network& network, const std::vector<Shape>& outputs, const SliceOptions& options, Wiring& wiring) {
  return Placer(network, outputs, options, wiring).place();
}

}  // namespace dn
