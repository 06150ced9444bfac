// One direction of a convolution on a stream, from host to host.
#pragma once

#include <vector>

#include "base/rng.h"
#include "device/cuda/convolution.h"
#include "tensor/half.h"

namespace dn::testing {

inline DType type_of_y(const cuda::ConvProblem& p) { return p.wide ? DType::f32 : p.dtype; }

inline size_t weight_count(const cuda::ConvProblem& p) { return static_cast<size_t>(p.out.c) * static_cast<size_t>(p.weights_per_filter()); }

inline uint16_t narrowed(float value, DType type) { return type == DType::bf16 ? to_bf16(value) : to_f16(value); }
inline float widened(uint16_t bits, DType type) { return type == DType::bf16 ? from_bf16(bits) : from_f16(bits); }

// Values that storage of that type holds exactly.
std::vector<float> random_values(size_t count, DType type, uint64_t seed);

// In the form of the device: [N,H,W,C], [K,R,S,C]. What is written, and the workspace, is NaN before.
std::vector<float> run_convolution(cuda::Stream& stream, const cuda::Convolution& convolution, const cuda::ConvProblem& problem,
                                   cuda::ConvDirection direction, const std::vector<float>& first, const std::vector<float>& second);

}  // namespace dn::testing
