// Sources of [shortcut] whose maps are larger or smaller than the output's; step as sampling_step gives it.
#pragma once

#include "nn/kernel.h"

namespace dn {

// to[c, i, j] = from[c, k i, k j]; with a negative step, to[c, k i, k j] = from[c, i, j] and zero between. The channels are equal.
void gather_samples(int threads, const Tensor& from, int step, const Tensor& to);
// The gradient on its way back: `to` is overwritten (zero where nothing was taken) or added to.
void scatter_samples(int threads, const Tensor& from, int step, const Tensor& to, Write write);

}  // namespace dn
