// Batch normalization and its neighbours that work by channel: running statistics only, no normalization at all. Formulas: nn/batch_norm.h.
#include "nn/batch_norm_channel.h"
#include "nn/cuda/group_norm.h"
#include "nn/cuda/norm.h"
#include "nn/cuda/normalize.h"

namespace dn::cuda {
namespace {

namespace bn = batch_norm;

// The vectors of `saved`, one behind the other.
struct SavedVectors {
  float* first;
  size_t stride;   // floats
  DN_HD float* at(int slot) const { return first + static_cast<size_t>(slot) * stride; }
  DN_HD bn::Saved of(int c) const {
    bn::Saved out;
    for (int slot = 0; slot < bn::kSlots; ++slot) out.v[slot] = at(slot)[c];
    return out;
  }
  DN_HD void set(int c, const bn::Saved& values) const {
    for (int slot = 0; slot < bn::kSlots; ++slot) at(slot)[c] = values.v[slot];
  }
};

struct ChannelParams {
  const float *gamma, *beta;
  float *mean, *variance;
};

// What the kernels of a call know of it; the numbers of the pass are on the device.
struct CallSource {
  const PassNumbers* numbers;
  Pass::Stage stage;
  DN_HD bn::Call call() const { return {stage, numbers->micro_step, numbers->micro_steps, static_cast<double>(numbers->iteration)}; }
};

// A channel's statistics are known: what normalizes it, its vectors, its running statistics.
struct CollectFinish {
  NormSpec spec;
  CallSource source;
  bn::Channel* state;
  Moments* stored;   // exact: [micro-steps, channels]
  int channels;
  ChannelParams params;
  const int64_t* updates;
  SavedVectors saved;
  DN_HD void operator()(int c, int, const Pair& pair, double count) const {
    const bn::Call call = source.call();
    const Moments own{count, pair.a, pair.b};
    bn::Channel& channel = state[c];
    const Moments used = bn::pool(spec, own, channel, stored + static_cast<size_t>(call.micro_step) * static_cast<size_t>(channels) + static_cast<size_t>(c), call);
    channel.count = used.count;
    if (spec.kind == NormKind::brn && call.stage != Pass::Stage::estimate)
      saved.set(c, bn::renormalized(spec, own, params.gamma[c], params.beta[c], params.mean[c], params.variance[c], *updates, call.iteration));
    else
      saved.set(c, bn::vectors(spec, used, own, params.gamma[c], params.beta[c]));
    const bn::Move move = bn::move_of(spec, call);
    if (move == bn::Move::none) return;
    const Moments& m = move == bn::Move::own ? own : move == bn::Move::used ? used : channel.pool;
    bn::move_running(spec, m, bn::running_weight(spec, *updates + 1, call), move == bn::Move::set, params.mean[c], params.variance[c]);
  }
};

// The running statistics have moved once more.
struct CountUpdate {
  NormSpec spec;
  CallSource source;
  int64_t* updates;
  DN_HD void operator()(size_t) const {
    const bn::Move move = bn::move_of(spec, source.call());
    if (move == bn::Move::none) return;
    if (move != bn::Move::set || *updates == 0) ++*updates;
  }
};

struct ConstantVectors {
  NormSpec spec;
  ChannelParams params;
  SavedVectors saved;
  DN_HD void operator()(size_t c) const {
    saved.set(static_cast<int>(c), spec.kind != NormKind::none ? bn::constant(spec, params.gamma[c], params.beta[c], params.mean[c], params.variance[c])
                                              : bn::Saved{{0, 1, 1, params.beta[c]}});
  }
};

// Parameter gradients of a channel and, with batch statistics, what dx gets beside scale dz.
struct BackwardFinish {
  NormSpec spec;
  CallSource source;
  bool constant, trained;
  Write write;
  bn::Channel* state;
  const Moments* stored;
  int channels;
  const float* gamma;
  SavedVectors saved;
  float *beta_grad, *gamma_grad;   // null: none
  float *offset, *slope;
  DN_HD void operator()(int c, int, const Pair& sums, double) const {
    const bn::Saved values = saved.of(c);
    if (beta_grad) deliver_gradient(beta_grad + c, trained ? sums.a : 0, write);
    if (gamma_grad) deliver_gradient(gamma_grad + c, trained ? bn::gamma_gradient(spec, sums.a, sums.b, values) : 0, write);
    if (constant) return;
    const bn::Call call = source.call();
    const size_t at = static_cast<size_t>(call.micro_step) * static_cast<size_t>(channels) + static_cast<size_t>(c);
    const bn::Bracket b = bn::exact(spec) ? bn::exact_bracket(sums.a, sums.b, gamma[c], values, stored[at], state[c], call)
                                          : bn::bracket(spec, sums.a, sums.b, values, state[c]);
    offset[c] = static_cast<float>(b.offset), slope[c] = static_cast<float>(b.slope);
  }
};

class ChannelNorm : public Norm {
 public:
  ChannelNorm(const NormSpec& spec, const TensorDesc& desc, Activation activation, Device& device, bool constant)
      : spec_(spec),
        constant_(constant || !spec.any() || spec.keeps_statistics()),
        strips_(desc, false),
        vectors_(static_cast<size_t>(desc.padded_channels())),
        activation_(activation),
        device_(device) {
    if (!constant_) state_ = device.allocate(sizeof(bn::Channel) * static_cast<size_t>(strips_.channels));
  }

  size_t saved_bytes() const override { return vectors_.bytes(bn::kSlots); }
  size_t scratch_bytes() const override { return vectors_.bytes(2) + strips_.scratch_bytes(); }

  void prepare(const Pass& pass) override {
    if (constant_ || !bn::exact(spec_) || pass.stage == Pass::Stage::estimate) return;   // which keeps none: steps that are recorded hold the address
    const size_t bytes = sizeof(Moments) * static_cast<size_t>(strips_.channels) * static_cast<size_t>(pass.micro_steps);
    if (!stored_ || stored_->bytes() < bytes) stored_ = device_.allocate(bytes);
  }

  void collect(const Tensor& x, const NormParams& params, int64_t* updates, std::byte* saved, std::byte* scratch, const Pass& pass) override {
    if (pass.again) return;
    Stream& stream = device_.stream();
    stream.fill(saved, 0, saved_bytes());   // padding stays zero
    const ChannelParams channel{params.gamma.value.data(), params.beta.value.data(), params.mean.value.data(), params.variance.value.data()};
    if (constant_) return for_each(stream, static_cast<size_t>(strips_.channels), ConstantVectors{spec_, channel, slots(saved)});
    const CallSource call{device_.numbers(), pass.stage};
    sum_channels(stream, strips_, MomentsSource{view(x)}, scratch + vectors_.bytes(2),
                 CollectFinish{spec_, call, state(), stored(), strips_.channels, channel, updates, slots(saved)});
    for_each(stream, 1, CountUpdate{spec_, call, updates});
  }

  void apply(const Tensor& x, const std::byte* saved, const Tensor& residual, const Tensor& y) const override {
    normalize_activate(device_.stream(), x, affine(saved), activation_, residual, y);
  }

  void backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, const Pass& pass,
                const Tensor& dx) override {
    Stream& stream = device_.stream();
    float *offset = vectors_.at(scratch, 0), *slope = vectors_.at(scratch, 1);
    const bool none = pass.param_grads == Write::none;
    const BackwardFinish finish{spec_, {device_.numbers(), pass.stage}, constant_, !spec_.any() || spec_.trains_affine(), pass.param_grads,
                                state(), stored(), strips_.channels, params.gamma.value.data(), slots(const_cast<std::byte*>(saved)),
                                none ? nullptr : params.beta.grad.data(), none ? nullptr : params.gamma.grad.data(), offset, slope};
    if (!constant_) stream.fill(scratch, 0, vectors_.bytes(2));
    gradient_sums(stream, strips_, x, dy, affine(saved), activation_, scratch + vectors_.bytes(2), finish);
    if (!spec_.any() && activation_ == Activation::linear && dx.data == dy.data) return;   // it is there already
    normalize_activate_backward(stream, x, dy, affine(saved), activation_, constant_ ? GradientPart{} : GradientPart{offset, slope}, dx);
  }

 private:
  SavedVectors slots(std::byte* saved) const { return {vectors_.at(saved, 0), vectors_.bytes(1) / sizeof(float)}; }
  Affine affine(const std::byte* saved) const { return {vectors_.at(saved, bn::kMean), vectors_.at(saved, bn::kScale), vectors_.at(saved, bn::kShift)}; }
  bn::Channel* state() const { return state_ ? reinterpret_cast<bn::Channel*>(state_->data()) : nullptr; }
  Moments* stored() const { return stored_ ? reinterpret_cast<Moments*>(stored_->data()) : nullptr; }

  NormSpec spec_;
  bool constant_;
  Strips strips_;
  Vectors vectors_;
  Activation activation_;
  Device& device_;
  std::unique_ptr<DeviceMemory> state_, stored_;
};

}  // namespace

bool has_norm(const NormSpec& spec, bool constant) {
  if (spec.kind == NormKind::lnc || spec.kind == NormKind::frn) return false;
  constant |= !spec.any() || spec.keeps_statistics();
  return constant || (spec.scope != NormScope::window && !spec.sync);
}

std::unique_ptr<Norm> make_norm(const NormSpec& spec, const TensorDesc& desc, Activation activation, Device& device, bool constant) {
  if (!has_norm(spec, constant)) return nullptr;
  if (spec.kind == NormKind::gn || spec.kind == NormKind::ln || spec.kind == NormKind::in) return make_group_norm(spec, desc, activation, device);
  return std::make_unique<ChannelNorm>(spec, desc, activation, device, constant);
}

}  // namespace dn::cuda
