#include "nn/cuda/group_norm.h"

#include "nn/batch_norm_channel.h"
#include "nn/cuda/normalize.h"

namespace dn::cuda {
namespace {

enum Slot { kMean, kScale, kShift, kInvStd, kSlots };   // each per image and channel

// Images by groups of channels: where the vectors and the sums of each are.
struct Groups {
  int channels, groups, padded;
  size_t vector;   // floats from slot to slot
  double pixels;   // of an image
  DN_HD int per_group() const { return channels / groups; }
  // Of item i = image * groups + group.
  DN_HD size_t in_vector(size_t i) const {
    return i / static_cast<size_t>(groups) * static_cast<size_t>(padded) + i % static_cast<size_t>(groups) * static_cast<size_t>(per_group());
  }
  DN_HD size_t in_sums(size_t i) const { return i * static_cast<size_t>(per_group()); }
  DN_HD size_t channel(size_t i) const { return i % static_cast<size_t>(groups) * static_cast<size_t>(per_group()); }
};

struct KeepPair {   // [images, channels]
  int channels;
  Pair* out;
  DN_HD void operator()(int channel, int image, const Pair& pair, double) const { out[image * channels + channel] = pair; }
};

struct CollectGroup {
  NormSpec spec;
  Groups groups;
  const Pair* moments;
  const float *gamma, *beta;
  float* saved;
  DN_HD void operator()(size_t i) const {
    Moments all;
    for (int k = 0; k < groups.per_group(); ++k) {
      const Pair& one = moments[groups.in_sums(i) + static_cast<size_t>(k)];
      all.merge({groups.pixels, one.a, one.b});
    }
    const double inv_std = batch_norm::inverse_std(spec, all.variance());
    for (int k = 0; k < groups.per_group(); ++k) {
      const size_t at = groups.in_vector(i) + static_cast<size_t>(k), c = groups.channel(i) + static_cast<size_t>(k);
      saved[kMean * groups.vector + at] = static_cast<float>(all.mean);
      saved[kScale * groups.vector + at] = static_cast<float>(gamma[c] * inv_std);
      saved[kShift * groups.vector + at] = beta[c];
      saved[kInvStd * groups.vector + at] = static_cast<float>(inv_std);
    }
  }
};

struct BackwardGroup {
  Groups groups;
  const Pair* sums;
  const float *gamma, *saved;
  float *offset, *slope;
  DN_HD void operator()(size_t i) const {
    double a = 0, b = 0;
    const size_t first = groups.in_vector(i);
    const double s = saved[kInvStd * groups.vector + first], values = groups.pixels * groups.per_group();
    for (int k = 0; k < groups.per_group(); ++k) {
      const Pair& one = sums[groups.in_sums(i) + static_cast<size_t>(k)];
      const double g = gamma[groups.channel(i) + static_cast<size_t>(k)];
      a += g * one.a;
      b += g * one.b;
    }
    for (int k = 0; k < groups.per_group(); ++k) {
      offset[first + static_cast<size_t>(k)] = static_cast<float>(-s * a / values);
      slope[first + static_cast<size_t>(k)] = static_cast<float>(-s * s * s * b / values);
    }
  }
};

// Image by image, so that the sum does not depend on how a batch is cut.
struct DeliverImages {
  Groups groups;
  int images;
  bool trained;
  Write write;
  const Pair* sums;
  const float* saved;
  float *beta, *gamma;
  DN_HD void operator()(size_t c) const {
    for (int n = 0; n < images; ++n) {
      const Pair& one = sums[static_cast<size_t>(n) * static_cast<size_t>(groups.channels) + c];
      const double s = saved[kInvStd * groups.vector + static_cast<size_t>(n) * static_cast<size_t>(groups.padded) + c];
      const Write mode = n == 0 ? write : Write::accumulate;
      deliver_gradient(beta + c, trained ? one.a : 0, mode);
      deliver_gradient(gamma + c, trained ? s * one.b : 0, mode);
    }
  }
};

class GroupNorm : public Norm {
 public:
  GroupNorm(const NormSpec& spec, const TensorDesc& desc, Activation activation, Device& device)
      : spec_(spec),
        strips_(desc, true),
        images_(desc.shape.n),
        vectors_(static_cast<size_t>(desc.padded_channels()) * static_cast<size_t>(desc.shape.n)),
        groups_{desc.shape.c, spec.groups_of(desc.shape.c), desc.padded_channels(), vectors_.bytes(1) / sizeof(float), static_cast<double>(desc.shape.plane())},
        activation_(activation),
        device_(device) {}

  size_t saved_bytes() const override { return vectors_.bytes(kSlots); }
  size_t scratch_bytes() const override { return vectors_.bytes(2) + pair_bytes() + strips_.scratch_bytes(); }

  void collect(const Tensor& x, const NormParams& params, int64_t*, std::byte* saved, std::byte* scratch, const Pass& pass) override {
    if (pass.again) return;
    Stream& stream = device_.stream();
    stream.fill(saved, 0, saved_bytes());   // padding stays zero
    Pair* const moments = pairs(scratch);
    sum_channels(stream, strips_, MomentsSource{view(x)}, scratch + vectors_.bytes(2) + pair_bytes(), KeepPair{groups_.channels, moments});
    for_each(stream, items(), CollectGroup{spec_, groups_, moments, params.gamma.value.data(), params.beta.value.data(), reinterpret_cast<float*>(saved)});
  }

  void apply(const Tensor& x, const std::byte* saved, const Tensor& residual, const Tensor& y) const override {
    normalize_activate(device_.stream(), x, affine(saved), activation_, residual, y);
  }

  void backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, const Pass& pass,
                const Tensor& dx) override {
    Stream& stream = device_.stream();
    float *offset = vectors_.at(scratch, 0), *slope = vectors_.at(scratch, 1);
    const auto* const vectors = reinterpret_cast<const float*>(saved);
    Pair* const sums = pairs(scratch);
    stream.fill(scratch, 0, vectors_.bytes(2));
    gradient_sums(stream, strips_, x, dy, affine(saved), activation_, scratch + vectors_.bytes(2) + pair_bytes(), KeepPair{groups_.channels, sums});
    for_each(stream, items(), BackwardGroup{groups_, sums, params.gamma.value.data(), vectors, offset, slope});
    if (pass.param_grads != Write::none)
      for_each(stream, static_cast<size_t>(groups_.channels),
               DeliverImages{groups_, images_, spec_.trains_affine(), pass.param_grads, sums, vectors, params.beta.grad.data(), params.gamma.grad.data()});
    normalize_activate_backward(stream, x, dy, affine(saved), activation_, {offset, slope}, dx);
  }

 private:
  size_t items() const { return static_cast<size_t>(images_) * static_cast<size_t>(groups_.groups); }
  size_t pair_bytes() const { return round_up(sizeof(Pair) * static_cast<size_t>(images_) * static_cast<size_t>(groups_.channels), size_t{64}); }
  Pair* pairs(std::byte* scratch) const { return reinterpret_cast<Pair*>(scratch + vectors_.bytes(2)); }
  Affine affine(const std::byte* saved) const {
    return {vectors_.at(saved, kMean), vectors_.at(saved, kScale), vectors_.at(saved, kShift), static_cast<size_t>(groups_.padded)};
  }

  NormSpec spec_;
  Strips strips_;
  int images_;
  Vectors vectors_;
  Groups groups_;
  Activation activation_;
  Device& device_;
};

}  // namespace

std::unique_ptr<Norm> make_group_norm(const NormSpec& spec, const TensorDesc& desc, Activation activation, Device& device) {
  return std::make_unique<GroupNorm>(spec, desc, activation, device);
}

}  // namespace dn::cuda
