// Group normalization (Wu and He 2018) and its borders: statistics of one image over the pixels of each group of channels. ln: one group; in: a
// group per channel. Nothing depends on other images, so nothing runs along and subdivisions are invisible bit for bit.
//   M values of a group, d = gamma dz:  dx = s (d - sum d / M - xh sum(d xh) / M)     (normalization notes, section 7)
#pragma once

#include "nn/norm.h"

namespace dn {

class GroupNorm : public Norm {
 public:
  GroupNorm(const NormSpec& spec, const TensorDesc& desc, Activation activation, int threads)
      : spec_(spec),
        desc_(desc),
        vectors_(static_cast<size_t>(desc.padded_channels()) * static_cast<size_t>(desc.shape.n)),
        activation_(activation),
        threads_(threads) {}

  size_t saved_bytes() const override { return vectors_.bytes(4); }
  size_t backward_scratch_bytes() const override { return vectors_.bytes(2); }
  void collect(const Tensor& x, const NormParams& params, std::byte* saved, const Pass& pass) override;
  void apply(const Tensor& x, const NormParams& params, const std::byte* saved, const Tensor& y) const override;
  void backward(const Tensor& x, const Tensor& dy, const NormParams& params, const std::byte* saved, std::byte* scratch, const Pass& pass,
                const Tensor& dx) override;

 private:
  enum Slot { kMean, kScale, kShift, kInvStd };   // each per image and channel
  size_t channels() const { return static_cast<size_t>(desc_.shape.c); }
  size_t row() const { return static_cast<size_t>(desc_.padded_channels()); }
  // body(index of the group's first value in a vector, index among images x channels, channels): image by image.
  template <class Body>
  void for_groups(const Body& body) const;
  ChannelAffine affine(const std::byte* saved) const { return {vectors_.at(saved, kMean), vectors_.at(saved, kScale), vectors_.at(saved, kShift), row()}; }

  NormSpec spec_;
  TensorDesc desc_;
  Vectors vectors_;
  Activation activation_;
  int threads_;
};

}  // namespace dn
