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
// t = tanh(softplus(z)) = n / (n + 2) with n = e^z (e^z + 2); above 20 it is 1 to the last bit. Its slope is 4 e^z (1 + e^z) / (n + 2)^2, so that one division does
// for a slope, too: two of them and the exponential would take a processor longer than memory takes to bring the numbers.
struct Mish {
  DN_HD static float bounded(float z) { return z > 20 ? 20.0f : z; }   // a NaN stays one
  DN_HD float value(float z) const {
    const float e = std::exp(bounded(z)), n = e * (e + 2);
    return z * (n / (n + 2));
  }
  DN_HD float slope(float z) const {
    const float b = bounded(z), e = std::exp(b), n = e * (e + 2), r = 1 / (n + 2);
    return n * r + 4 * b * e * (1 + e) * r * r;
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
