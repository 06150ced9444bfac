// Activation functions: names, and the scalar formulas that every kernel and every reference shares (compatibility notes 4.22).
// df is the true derivative at the pre-activation z; where the family's code differs (gelu evaluated on the output), ours is right.
#pragma once

#include <cmath>
#include <string_view>
#include <span>

#include "base/host_device.h"

namespace dn {

enum class Activation {
  linear, logistic, loggy, relu, relu6, elu, selu, gelu, relie, ramp, leaky, revleaky, tanh, plse, stair, hardtan, lhtan, swish, mish, hard_mish
};

std::span<const std::string_view> activation_names();   // indexed by Activation; also the choices of a key table
Activation activation_from_name(std::string_view name);  // the name was checked by the key table
std::string_view activation_name(Activation activation);

namespace detail {
template <class T>
DN_HD T logistic(T z) {
  return z >= 0 ? 1 / (1 + std::exp(-z)) : std::exp(z) / (1 + std::exp(z));
}
template <class T>
DN_HD T softplus(T z) {
  return z > 20 ? z : std::log1p(std::exp(z));
}
}  // namespace detail

template <class T>
DN_HD T activate(Activation a, T z) {
  switch (a) {
    case Activation::linear: return z;
    case Activation::logistic: return detail::logistic(z);
    case Activation::loggy: return 2 * detail::logistic(z) - 1;
    case Activation::relu: return z > 0 ? z : 0;
    case Activation::relu6: return z > 0 ? (z < 6 ? z : 6) : 0;
    case Activation::elu: return z >= 0 ? z : std::expm1(z);
    case Activation::selu: return z >= 0 ? T(1.0507) * z : T(1.0507 * 1.6732) * std::expm1(z);
    case Activation::gelu: return T(.5) * z * (1 + std::tanh(T(.797885) * z + T(.035677) * z * z * z));
    case Activation::relie: return z > 0 ? z : T(.01) * z;
    case Activation::ramp: return (z > 0 ? z : 0) + T(.1) * z;
    case Activation::leaky: return z > 0 ? z : T(.1) * z;
    case Activation::revleaky: return z > 0 ? z : T(.1) * z;
    case Activation::tanh: return std::tanh(z);
    case Activation::plse: return z < -4 ? T(.01) * (z + 4) : z > 4 ? T(.01) * (z - 4) + 1 : T(.125) * z + T(.5);
    case Activation::stair: {
      const T n = std::floor(z);
      const T half = std::floor(z / 2);
      return std::floor(n / 2) * 2 == n ? half : (z - n) + half;
    }
    case Activation::hardtan: return z < -1 ? T(-1) : z > 1 ? T(1) : z;
    case Activation::lhtan: return z < 0 ? T(.001) * z : z > 1 ? T(.001) * (z - 1) + 1 : z;
    case Activation::swish: return z * detail::logistic(z);
    case Activation::mish: return z * std::tanh(detail::softplus(z));
    case Activation::hard_mish: return z > 0 ? z : z > -2 ? z * z / 2 + z : 0;
  }
  return z;
}

template <class T>
DN_HD T activation_slope(Activation a, T z) {
  switch (a) {
    case Activation::linear: return 1;
    case Activation::logistic: {
      const T s = detail::logistic(z);
      return s * (1 - s);
    }
    case Activation::loggy: {
      const T s = detail::logistic(z);
      return 2 * s * (1 - s);
    }
    case Activation::relu: return z > 0 ? 1 : 0;
    case Activation::relu6: return z > 0 && z < 6 ? 1 : 0;
    case Activation::elu: return z >= 0 ? 1 : std::exp(z);
    case Activation::selu: return z >= 0 ? T(1.0507) : T(1.0507 * 1.6732) * std::exp(z);
    case Activation::gelu: {
      const T u = T(.797885) * z + T(.035677) * z * z * z, t = std::tanh(u);
      return T(.5) * (1 + t) + T(.5) * z * (1 - t * t) * (T(.797885) + T(3 * .035677) * z * z);
    }
    case Activation::relie: return z > 0 ? 1 : T(.01);
    case Activation::ramp: return (z > 0 ? 1 : 0) + T(.1);
    case Activation::leaky:
    case Activation::revleaky: return z > 0 ? 1 : T(.1);
    case Activation::tanh: {
      const T t = std::tanh(z);
      return 1 - t * t;
    }
    case Activation::plse: return z < -4 || z > 4 ? T(.01) : T(.125);
    case Activation::stair: {
      const T n = std::floor(z);
      return std::floor(n / 2) * 2 == n ? 0 : 1;
    }
    case Activation::hardtan: return z > -1 && z < 1 ? 1 : 0;
    case Activation::lhtan: return z > 0 && z < 1 ? 1 : T(.001);
    case Activation::swish: {
      const T s = detail::logistic(z);
      return s + z * s * (1 - s);
    }
    case Activation::mish: {
      const T t = std::tanh(detail::softplus(z));
      return t + z * (1 - t * t) * detail::logistic(z);
    }
    case Activation::hard_mish: return z > 0 ? 1 : z > -2 ? z + 1 : 0;
  }
  return 1;
}

}  // namespace dn
