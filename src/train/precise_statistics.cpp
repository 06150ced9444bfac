#include "train/precise_statistics.h"

#include "train/stop_signal.h"

namespace dn {

PreciseStatistics::PreciseStatistics(Network& network, Plan& plan, const Dataset& images, LoaderOptions options) : params_(network.params()) {
  const int count = network.spec().norm.precise, size = plan.input_shape().n;
  before_ = params_.statistics();
  options.sample.batch = size;
  options.sample.seed += 1;   // other images than those of the iterations with these numbers
  Loader loader(images, options);
  for (int i = 0; i < count && !StopSignal::received(); ++i) {
    const Batch& batch = loader.next(static_cast<uint64_t>(i), plan.input_shape().w, plan.input_shape().h);
    Pass pass;
    pass.training = true;
    pass.stage = Pass::Stage::estimate;
    pass.param_grads = Write::none;
    pass.micro_step = i;
    pass.micro_steps = count;
    pass.iteration = static_cast<uint64_t>(i);
    pass.seed = options.sample.seed;
    pass.weights_version = params_.version();
    pass.truth = batch.truth;
    plan.set_input(batch.pixels.data());
    plan.forward(pass);
  }
  params_.touch();
}

PreciseStatistics::~PreciseStatistics() {
  params_.set_statistics(before_);
  params_.touch();
}

}  // namespace dn
