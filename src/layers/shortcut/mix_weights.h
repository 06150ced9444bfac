// The normalized weights g of [shortcut] for one channel, and the exact derivative of the normalization (formulas in shortcut.h).
// In double: there are few.
#pragma once

#include <span>

#include "layers/shortcut/shortcut.h"

namespace dn {

// g from w, one entry per source.
void mix_weights(MixNorm norm, std::span<const double> w, std::span<double> g);
// dL/dw from w and dL/dg.
void mix_weights_gradient(MixNorm norm, std::span<const double> w, std::span<const double> dg, std::span<double> dw);

}  // namespace dn
