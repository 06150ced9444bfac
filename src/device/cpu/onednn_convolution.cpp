// Convolution primitives of oneDNN 2.6 (operation descriptors) and 3.x (primitive descriptors directly).
#include "device/cpu/onednn.h"

namespace dn::cpu {
namespace {

using dnnl::memory;

struct Geometry {
  memory::dims strides, dilates, padding;
};

Geometry geometry(const ConvShape& s) {
  const memory::dim pad = static_cast<memory::dim>(s.padding) * s.dilation;
  return {{s.stride_y, s.stride_x}, {s.dilation - 1, s.dilation - 1}, {pad, pad}};
}

memory::dims weight_dims(const ConvShape& s) {
  if (s.groups == 1) return {s.out.c, s.in.c, s.size, s.size};
  return {s.groups, s.out.c / s.groups, s.in.c / s.groups, s.size, s.size};
}

memory::desc any_weights(const ConvShape& s) { return memory::desc(weight_dims(s), memory::data_type::f32, memory::format_tag::any); }

dnnl::algorithm algorithm(bool winograd) { return winograd ? dnnl::algorithm::convolution_winograd : dnnl::algorithm::convolution_direct; }

dnnl::convolution_forward::primitive_desc forward_pd(OneDnn& dn, const ConvShape& s, bool winograd, const ConvOptions& o, const dnnl::primitive_attr& attr) {
  const Geometry g = geometry(s);
  const auto kind = o.inference ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training;
  const memory::desc src = activation_desc({s.in, s.in_block}), dst = activation_desc({s.out, s.out_block});
  const memory::desc bias = o.bias ? bias_desc(s) : memory::desc();
#if DNNL_VERSION_MAJOR >= 3
  return {dn.engine, kind, algorithm(winograd), src, any_weights(s), bias, dst, g.strides, g.dilates, g.padding, g.padding, attr, true};
#else
  const dnnl::convolution_forward::desc d(kind, algorithm(winograd), src, any_weights(s), bias, dst, g.strides, g.dilates, g.padding, g.padding);
  return {d, attr, dn.engine, true};
#endif
}

// The forward hint of the backward primitives; its own algorithm must agree with theirs.
dnnl::convolution_forward::primitive_desc hint(OneDnn& dn, const ConvShape& s, bool winograd) { return forward_pd(dn, s, winograd, {}, {}); }

dnnl::convolution_backward_data::primitive_desc data_pd(OneDnn& dn, const ConvShape& s, bool winograd, const dnnl::primitive_attr& attr) {
  const Geometry g = geometry(s);
  const memory::desc src = activation_desc({s.in, s.in_block}), dst = activation_desc({s.out, s.out_block});
  const auto forward = hint(dn, s, winograd);
  if (!forward) return {};
#if DNNL_VERSION_MAJOR >= 3
  return {dn.engine, algorithm(winograd), src, any_weights(s), dst, g.strides, g.dilates, g.padding, g.padding, forward, attr, true};
#else
  const dnnl::convolution_backward_data::desc d(algorithm(winograd), src, any_weights(s), dst, g.strides, g.dilates, g.padding, g.padding);
  return {d, attr, dn.engine, forward, true};
#endif
}

dnnl::convolution_backward_weights::primitive_desc weights_pd(OneDnn& dn, const ConvShape& s, bool winograd, const dnnl::primitive_attr& attr) {
  const Geometry g = geometry(s);
  const memory::desc src = activation_desc({s.in, s.in_block}), dst = activation_desc({s.out, s.out_block});
  const auto forward = hint(dn, s, winograd);
  if (!forward) return {};
#if DNNL_VERSION_MAJOR >= 3
  return {dn.engine, algorithm(winograd), src, any_weights(s), dst, g.strides, g.dilates, g.padding, g.padding, forward, attr, true};
#else
  const dnnl::convolution_backward_weights::desc d(algorithm(winograd), src, any_weights(s), dst, g.strides, g.dilates, g.padding, g.padding);
  return {d, attr, dn.engine, forward, true};
#endif
}

}  // namespace

std::string ConvShape::text() const {
  return concat(in.n, "x", in.c, "x", in.h, "x", in.w, " ", out.c, "x", size, "x", size, " s", stride_x, ",", stride_y, " p", padding, " d", dilation, " g",
                groups, " b", in_block, ",", out_block);
}

memory::desc activation_desc(const TensorDesc& desc) {
  const Shape& s = desc.shape;
  return memory::desc({s.n, s.c, s.h, s.w}, memory::data_type::f32, blocked_tag(desc.block));
}

memory::desc bias_desc(const ConvShape& s) { return memory::desc({s.out.c}, memory::data_type::f32, memory::format_tag::x); }

memory::desc plain_weights_desc(const ConvShape& s) {
  return memory::desc(weight_dims(s), memory::data_type::f32, s.groups == 1 ? memory::format_tag::oihw : memory::format_tag::goihw);
}

ConvPrimitive try_convolution(Device& device, const ConvShape& shape, ConvDirection direction, bool winograd, const ConvOptions& options) {
  OneDnn& dn = device.onednn();
  dnnl::primitive_attr attr = options.attributes;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  ConvPrimitive out;
  const auto fill = [&](const auto& pd) {
    out.scratch_bytes = pd.scratchpad_desc().get_size();
    out.implementation = pd.impl_info_str();
    out.winograd = winograd;
  };
  if (direction == ConvDirection::forward) {
    const auto pd = forward_pd(dn, shape, winograd, options, attr);
    if (!pd) return {};
    fill(pd), out.src = pd.src_desc(), out.weights = pd.weights_desc(), out.dst = pd.dst_desc();
    out.primitive = dnnl::convolution_forward(pd);
  } else if (direction == ConvDirection::backward_data) {
    const auto pd = data_pd(dn, shape, winograd, attr);
    if (!pd) return {};
    fill(pd), out.src = pd.diff_src_desc(), out.weights = pd.weights_desc(), out.dst = pd.diff_dst_desc();
    out.primitive = dnnl::convolution_backward_data(pd);
  } else {
    const auto pd = weights_pd(dn, shape, winograd, attr);
    if (!pd) return {};
    fill(pd), out.src = pd.src_desc(), out.weights = pd.diff_weights_desc(), out.dst = pd.diff_dst_desc();
    out.primitive = dnnl::convolution_backward_weights(pd);
  }
  return out;
}

Reorder::Reorder(Device& device, const memory::desc& from, const memory::desc& to, bool accumulate) : from_(from), to_(to) {
  dnnl::primitive_attr attr;
  if (accumulate) {
    dnnl::post_ops ops;
    ops.append_sum(1.0f);
    attr.set_post_ops(ops);
  }
  const dnnl::engine& engine = device.onednn().engine;
  primitive_ = dnnl::reorder(dnnl::reorder::primitive_desc(engine, from, engine, to, attr));
}

void Reorder::operator()(Device& device, const float* from, float* to) const {
  memory source = view(device, from_, from), target = view(device, to_, to);
  primitive_.execute(device.onednn().stream, source, target);
  device.onednn().stream.wait();
}

}  // namespace dn::cpu
