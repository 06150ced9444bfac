// The backend of plans on a GPU (plan_backend.h).
#pragma once

#include "graph/plan_backend.h"

namespace dn {

std::unique_ptr<PlanBackend> make_cuda_backend(Network& network, Device& device, bool training);

}  // namespace dn
