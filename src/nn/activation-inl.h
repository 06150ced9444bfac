// Vector forms of nn/activation.h for Highway targets; included once per target by the sweeps. NaN in gives NaN out.
#if defined(DN_NN_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef DN_NN_ACTIVATION_INL_H_
#undef DN_NN_ACTIVATION_INL_H_
#else
#define DN_NN_ACTIVATION_INL_H_
#endif

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include "nn/activation.h"

HWY_BEFORE_NAMESPACE();
namespace dn {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

template <class D, class V>
HWY_INLINE V bounded_exp(D d, V z) {
  return hn::Exp(d, hn::Min(hn::Max(z, hn::Set(d, -87.0f)), hn::Set(d, 87.0f)));
}

template <class D, class V>
HWY_INLINE V keep_nan(V z, V result) {
  return hn::IfThenElse(hn::IsNaN(z), z, result);
}

template <class D, class V>
HWY_INLINE V sigmoid(D d, V z) {
  const V one = hn::Set(d, 1.0f);
  return keep_nan<D>(z, hn::Div(one, hn::Add(one, bounded_exp(d, hn::Neg(z)))));
}

// tanh(softplus(z)) = n / (n + 2) with n = e^z (e^z + 2); above 20 it is 1 to the last bit.
template <class D, class V>
HWY_INLINE V mish_gate(D d, V z, V* e_out, V* n_out) {
  const V two = hn::Set(d, 2.0f);
  const V e = hn::Exp(d, hn::Min(hn::Max(z, hn::Set(d, -87.0f)), hn::Set(d, 20.0f)));
  const V n = hn::Mul(e, hn::Add(e, two));
  *e_out = e;
  *n_out = n;
  return hn::Div(n, hn::Add(n, two));
}

template <class D, class V>
HWY_INLINE V gelu_argument(D d, V z) {
  return hn::Mul(z, hn::MulAdd(hn::Mul(z, z), hn::Set(d, .035677f), hn::Set(d, .797885f)));
}

template <Activation A, class D, class V = hn::Vec<D>>
HWY_INLINE V act(D d, V z) {
  const V zero = hn::Zero(d), one = hn::Set(d, 1.0f);
  const auto k = [&](float value) HWY_ATTR { return hn::Set(d, value); };
  if constexpr (A == Activation::linear) return z;
  if constexpr (A == Activation::logistic) return sigmoid(d, z);
  if constexpr (A == Activation::loggy) return hn::Sub(hn::Mul(k(2), sigmoid(d, z)), one);
  if constexpr (A == Activation::relu) return hn::IfThenElse(hn::Lt(z, zero), zero, z);
  if constexpr (A == Activation::relu6) return hn::IfThenElse(hn::Lt(z, zero), zero, hn::IfThenElse(hn::Gt(z, k(6)), k(6), z));
  if constexpr (A == Activation::elu) return hn::IfThenElse(hn::Ge(z, zero), z, hn::Expm1(d, hn::Max(z, k(-87))));
  if constexpr (A == Activation::selu)
    return hn::IfThenElse(hn::Ge(z, zero), hn::Mul(k(1.0507f), z), hn::Mul(k(1.0507f * 1.6732f), hn::Expm1(d, hn::Max(z, k(-87)))));
  if constexpr (A == Activation::gelu) return keep_nan<D>(z, hn::Mul(hn::Mul(k(.5f), z), hn::Add(one, hn::Tanh(d, gelu_argument(d, z)))));
  if constexpr (A == Activation::relie) return hn::Max(z, hn::Mul(k(.01f), z));
  if constexpr (A == Activation::ramp) return hn::Add(hn::IfThenElse(hn::Lt(z, zero), zero, z), hn::Mul(k(.1f), z));
  if constexpr (A == Activation::leaky || A == Activation::revleaky) return hn::Max(z, hn::Mul(k(.1f), z));
  if constexpr (A == Activation::tanh) return keep_nan<D>(z, hn::Tanh(d, z));
  if constexpr (A == Activation::plse)
    return hn::IfThenElse(hn::Lt(z, k(-4)), hn::Mul(k(.01f), hn::Add(z, k(4))),
                          hn::IfThenElse(hn::Gt(z, k(4)), hn::MulAdd(k(.01f), hn::Sub(z, k(4)), one), hn::MulAdd(k(.125f), z, k(.5f))));
  if constexpr (A == Activation::stair) {
    const V n = hn::Floor(z), half = hn::Floor(hn::Mul(z, k(.5f)));
    const auto even = hn::Eq(hn::Mul(hn::Floor(hn::Mul(n, k(.5f))), k(2)), n);
    return hn::IfThenElse(even, half, hn::Add(hn::Sub(z, n), half));
  }
  if constexpr (A == Activation::hardtan) return hn::IfThenElse(hn::Lt(z, k(-1)), k(-1), hn::IfThenElse(hn::Gt(z, one), one, z));
  if constexpr (A == Activation::lhtan)
    return hn::IfThenElse(hn::Lt(z, zero), hn::Mul(k(.001f), z),
                          hn::IfThenElse(hn::Gt(z, one), hn::MulAdd(k(.001f), hn::Sub(z, one), one), z));
  if constexpr (A == Activation::swish) return hn::Mul(z, sigmoid(d, z));
  if constexpr (A == Activation::mish) {
    V e, n;
    return hn::Mul(z, mish_gate(d, z, &e, &n));  // z carries a NaN through
  }
  if constexpr (A == Activation::hard_mish)
    return hn::IfThenElse(hn::Gt(z, zero), z, hn::IfThenElse(hn::Le(z, k(-2)), zero, hn::MulAdd(hn::Mul(z, k(.5f)), z, z)));
}

template <Activation A, class D, class V = hn::Vec<D>>
HWY_INLINE V slope(D d, V z) {
  const V zero = hn::Zero(d), one = hn::Set(d, 1.0f);
  const auto k = [&](float value) HWY_ATTR { return hn::Set(d, value); };
  const auto when = [&](auto mask, float yes, float no) HWY_ATTR { return hn::IfThenElse(mask, hn::Set(d, yes), hn::Set(d, no)); };
  if constexpr (A == Activation::linear) return one;
  if constexpr (A == Activation::logistic) {
    const V s = sigmoid(d, z);
    return hn::Mul(s, hn::Sub(one, s));
  }
  if constexpr (A == Activation::loggy) {
    const V s = sigmoid(d, z);
    return hn::Mul(hn::Mul(k(2), s), hn::Sub(one, s));
  }
  if constexpr (A == Activation::relu) return when(hn::Gt(z, zero), 1, 0);
  if constexpr (A == Activation::relu6) return when(hn::And(hn::Gt(z, zero), hn::Lt(z, k(6))), 1, 0);
  if constexpr (A == Activation::elu) return hn::IfThenElse(hn::Ge(z, zero), one, bounded_exp(d, hn::Min(z, zero)));
  if constexpr (A == Activation::selu)
    return hn::IfThenElse(hn::Ge(z, zero), k(1.0507f), hn::Mul(k(1.0507f * 1.6732f), bounded_exp(d, hn::Min(z, zero))));
  if constexpr (A == Activation::gelu) {
    const V t = hn::Tanh(d, gelu_argument(d, z));
    const V inner = hn::MulAdd(hn::Mul(z, z), k(3 * .035677f), k(.797885f));
    const V tail = hn::Mul(hn::Mul(hn::Mul(k(.5f), z), hn::Sub(one, hn::Mul(t, t))), inner);
    return hn::MulAdd(k(.5f), hn::Add(one, t), tail);
  }
  if constexpr (A == Activation::relie) return when(hn::Gt(z, zero), 1, .01f);
  if constexpr (A == Activation::ramp) return when(hn::Gt(z, zero), 1.1f, .1f);
  if constexpr (A == Activation::leaky || A == Activation::revleaky) return when(hn::Gt(z, zero), 1, .1f);
  if constexpr (A == Activation::tanh) {
    const V t = hn::Tanh(d, z);
    return hn::Sub(one, hn::Mul(t, t));
  }
  if constexpr (A == Activation::plse) return when(hn::Or(hn::Lt(z, k(-4)), hn::Gt(z, k(4))), .01f, .125f);
  if constexpr (A == Activation::stair) {
    const V n = hn::Floor(z);
    return when(hn::Eq(hn::Mul(hn::Floor(hn::Mul(n, k(.5f))), k(2)), n), 0, 1);
  }
  if constexpr (A == Activation::hardtan) return when(hn::And(hn::Gt(z, k(-1)), hn::Lt(z, one)), 1, 0);
  if constexpr (A == Activation::lhtan) return when(hn::And(hn::Gt(z, zero), hn::Lt(z, one)), 1, .001f);
  if constexpr (A == Activation::swish) {
    const V s = sigmoid(d, z);
    return hn::MulAdd(hn::Mul(z, s), hn::Sub(one, s), s);
  }
  if constexpr (A == Activation::mish) {
    V e, n;
    const V t = mish_gate(d, z, &e, &n), n2 = hn::Add(n, k(2));
    const V gate_slope = hn::Div(hn::Mul(k(4), hn::Add(n, one)), hn::Mul(n2, n2));  // 1 - t^2 without cancellation
    return hn::MulAdd(hn::Mul(z, gate_slope), hn::Div(e, hn::Add(e, one)), t);
  }
  if constexpr (A == Activation::hard_mish) return hn::IfThenElse(hn::Gt(z, zero), one, hn::IfThenElse(hn::Gt(z, k(-2)), hn::Add(z, one), zero));
}

// Calls body.template operator()<A>() for the run-time activation.
template <class Body>
HWY_INLINE void dispatch_activation(Activation activation, const Body& body) {
  switch (activation) {
#define DN_CASE(name) \
  case Activation::name: return body(std::integral_constant<Activation, Activation::name>());
    DN_CASE(linear) DN_CASE(logistic) DN_CASE(loggy) DN_CASE(relu) DN_CASE(relu6) DN_CASE(elu) DN_CASE(selu) DN_CASE(gelu) DN_CASE(relie)
    DN_CASE(ramp) DN_CASE(leaky) DN_CASE(revleaky) DN_CASE(tanh) DN_CASE(plse) DN_CASE(stair) DN_CASE(hardtan) DN_CASE(lhtan) DN_CASE(swish)
    DN_CASE(mish) DN_CASE(hard_mish)
#undef DN_CASE
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace dn
HWY_AFTER_NAMESPACE();

#endif
