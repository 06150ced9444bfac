// The convolutions inside a recurrent layer ([crnn], [conv_lstm]): what its section says of all of them. Those behind the input step by `stride`; those
// of the state keep its size, so the size is odd and padded by its half.
#pragma once

#include <array>
#include <vector>

#include "config/keys.h"
#include "config/norm_spec.h"
#include "nn/activation.h"

namespace dn {

struct ConvPartSpec {
  int size = 3, stride = 1, padding = 0, dilation = 1, groups = 1;
  bool pad = false;
  std::string activation = "logistic";

  int border() const { return pad ? size / 2 : padding; }
};

// The rows of Spec, which derives from it.
template <class Spec>
std::vector<Key<Spec>> with_conv_part_keys(std::vector<Key<Spec>> keys) {
  const std::array<Key<Spec>, 7> shared = {{
      {"size", &Spec::size, 1, 63, "side of the square kernels, odd"},
      {"stride", &Spec::stride, 1, 64, "step of the kernel on the input; behind it sizes stay"},
      {"pad", &Spec::pad, 0, 0, "1: padding = size / 2"},
      {"padding", &Spec::padding, 0, 64, "zero border on each side, when pad is 0"},
      {"dilation", &Spec::dilation, 1, 64, "distance between kernel taps"},
      {"groups", &Spec::groups, 1, 65536, "channels are cut into this many independent groups, in all convolutions"},
      {"activation", &Spec::activation, 0, 0, "activation function of all convolutions", activation_names()},
  }};
  keys.insert(keys.end(), shared.begin(), shared.end());
  return keys;
}

// Binary convolutions, which are refused.
void bind_conv_part_foreign(const Section& section, Problems& problems);
// After the section was bound: a state that could not keep its size, statistics that steps of time do not have, channels that groups do not divide.
void check_conv_parts(const Section& section, const ConvPartSpec& spec, const NormSpec& norm, Problems& problems);
void check_part_channels(const Section& section, std::string_view key, int channels, int groups, Problems& problems);
// The section of one of them.
Section conv_part_section(const Section& section, const ConvPartSpec& spec, int filters, bool strided);

}  // namespace dn
