// Convolution primitives of oneDNN 2.6 (operation descriptors) and 3.x (primitive descriptors directly), and the choice between direct and Winograd.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "base/aligned.h"
#include "device/cpu/conv_choice.h"
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
memory::desc bias_desc(const ConvShape& s) { return memory::desc({s.out.c}, memory::data_type::f32, memory::format_tag::x); }

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

std::string key_of(const Device& device, const ConvShape& shape, ConvDirection direction, const ConvOptions& options) {
  const char* names[] = {"forward", "backward-data", "backward-weights"};
  return concat(options.inference ? "inference" : names[static_cast<int>(direction)], " ", shape.text(), " t", device.threads());
}

// Winograd F(4x4,3x3) exists for 3x3, stride 1, one group; asking oneDNN for anything else only costs time.
bool winograd_possible(const ConvShape& s) { return s.size == 3 && s.stride_x == 1 && s.stride_y == 1 && s.groups == 1 && s.dilation == 1; }

}  // namespace

std::string ConvShape::text() const {
  return concat(in.n, "x", in.c, "x", in.h, "x", in.w, " ", out.c, "x", size, "x", size, " s", stride_x, ",", stride_y, " p", padding, " d", dilation, " g",
                groups, " b", in_block, ",", out_block);
}

memory::desc activation_desc(const TensorDesc& desc) {
  const Shape& s = desc.shape;
  return memory::desc({s.n, s.c, s.h, s.w}, memory::data_type::f32, blocked_tag(desc.block));
}

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

double time_convolution(Device& device, const ConvShape& shape, ConvDirection direction, const ConvPrimitive& conv) {
  AlignedFloats src(conv.src.get_size() / 4 + 1, .5f), weights(conv.weights.get_size() / 4 + 1, .01f), dst(conv.dst.get_size() / 4 + 1, .5f);
  AlignedFloats bias(static_cast<size_t>(round_up(shape.out.c, 16)), 0.f), scratch(conv.scratch_bytes / 4 + 16);
  const memory s = view(device, conv.src, src.data()), w = view(device, conv.weights, weights.data()), d = view(device, conv.dst, dst.data());
  const memory b = view(device, bias_desc(shape), bias.data());
  const memory pad(memory::desc({static_cast<memory::dim>(conv.scratch_bytes)}, memory::data_type::u8, memory::format_tag::x), device.onednn().engine,
                   scratch.data());
  std::unordered_map<int, memory> args{{DNNL_ARG_SCRATCHPAD, pad}, {DNNL_ARG_BIAS, b}};
  if (direction == ConvDirection::forward)
    args.insert({{DNNL_ARG_SRC, s}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DST, d}});
  else if (direction == ConvDirection::backward_data)
    args.insert({{DNNL_ARG_DIFF_SRC, s}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DIFF_DST, d}});
  else
    args.insert({{DNNL_ARG_SRC, s}, {DNNL_ARG_DIFF_WEIGHTS, w}, {DNNL_ARG_DIFF_DST, d}});
  std::vector<double> seconds;
  for (int run = 0; run < 4; ++run) {
    const auto start = std::chrono::steady_clock::now();
    conv.primitive.execute(device.onednn().stream, args);
    device.onednn().stream.wait();
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return *std::min_element(seconds.begin() + 1, seconds.end());  // the first run warms caches and pages; the rest differ by disturbances only
}

ConvPrimitive make_convolution(Device& device, const ConvShape& shape, ConvDirection direction, const ConvOptions& options) {
  const bool allowed = device.convolution() != ConvAlgorithm::direct && winograd_possible(shape);
  ConvPrimitive winograd = allowed ? try_convolution(device, shape, direction, true, options) : ConvPrimitive{};
  if (winograd.primitive && device.convolution() == ConvAlgorithm::winograd) return winograd;
  ConvPrimitive direct = try_convolution(device, shape, direction, false, options);
  if (!direct.primitive) fail("oneDNN has no convolution for ", shape.text());
  if (!winograd.primitive) return direct;
  const std::string key = key_of(device, shape, direction, options);
  std::optional<bool> choice = remembered_choice(key);
  if (!choice) {
    choice = time_convolution(device, shape, direction, winograd) < time_convolution(device, shape, direction, direct);
    remember_choice(key, *choice);
  }
  return *choice ? winograd : direct;
}

bool is_identity_reorder(const memory::desc& a, const memory::desc& b) { return a == b; }

void reorder(Device& device, const memory::desc& from_desc, const float* from, const memory::desc& to_desc, float* to, bool accumulate) {
  OneDnn& dn = device.onednn();
  dnnl::primitive_attr attr;
  if (accumulate) {
    dnnl::post_ops ops;
    ops.append_sum(1.0f);
    attr.set_post_ops(ops);
  }
  const dnnl::reorder::primitive_desc pd(dn.engine, from_desc, dn.engine, to_desc, attr);
  memory source = view(device, from_desc, from), target = view(device, to_desc, to);
  dnnl::reorder(pd).execute(dn.stream, source, target);
  dn.stream.wait();
}

}  // namespace dn::cpu
