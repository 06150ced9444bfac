// Learning-rate policies of the family: a pure function of the [net] section and the batch number.
//
// b counts weight updates and already includes the one being applied, so a run's first update asks for rate(net, 1).
//   b < burn_in : lr * (b / burn_in)^power, whatever the policy
//   constant    : lr
//   step        : lr * scale^(b div step)
//   steps       : lr * product of scales[i] for every steps[i] <= b
//   exp         : lr * gamma^b
//   poly        : lr * (1 - b / max_batches)^power
//   sig(moid)   : lr / (1 + e^(gamma (b - step)))
//   random      : lr * U(0,1)^power, drawn from (seed, b)
//   sgdr        : lr_min + (lr - lr_min) (1 + cos(pi t / cycle)) / 2, t = b - start of the cycle; each next cycle is sgdr_mult times longer
#pragma once

#include <cstdint>

#include "config/net_spec.h"

namespace dn {

double rate(const NetSpec& net, int64_t b, uint64_t seed = 0);

}  // namespace dn
