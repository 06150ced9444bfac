// The one place that speaks to oneDNN: engine, stream, and the convolution primitives of both API generations (2.6 to 3.x).
// Only *_cpu.cpp files of layers and files in this folder include it.
#pragma once

#include <functional>
#include <oneapi/dnnl/dnnl.hpp>

#include "device/cpu/device.h"
#include "tensor/tensor.h"

namespace dn::cpu {

struct OneDnn {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
};

// A convolution of one shape. Padding is the family's (before dilation); groups divide both channel counts.
struct ConvShape {
  Shape in, out;
  int in_block = 1, out_block = 1;   // storage of both tensors
  int size = 1, stride_x = 1, stride_y = 1, padding = 0, dilation = 1, groups = 1;
  std::string text() const;          // "8x32x208x208 64x3x3 s2 p1 d1 g1 b16,16", the key under which a measured choice is remembered
};

enum class ConvDirection { forward, backward_data, backward_weights };

dnnl::memory::desc activation_desc(const TensorDesc& desc);
dnnl::memory::desc bias_desc(const ConvShape& shape);
inline dnnl::memory::desc scratch_desc(size_t bytes) {
  return {{static_cast<dnnl::memory::dim>(bytes)}, dnnl::memory::data_type::u8, dnnl::memory::format_tag::x};
}
dnnl::memory::desc plain_weights_desc(const ConvShape& shape);   // [G,]O,I,H,W as in a .weights file
inline dnnl::memory::format_tag blocked_tag(int block) {
  return block == 16 ? dnnl::memory::format_tag::nChw16c : block == 8 ? dnnl::memory::format_tag::nChw8c : dnnl::memory::format_tag::nchw;
}

// A compiled convolution with the formats it wants for the weights side. Scratch is the caller's.
struct ConvPrimitive {
  dnnl::primitive primitive;
  dnnl::memory::desc src, weights, dst;   // of the direction: diff_* where it computes or reads gradients
  size_t scratch_bytes = 0;
  bool winograd = false;
  bool post_ops = true;              // false: the caller runs ConvOptions::sweep over the output
  std::string implementation;
};

struct ConvOptions {
  bool bias = false;                 // forward only
  bool inference = false;            // forward only; allows formats and algorithms of prop_kind::forward_inference
  dnnl::primitive_attr attributes;   // post-ops
  std::string post_ops_name;         // tells choices with different post-ops apart
  std::function<void(float* dst)> sweep;   // does what `attributes` would, so that an algorithm without post-ops may compete; null: none may
};

// The best implementation for this device's policy (Device::convolution): direct, winograd, or the faster of the two by measurement.
ConvPrimitive make_convolution(Device& device, const ConvShape& shape, ConvDirection direction, const ConvOptions& options = {});
// One algorithm, or an empty primitive when oneDNN has none.
ConvPrimitive try_convolution(Device& device, const ConvShape& shape, ConvDirection direction, bool winograd, const ConvOptions& options);
// Median seconds of a few runs on buffers of its own. Cold: nothing is in the caches when a run starts, as in a network, where a hundred
// megabytes pass between two visits of a layer; warm: the run before left what fits.
enum class Caches { cold, warm };
double time_convolution(Device& device, const ConvShape& shape, ConvDirection direction, const ConvPrimitive& primitive, Caches caches = Caches::cold,
                        const std::function<void(float*)>& sweep = {});

// to = from, or to += from, with conversion between two formats. Made once: making one costs as much as a small layer.
class Reorder {
 public:
  Reorder() = default;
  Reorder(Device& device, const dnnl::memory::desc& from, const dnnl::memory::desc& to, bool accumulate = false);
  void operator()(Device& device, const float* from, float* to) const;

 private:
  dnnl::memory::desc from_, to_;
  dnnl::reorder primitive_;
};

inline dnnl::memory view(Device& device, const dnnl::memory::desc& desc, const void* data) {
  return dnnl::memory(desc, device.onednn().engine, const_cast<void*>(data));
}

}  // namespace dn::cpu
