// The activations of [convolutional] that work on all channels of a pixel (compatibility notes 4.22), with e = 1e-4:
//   normalize_channels                    y_c = max(z_c, 0) / (e + sum_k max(z_k, 0))
//   normalize_channels_softmax            y_c = exp(z_c) / (e + sum_k exp(z_k))
//   normalize_channels_softmax_maxval     y_c = exp(z_c - m) / (e + sum_k exp(z_k - m)),   m = max_k z_k
// Gradients are the derivatives of these; the family's differ between its CPU and GPU code and are neither. With G = sum_k dy_k y_k:
//   dz_c = [z_c > 0] (dy_c - G) / (e + sum max(z, 0));    dz_c = y_c (dy_c - G);    with maxval the first c that is largest gets -e y_c G besides
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "nn/kernel.h"

namespace dn {

namespace cpu {
class Device;
}

inline constexpr double kChannelEps = 1e-4;

enum class ChannelActivation { none, relu, softmax, softmax_maxval };

// Of a cfg; none: it names no such activation.
ChannelActivation channel_activation_from_name(std::string_view name);
// All that [convolutional] knows: those of nn/activation.h and these.
std::span<const std::string_view> convolutional_activation_names();

std::unique_ptr<Kernel> compile_channel_activation(ChannelActivation kind, cpu::Device& device, const KernelArgs& args);

}  // namespace dn
