// Activations inside sweeps over memory: the common ones as types of their own, written so that one exponential does, all others by nn/activation.h.
#pragma once

#include "nn/activation.h"

namespace dn::cuda {

struct Linear {
  DN_HD float value(float z) const { return z; }
  DN_HD float slope(float) const { return 1; }
};
struct Leaky {
  DN_HD float value(float z) const { return z > 0 ? z : .1f * z; }
  DN_HD float slope(float z) const { return z > 0 ? 1.0f : .1f; }
};
struct Relu {
  DN_HD float value(float z) const { return z < 0 ? 0 : z; }   // a NaN stays one
  DN_HD float slope(float z) const { return z > 0 ? 1.0f : 0.0f; }
};
struct Logistic {
  DN_HD static float sigmoid(float z) { return 1 / (1 + std::exp(-z)); }
  DN_HD float value(float z) const { return sigmoid(z); }
  DN_HD float slope(float z) const {
    const float s = sigmoid(z);
    return s * (1 - s);
  }
};
struct Swish {
  DN_HD float value(float z) const { return z * Logistic::sigmoid(z); }
  DN_HD float slope(float z) const {
    const float s = Logistic::sigmoid(z);
    return s + z * s * (1 - s);
  }
};
// tanh(softplus(z)) = n / (n + 2) with n = e^z (e^z + 2); above 20 it is 1 to the last bit.
struct Mish {
  DN_HD static float bounded_exp(float z) { return std::exp(z < 20 ? z : 20.0f); }
  DN_HD float value(float z) const {
    const float e = bounded_exp(z), n = e * (e + 2);
    return z * (n / (n + 2));
  }
  DN_HD float slope(float z) const {
    const float e = bounded_exp(z), n = e * (e + 2), gate = n / (n + 2);
    return gate + z * (1 - gate * gate) * (e / (1 + e));
  }
};
struct AnyActivation {
  Activation activation;
  DN_HD float value(float z) const { return activate(activation, z); }
  DN_HD float slope(float z) const { return activation_slope(activation, z); }
};

// body(functor) with the one for this activation.
template <class Body>
void with_activation(Activation activation, const Body& body) {
  switch (activation) {
    case Activation::linear: return body(Linear{});
    case Activation::leaky: return body(Leaky{});
    case Activation::relu: return body(Relu{});
    case Activation::logistic: return body(Logistic{});
    case Activation::swish: return body(Swish{});
    case Activation::mish: return body(Mish{});
    default: return body(AnyActivation{activation});
  }
}

}  // namespace dn::cuda
