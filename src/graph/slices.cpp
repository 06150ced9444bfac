#include "graph/slices.h"

#include <algorithm>

namespace dn {
namespace {

class Placer {
 public:
  Placer(const Network& network, const std::vector<Shape>& outputs, const SliceOptions& options, Wiring& wiring)
      : network_(network), layers_(network.layers()), outputs_(outputs), options_(options), wiring_(wiring), count_(static_cast<int>(layers_.size())) {
    readers_.resize(layers_.size());
    slices_.residual.assign(layers_.size(), kNetworkInput);
    slices_.made.assign(layers_.size(), false);
    slices_.keeps_dy.assign(layers_.size(), false);
    for (int i = 0; i < count_; ++i) {
      slices_.outputs.push_back({i, 0});
      slices_.gradients.push_back({i, 0});
      if (layer(i).is_view()) continue;
      for (const int source : wiring.sources[static_cast<size_t>(i)])
        if (const int root = wiring.root_of(source); root != kNetworkInput) readers_[static_cast<size_t>(root)].push_back(i);
    }
  }

  Slices place() {
    if (!options_.enabled) return slices_;
    for (int i = 0; i < count_ && options_.sums; ++i) join_sum(i);
    // The last concatenation that reads a layer takes it in: its readers are the first whose gradients arrive.
    for (int i = count_ - 1; i >= 0; --i)
      if (layer(i).is_concatenation()) take_in(i);
    if (!options_.training)   // in training the rest of the source's gradient would have to be cleared
      for (int i = 0; i < count_; ++i) lie_in_source(i);
    for (std::vector<Slice>* kind : {&slices_.outputs, &slices_.gradients})
      for (int i = 0; i < count_; ++i) (*kind)[static_cast<size_t>(i)] = resolved(*kind, i);
    return slices_;
  }

 private:
  const Layer& layer(int i) const { return *layers_[static_cast<size_t>(i)]; }
  const Shape& shape(int i) const { return outputs_[static_cast<size_t>(i)]; }
  bool placed(int i) const { return slices_.outputs[static_cast<size_t>(i)].home != i || slices_.gradients[static_cast<size_t>(i)].home != i; }

  static Slice resolved(const std::vector<Slice>& slices, int i) {
    Slice slice{i, 0};
    for (;;) {
      const Slice& next = slices[static_cast<size_t>(slice.home)];
      if (next.home == slice.home) return slice;
      slice = {next.home, slice.channel + next.channel};
    }
  }

  // The later source of a sum finishes it where nothing else reads that source. Backward, both sources have the sum's gradient as it is: the one that
  // finishes the sum always, the other where the sum is its last reader, so that every other reader adds to what is there already.
  void join_sum(int sum) {
    const std::vector<int>& sources = wiring_.sources[static_cast<size_t>(sum)];
    if (sources.size() != 2 || wiring_.root_of(sources[0]) == wiring_.root_of(sources[1])) return;
    const size_t k = wiring_.root_of(sources[0]) > wiring_.root_of(sources[1]) ? 0 : 1;
    const int maker = wiring_.root_of(sources[k]), other = wiring_.root_of(sources[1 - k]);
    if (other == kNetworkInput || !layer(sum).is_sum(std::vector{shape(maker), shape(other)}) || !finishes(maker, sum)) return;
    slices_.outputs[static_cast<size_t>(maker)] = {sum, 0};
    slices_.residual[static_cast<size_t>(maker)] = other;
    slices_.made[static_cast<size_t>(sum)] = true;
    if (!wiring_.backward[static_cast<size_t>(sum)] || !wiring_.backward[static_cast<size_t>(maker)]) return;
    std::vector<Write>& dx = wiring_.dx[static_cast<size_t>(sum)];
    slices_.gradients[static_cast<size_t>(maker)] = {sum, 0};
    dx[k] = Write::none;
    if (dx[1 - k] != Write::overwrite || wide(other) != wide(sum) || placed(other) || read_between(other, maker, sum)) return;
    slices_.gradients[static_cast<size_t>(other)] = {sum, 0};
    dx[1 - k] = Write::none;
    slices_.keeps_dy[static_cast<size_t>(maker)] = true;
  }

  bool finishes(int maker, int sum) const {
    const int source = wiring_.root_of(wiring_.sources[static_cast<size_t>(maker)][0]);
    const Shape in = source == kNetworkInput ? network_.input(1) : shape(source);
    return readers_[static_cast<size_t>(maker)] == std::vector{sum} && !placed(maker) && wide(maker) == wide(sum) && !is_embedding(network_, wiring_, maker) &&
           layer(maker).finishes_sums(in);
  }
  // By a layer whose backward comes after that of `sum` and before that of `maker`.
  bool read_between(int i, int maker, int sum) const {
    return std::ranges::any_of(readers_[static_cast<size_t>(i)], [&](int r) { return maker < r && r < sum; });
  }

  void take_in(int concatenation) {
    const std::vector<int>& sources = wiring_.sources[static_cast<size_t>(concatenation)];
    int channel = 0;
    for (size_t k = 0; k < sources.size(); ++k) {
      const int root = wiring_.root_of(sources[k]);
      if (root == kNetworkInput) return;
      if (fits(root, concatenation, channel, k + 1 == sources.size())) {
        if (output_fits(root)) slices_.outputs[static_cast<size_t>(root)] = {concatenation, channel};
        if (gradient_fits(root, concatenation)) {
          slices_.gradients[static_cast<size_t>(root)] = {concatenation, channel};
          wiring_.dx[static_cast<size_t>(concatenation)][k] = Write::none;
        }
      }
      channel += shape(root).c;
    }
  }

  bool fits(int source, int concatenation, int channel, bool last) const {
    const std::vector<int>& readers = readers_[static_cast<size_t>(source)];
    const bool whole_blocks = channel % options_.block == 0 && (last || shape(source).c % options_.block == 0);
    return !placed(source) && whole_blocks && !layer(source).writes_plain() && std::ranges::count(readers, concatenation) == 1 &&
           (!options_.channels_last || wide(source) == wide(concatenation));
  }

  // A loss reads it.
  bool wide(int i) const {
    return std::ranges::any_of(readers_[static_cast<size_t>(i)], [this](int r) { return layer(r).writes_plain(); });
  }
  // Its tensor has no gaps wherever it lies.
  bool dense_anywhere(int i) const { return shape(i).n == 1 && !options_.channels_last; }

  bool output_fits(int source) const {
    if (dense_anywhere(source)) return true;
    if (!options_.training || !wiring_.backward[static_cast<size_t>(source)] || !layer(source).writes_slices()) return false;
    return std::ranges::all_of(readers_[static_cast<size_t>(source)], [this](int r) { return layer(r).reads_slices(); });
  }

  // The concatenation must be the last reader: then its gradient is there before any other reader adds to it.
  bool gradient_fits(int source, int concatenation) const {
    if (!options_.training || !wiring_.backward[static_cast<size_t>(source)] || !wiring_.backward[static_cast<size_t>(concatenation)]) return false;
    const std::vector<int>& readers = readers_[static_cast<size_t>(source)];
    if (std::ranges::max(readers) != concatenation) return false;
    if (dense_anywhere(source)) return true;
    return layer(source).writes_slices() && std::ranges::all_of(readers, [this](int r) { return layer(r).adds_to_slices(); });
  }

  void lie_in_source(int i) {
    if (layer(i).is_view() || placed(i) || !dense_anywhere(i)) return;
    const int source = wiring_.sources[static_cast<size_t>(i)][0], root = wiring_.root_of(source);
    if (root == kNetworkInput || layer(root).writes_plain()) return;
    const int channel = layer(i).slice_of_source(shape(root));
    if (channel < 0 || channel % options_.block != 0 || shape(i).c % options_.block != 0) return;
    slices_.outputs[static_cast<size_t>(i)] = {root, channel};
  }

  const Network& network_;
  const std::vector<std::unique_ptr<Layer>>& layers_;
  const std::vector<Shape>& outputs_;
  SliceOptions options_;
  Wiring& wiring_;
  int count_;
  std::vector<std::vector<int>> readers_;   // per layer: who reads its tensor, views seen through; in rising order
  Slices slices_;
};

}  // namespace

Slices place_slices(const Network& network, const std::vector<Shape>& outputs, const SliceOptions& options, Wiring& wiring) {
  return Placer(network, outputs, options, wiring).place();
}

}  // namespace dn
