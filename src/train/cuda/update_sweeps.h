// Weight updates and averages on a GPU, on the mirror of the parameters (nn/cuda/param_mirror.h).
#pragma once

#include "train/average_sweeps.h"
#include "train/update_sweeps.h"

namespace dn::cuda {

std::unique_ptr<UpdateSweeps> make_update_sweeps(ParamStore& params, bool adam, dn::Device& device);
std::unique_ptr<AverageSweeps> make_average_sweeps(ParamStore& params, dn::Device& device);

}  // namespace dn::cuda
