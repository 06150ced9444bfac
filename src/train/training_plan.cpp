#include "train/training_plan.h"

#include "train/memory_estimate.h"

namespace dn {
namespace {

size_t beside_the_arena(const Network& network, NetSize size) { return estimate_training(network, {}, size.width, size.height).total(); }

// As -memory takes it, rounded up.
std::string mebibytes(size_t bytes) { return concat((bytes >> 20) + 1, "M"); }

// The images of which a batch would fit, activations and the loader's images growing with it; an estimate.
size_t fitting_batch(const Network& network, const TrainingPlanRequest& request, size_t memory, size_t least) {
  const MemoryEstimate other = estimate_training(network, {}, request.size.width, request.size.height);
  const size_t fixed = other.total() - other.batches, per_batch = least + other.batches;
  return memory > fixed ? (memory - fixed) * static_cast<size_t>(request.mini_batch) / per_batch : 0;
}

[[noreturn]] void refuse(const Network& network, const TrainingPlanRequest& request, const DoesNotFit& why) {
  const size_t total = why.least + beside_the_arena(network, request.size), memory = request.memory > 0 ? request.memory : free_memory();
  const NormKeys& norm = network.spec().norm;
  const int segments = norm.whole_batch() ? norm.exact_segments() : -1;
  std::string expected = segments < 0 ? concat("-memory ", mebibytes(total), " or more")
                                      : concat("norm_exact_segments = auto instead of ", segments, " as the cfg says, which needs -memory ", mebibytes(total));
  if (const size_t batch = fitting_batch(network, request, memory, why.least); batch > 1 && batch < static_cast<size_t>(request.mini_batch))
    expected += concat(norm.whole_batch() ? ", or about batch = " : ", or about batch / subdivisions = ", batch);
  fail(why.what(), " of ", bytes_text(static_cast<double>(memory)), request.memory > 0 ? " (-memory)" : ", four fifths of the free memory", ": expected ",
       expected, ", or a smaller input");
}

}  // namespace

PlanOptions training_plan_options(const Network& network, const TrainingPlanRequest& request) {
  PlanOptions options;
  options.training = true;
  options.frozen = request.frozen;
  const NormKeys& norm = network.spec().norm;
  if (!norm.whole_batch() && request.memory == 0) return options;   // a mini-batch is what the user chose to fit
  options.segments = !norm.whole_batch() || norm.exact_segments() < 0 ? kAutomatic : norm.exact_segments();
  if (options.segments == kAutomatic || request.memory > 0) {
    const size_t memory = request.memory > 0 ? request.memory : free_memory(), other = beside_the_arena(network, request.size);
    options.budget = memory > other ? memory - other : 1;   // 0 would be no limit
  }
  return options;
}

std::unique_ptr<Plan> make_training_plan(Network& network, Device& device, const TrainingPlanRequest& request) {
  try {
    return std::make_unique<Plan>(network, device, network.input(request.mini_batch, request.size.width, request.size.height),
                                  training_plan_options(network, request));
  } catch (const DoesNotFit& why) {
    refuse(network, request, why);
  }
}

}  // namespace dn
