#include "graph/lifetimes.h"

#include <algorithm>

namespace dn {

int Segments::of(int layer) const { return static_cast<int>(std::upper_bound(first.begin(), first.end(), layer) - first.begin()) - 1; }

Timeline::Timeline(int layers, bool training, Segments segments)
    : segments_(std::move(segments)), again_(static_cast<size_t>(layers), -1), backward_(static_cast<size_t>(layers), -1) {
  int now = layers;
  if (training)
    for (int s = segments_.count() - 1; s >= 0; --s) {
      const int from = segments_.first[static_cast<size_t>(s)], to = s + 1 < segments_.count() ? segments_.first[static_cast<size_t>(s) + 1] : layers;
      for (int i = from; i < to && s + 1 < segments_.count(); ++i) again_[static_cast<size_t>(i)] = ++now;
      for (int i = to - 1; i >= from; --i) backward_[static_cast<size_t>(i)] = ++now;
    }
  end_ = now + 1;
}

namespace {

class Planner {
 public:
  Planner(const LifetimeFacts& facts, const Timeline& time) : facts_(facts), time_(time), count_(static_cast<int>(facts.outputs.size())) {
    out_.layers.resize(facts.outputs.size());
  }

  Lifetimes plan() {
    outputs();
    if (facts_.training) gradients();
    for (int i = 0; i < count_; ++i)
      if (is_step(i)) kernel_buffers(i);
    return std::move(out_);
  }

 private:
  // Forward use of a tensor: in the forward pass, and from the second forward pass on.
  struct Use {
    int now = 0, late = -1;
    bool crosses = false;   // read by a later segment, so kept from the first pass on
  };

  bool is_step(int i) const { return !facts_.network.layers()[static_cast<size_t>(i)]->is_view(); }
  bool backward(int i) const { return facts_.wiring.backward[static_cast<size_t>(i)]; }
  const Needs& needs(int i) const { return facts_.needs[static_cast<size_t>(i)]; }
  LayerBuffers& buffers(int i) { return out_.layers[static_cast<size_t>(i)]; }

  int request(int layer, std::string what, size_t bytes, int first, int last) {
    out_.requests.push_back({bytes, first, last});
    out_.names.push_back({layer, std::move(what)});
    return static_cast<int>(out_.requests.size()) - 1;
  }

  void read(Use& use, int reader, int source) const {
    use.now = std::max(use.now, time_.forward(reader));
    if (time_.again(reader)) use.late = std::max(use.late, time_.again_at(reader));
    if (needs(reader).x_in_backward && backward(reader)) use.late = std::max(use.late, time_.backward(reader));
    if (source != kNetworkInput && time_.segments().of(source) != time_.segments().of(reader)) use.crosses = true;
  }

  // An output lives to its last forward reader, or to the backward of a reader that needs it, or of its own layer when that does.
  void outputs() {
    std::vector<Use> uses(facts_.outputs.size());
    Use input;
    for (int i = 0; i < count_; ++i) {
      if (!is_step(i)) continue;
      Use& own = uses[static_cast<size_t>(i)];
      own.now = std::max(own.now, time_.forward(i));
      if (time_.again(i)) own.late = std::max(own.late, time_.again_at(i));
      if (needs(i).y_in_backward && backward(i)) own.late = std::max(own.late, time_.backward(i));
      for (const int source : facts_.wiring.sources[static_cast<size_t>(i)]) {
        const int root = facts_.wiring.root_of(source);
        read(root == kNetworkInput ? input : uses[static_cast<size_t>(root)], i, root);
      }
      if (read_by_caller(i)) (time_.again(i) ? own.late : own.now) = time_.end();
    }
    if (!facts_.training && count_ > 0 && !is_step(count_ - 1))
      if (const int root = facts_.wiring.root[static_cast<size_t>(count_) - 1]; root != kNetworkInput) uses[static_cast<size_t>(root)].now = time_.end();
    if (facts_.input.block != 1) out_.input = request(kNetworkInput, "input", facts_.input.bytes(), 0, std::max({input.now, input.late, 1}));
    request_outputs(uses);
  }

  bool read_by_caller(int i) const {
    return facts_.keep_outputs || (!facts_.training && (facts_.network.layers()[static_cast<size_t>(i)]->head() || i + 1 == count_));
  }

  void request_outputs(std::vector<Use>& uses) {
    std::vector<int> first(uses.size());
    for (int i = 0; i < count_; ++i) first[static_cast<size_t>(i)] = time_.forward(i);
    for (int i = 0; i < count_; ++i) {  // a tensor lives as long as any of its slices
      const size_t whole = static_cast<size_t>(facts_.slices.outputs[static_cast<size_t>(i)].home);
      const Use& part = uses[static_cast<size_t>(i)];
      first[whole] = std::min(first[whole], time_.forward(i));
      uses[whole].now = std::max(uses[whole].now, part.now);
      uses[whole].late = std::max(uses[whole].late, part.late);
    }
    for (int i = 0; i < count_; ++i) {
      const size_t at = static_cast<size_t>(i);
      if (!is_step(i) || facts_.slices.outputs[at].home != i) continue;
      const size_t bytes = facts_.outputs[at].bytes();
      const bool twice = time_.again(i) && !uses[at].crosses;
      buffers(i).now.y = request(i, "output", bytes, first[at], twice ? uses[at].now : std::max(uses[at].now, uses[at].late));
      buffers(i).late.y = twice ? request(i, "output", bytes, time_.again_at(i), uses[at].late) : buffers(i).now.y;
    }
  }

  // A gradient lives from its first writer (the reader with the highest index) to its own layer's backward.
  void gradients() {
    const Wiring& w = facts_.wiring;
    std::vector<int> first(facts_.outputs.size(), -1), last(facts_.outputs.size(), 0);
    for (int i = count_ - 1; i >= 0; --i)
      for (size_t k = 0; k < w.sources[static_cast<size_t>(i)].size(); ++k)
        if (w.dx[static_cast<size_t>(i)][k] == Write::overwrite)
          first[static_cast<size_t>(w.root_of(w.sources[static_cast<size_t>(i)][k]))] = time_.backward(i);
    for (int i = 0; i < count_; ++i) {
      int& until = last[static_cast<size_t>(facts_.slices.gradients[static_cast<size_t>(i)].home)];
      until = std::max(until, time_.backward(i));
    }
    for (int i = 0; i < count_; ++i)
      if (const size_t at = static_cast<size_t>(i); first[at] >= 0)
        buffers(i).dy = request(i, "gradient", facts_.outputs[at].bytes(), first[at], facts_.keep_outputs ? time_.end() : last[at]);
  }

  void kernel_buffers(int i) {
    const Needs& need = needs(i);
    LayerBuffers& b = buffers(i);
    const int kept = backward(i) ? time_.backward(i) : time_.again(i) ? time_.again_at(i) : time_.forward(i);
    const auto forward = [&](LayerBuffers::Forward& pass, int at, int until) {
      for (size_t k = 0; k < need.saved.size(); ++k) {
        const bool once = static_cast<int>(k) == need.saved_once;
        if (once && &pass == &b.late)
          pass.saved.push_back(b.now.saved[k]);
        else
          pass.saved.push_back(request(i, "saved", need.saved[k], at, once ? kept : until));
      }
      if (need.forward_scratch) pass.scratch = request(i, "scratch forward", need.forward_scratch, at, at);
    };
    forward(b.now, time_.forward(i), time_.again(i) ? time_.forward(i) : kept);
    if (time_.again(i)) {
      forward(b.late, time_.again_at(i), kept);
    } else {
      const int y = b.late.y;
      b.late = b.now;
      b.late.y = y;
    }
    if (need.backward_scratch && backward(i)) b.backward_scratch = request(i, "scratch backward", need.backward_scratch, time_.backward(i), time_.backward(i));
  }

  const LifetimeFacts& facts_;
  const Timeline& time_;
  int count_;
  Lifetimes out_;
};

}  // namespace

Lifetimes plan_lifetimes(const LifetimeFacts& facts, const Timeline& time) { return Planner(facts, time).plan(); }

Segments cut_segments(const LifetimeFacts& facts, int count) {
  const int layers = static_cast<int>(facts.outputs.size());
  // kept[i]: what layers 0..i leave behind for backward; crossing[i]: of it, what a cut behind layer i must keep.
  std::vector<double> kept(facts.outputs.size()), crossing(facts.outputs.size());
  double sum = 0;
  for (int i = 0; i < layers; ++i) {
    const size_t at = static_cast<size_t>(i);
    if (!facts.network.layers()[at]->is_view()) {
      sum += static_cast<double>(facts.outputs[at].bytes());
      for (const size_t bytes : facts.needs[at].saved) sum += static_cast<double>(bytes);
    }
    kept[at] = sum;
  }
  std::vector<int> last_reader(facts.outputs.size(), -1);
  for (int i = 0; i < layers; ++i)
    for (const int source : facts.wiring.sources[static_cast<size_t>(i)])
      if (const int root = facts.wiring.root_of(source); root != kNetworkInput) last_reader[static_cast<size_t>(root)] = i;
  for (int i = 0; i < layers; ++i)
    for (int cut = i; cut < last_reader[static_cast<size_t>(i)]; ++cut)
      crossing[static_cast<size_t>(cut)] += static_cast<double>(facts.outputs[static_cast<size_t>(i)].bytes());
  Segments segments;
  for (int k = 1; k < count; ++k) {
    const double target = sum * k / count, reach = sum / (3.0 * count);
    int best = -1;
    for (int i = segments.first.back(); i + 1 < layers; ++i) {
      const size_t at = static_cast<size_t>(i);
      if (std::abs(kept[at] - target) > reach) continue;
      if (best < 0 || crossing[at] < crossing[static_cast<size_t>(best)]) best = i;
    }
    if (best >= 0) segments.first.push_back(best + 1);
  }
  return segments;
}

}  // namespace dn
