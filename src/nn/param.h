// Everything learned is flat: one array of values, one of gradients, one of each optimizer state, all with the same index.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/aligned.h"
#include "base/error.h"
#include "nn/norm_history.h"

namespace dn {

enum class ParamRole { bias, scale, running_mean, running_variance, weight };

enum class Init { zero, one, uniform };

// What a layer asks for; listed in the order of the .weights file.
struct ParamSpec {
  std::string name;        // "biases", "scales", "rolling_mean", "rolling_variance", "weights"
  ParamRole role = ParamRole::weight;
  size_t count = 0;        // floats, canonical order (OIHW for convolution weights)
  Init init = Init::zero;
  double init_range = 0;   // uniform in init_mean + [-range, range]
  bool decays = false;     // weight decay applies
  float clip_gradient = 0; // >0: the summed gradient is clamped to +-this before the update
  std::vector<size_t> shape = {};  // in a .safetensors file, its product is `count`; empty: {count}
  double init_mean = 0;    // uniform about this
};

struct ParamSegment {
  int layer = 0;
  ParamSpec spec;
  size_t offset = 0;       // into values and grads
  bool trained() const { return spec.role != ParamRole::running_mean && spec.role != ParamRole::running_variance; }
};

class ParamStore;

// A device's copy of all parameters. Where its numbers are newer than the store's, the store brings them when somebody reads them.
class ParamCopy {
 public:
  virtual ~ParamCopy() = default;
  // values, NormState::updates; gradients.
  virtual void fetch_values(ParamStore& store) = 0;
  virtual void fetch_grads(ParamStore& store) = 0;
};

class ParamStore {
 public:
  void add(int layer, const ParamSpec& spec);       // before allocate()
  void share(int layer, int of);                    // `layer` computes with what `of`, an earlier layer, has; before allocate()
  void allocate();                                  // values zero, no gradients yet
  void allocate_grads();                            // on the first training plan
  void initialize(uint64_t seed);                   // each segment from its own stream

  const std::vector<ParamSegment>& segments() const { return segments_; }
  std::vector<const ParamSegment*> of_layer(int layer) const;   // its own: what files hold for it
  std::vector<const ParamSegment*> used_by(int layer) const { return of_layer(owner(layer)); }
  int owner(int layer) const;                       // whose parameters it computes with: its own, but where they are shared
  size_t count() const { return count_; }           // floats
  std::span<float> values() { return current().values_; }
  std::span<const float> values() const { return current().values_; }
  std::span<float> grads();                         // true gradient of the loss summed over the batch's images
  std::span<float> values(const ParamSegment& s) { return values().subspan(s.offset, s.spec.count); }
  std::span<const float> values(const ParamSegment& s) const { return values().subspan(s.offset, s.spec.count); }
  std::span<float> grads(const ParamSegment& s) { return grads().subspan(s.offset, s.spec.count); }

  // The copy on a device, null without one; it follows version().
  const std::shared_ptr<ParamCopy>& copy() const { return copy_; }
  void attach(std::shared_ptr<ParamCopy> copy) { copy_ = std::move(copy); }
  // The copy has newer values (running statistics; after touch() also weights), newer gradients.
  void values_are_in_copy() { stale_values_ = true; }
  void grads_are_in_copy() { stale_grads_ = true; }

  // The running statistics of all layers, one after another.
  std::vector<float> statistics() const;
  void set_statistics(std::span<const float> statistics);

  // Increases whenever weights change, so that kernels repack their copies lazily.
  uint64_t version() const { return version_; }
  void touch();

  // Loading a layer sets its updates to kWarm: what was trained does not start anew.
  static constexpr int64_t kWarm = int64_t{1} << 40;
  NormState& norm_state(int layer) {
    current();
    const size_t at = static_cast<size_t>(owner(layer));
    if (norm_states_.size() <= at) norm_states_.resize(at + 1);
    return norm_states_[at];
  }
  int64_t norm_updates(int layer) const {
    current();
    const size_t at = static_cast<size_t>(owner(layer));
    return at < norm_states_.size() ? norm_states_[at].updates : 0;
  }
  bool has_statistics(int layer) const { return norm_updates(layer) > 0; }

 private:
  ParamStore& current() { return const_cast<ParamStore&>(std::as_const(*this).current()); }
  const ParamStore& current() const {
    if (stale_values_) [[unlikely]] fetch();
    return *this;
  }
  void fetch() const;

  std::vector<ParamSegment> segments_;
  AlignedFloats values_, grads_;
  std::shared_ptr<ParamCopy> copy_;
  mutable bool stale_values_ = false;
  bool stale_grads_ = false;
  std::vector<NormState> norm_states_;
  std::vector<int> owners_;                         // per layer up to the last that shares
  size_t count_ = 0;
  uint64_t version_ = 1;
};

// A kernel's view of one of its parameters. grad is empty outside training.
struct ParamView {
  std::span<float> value, grad;
};

}  // namespace dn
