#include "nn/activation.h"

#include "base/error.h"

namespace dn {
namespace {

constexpr std::string_view kNames[] = {"linear", "logistic", "loggy", "relu",  "relu6", "elu",     "selu",  "gelu",  "relie", "ramp",
                                       "leaky",  "revleaky", "tanh",  "plse", "stair", "hardtan", "lhtan", "swish", "mish",  "hard_mish"};

}  // namespace

std::span<const std::string_view> activation_names() { return kNames; }

Activation activation_from_name(std::string_view name) {
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (kNames[i] == name) return static_cast<Activation>(i);
  ensure(false, concat("unchecked activation ", name));
  return Activation::linear;
}

std::string_view activation_name(Activation activation) { return kNames[static_cast<size_t>(activation)]; }

}  // namespace dn
