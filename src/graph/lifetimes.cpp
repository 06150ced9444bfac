#include "graph/lifetimes.h"

#include <algorithm>

namespace dn {
namespace {

class Planner {
 public:
  Planner(const PlanFacts& facts, const Keep& keep, const StepOrder& time) : facts_(facts), keep_(keep), time_(time), count_(facts.count()) {
    out_.layers.resize(facts.outputs.size());
    out_.requests.reserve(6 * facts.outputs.size());
    out_.names.reserve(6 * facts.outputs.size());
  }

  Lifetimes plan() {
    outputs();
    if (facts_.training) gradients();
    for (int i = 0; i < count_; ++i)
      if (facts_.is_step(i)) kernel_buffers(i);
    return std::move(out_);
  }

 private:
  // Forward use of a tensor: in the forward pass, and from the first event that writes it again or reads it.
  struct Use {
    int now = 0, late = -1;
  };

  bool backward(int i) const { return time_.backward(i) >= 0; }
  const Needs& needs(int i) const { return facts_.needs[static_cast<size_t>(i)]; }
  LayerBuffers& buffers(int i) { return out_.layers[static_cast<size_t>(i)]; }
  // The event, if any, in which a layer runs forward again and does this.
  int reads_again(int i) const { return time_.again(i) >= 0 && time_.event(time_.again(i)).from == 0 ? time_.again(i) : -1; }
  int writes_again(int i) const { return time_.again(i) >= 0 && time_.event(time_.again(i)).output ? time_.again(i) : -1; }

  int request(int layer, std::string_view what, size_t bytes, int first, int last) {
    out_.requests.push_back({bytes, first, last});
    out_.names.push_back({layer, what});
    return static_cast<int>(out_.requests.size()) - 1;
  }

  void read(Use& use, int reader) const {
    use.now = std::max(use.now, time_.forward(reader));
    use.late = std::max(use.late, reads_again(reader));
    if (needs(reader).x_in_backward) use.late = std::max(use.late, time_.backward(reader));
  }

  // An output lives to its last forward reader, or to the backward of a reader that needs it, or of its own layer when that does.
  void outputs() {
    std::vector<Use> uses(facts_.outputs.size());
    Use input;
    for (int i = 0; i < count_; ++i) {
      if (!facts_.is_step(i)) continue;
      Use& own = uses[static_cast<size_t>(i)];
      own.now = std::max(own.now, time_.forward(i));
      own.late = std::max(own.late, writes_again(i));
      if (needs(i).y_in_backward) own.late = std::max(own.late, time_.backward(i));
      for (const int source : facts_.wiring.sources[static_cast<size_t>(i)]) {
        const int root = facts_.wiring.root_of(source);
        read(root == kNetworkInput ? input : uses[static_cast<size_t>(root)], i);
      }
      if (read_by_caller(i)) own.now = time_.end();
    }
    if (!facts_.training && count_ > 0 && !facts_.is_step(count_ - 1))
      if (const int root = facts_.wiring.root[static_cast<size_t>(count_) - 1]; root != kNetworkInput) uses[static_cast<size_t>(root)].now = time_.end();
    if (facts_.input.block != 1) out_.input = request(kNetworkInput, "input", facts_.input.bytes(), 0, std::max({input.now, input.late, 1}));
    request_outputs(uses);
  }

  bool read_by_caller(int i) const {
    if (facts_.keep_outputs) return true;
    return !facts_.training && (facts_.network.layers()[static_cast<size_t>(i)]->head() || i + 1 == count_ || is_embedding(facts_.network, facts_.wiring, i));
  }

  void request_outputs(std::vector<Use>& uses) {
    std::vector<int> first(uses.size()), again(uses.size());
    for (int i = 0; i < count_; ++i) first[static_cast<size_t>(i)] = time_.forward(i), again[static_cast<size_t>(i)] = writes_again(i);
    for (int i = 0; i < count_; ++i) {  // a tensor lives as long as any of its slices
      const size_t whole = static_cast<size_t>(facts_.home(i));
      const Use& part = uses[static_cast<size_t>(i)];
      first[whole] = std::min(first[whole], time_.forward(i));
      if (const int at = writes_again(i); at >= 0) again[whole] = again[whole] < 0 ? at : std::min(again[whole], at);
      uses[whole].now = std::max(uses[whole].now, part.now);
      uses[whole].late = std::max(uses[whole].late, part.late);
    }
    for (int i = 0; i < count_; ++i) {
      const size_t at = static_cast<size_t>(i);
      if (!facts_.is_step(i) || facts_.home(i) != i) continue;
      const size_t bytes = facts_.outputs[at].bytes();
      const bool twice = !keep_.output[at] && again[at] >= 0;
      buffers(i).now.y = request(i, "output", bytes, first[at], twice ? uses[at].now : std::max(uses[at].now, uses[at].late));
      buffers(i).late.y = twice ? request(i, "output", bytes, again[at], uses[at].late) : buffers(i).now.y;
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
    const int forward = time_.forward(i), again = time_.again(i), last = std::max({forward, again, time_.backward(i)});
    const bool twice = !keep_.saved[static_cast<size_t>(i)] && again >= 0;
    for (size_t k = 0; k < need.saved.size(); ++k) {
      const bool both = twice && static_cast<int>(k) != need.saved_once;
      b.now.saved.push_back(request(i, "saved", need.saved[k], forward, both ? forward : last));
      b.late.saved.push_back(both ? request(i, "saved", need.saved[k], again, last) : b.now.saved.back());
    }
    if (need.forward_scratch) b.now.scratch = request(i, "scratch forward", need.forward_scratch, forward, forward);
    if (need.forward_scratch && reads_again(i) >= 0) b.late.scratch = request(i, "scratch forward", need.forward_scratch, again, again);
    if (need.backward_scratch && backward(i)) b.backward_scratch = request(i, "scratch backward", need.backward_scratch, time_.backward(i), time_.backward(i));
  }

  const PlanFacts& facts_;
  const Keep& keep_;
  const StepOrder& time_;
  int count_;
  Lifetimes out_;
};

}  // namespace

Lifetimes plan_lifetimes(const PlanFacts& facts, const Keep& keep, const StepOrder& time) { return Planner(facts, keep, time).plan(); }

}  // namespace dn
