#include "train/training_plan.h"

#include <algorithm>

#include "train/device_choice.h"
#include "train/memory_estimate.h"

namespace dn {
namespace {

// As -memory takes it, rounded up.
std::string mebibytes(size_t bytes) { return concat((bytes >> 20) + 1, "M"); }
std::string text(size_t bytes) { return bytes_text(static_cast<double>(bytes)); }
size_t minus(size_t a, size_t b) { return a > b ? a - b : 0; }

// Of the memory that is meant: all of it, what the run needs there beside the arena, and what that leaves.
struct Room {
  size_t memory = 0, other = 0, arena = 0;
};

Room room_on_host(const Network& network, const TrainingPlanRequest& request) {
  const size_t memory = request.memory > 0 ? request.memory : free_memory();
  const size_t other = estimate_training(network, {}, request.size.width, request.size.height).total();
  return {memory, other, minus(memory, other)};
}

// Before the first plan the GPU has neither parameters nor gradients. Kernels keep copies of the weights, in 16 bits mostly.
Room room_on_device(const Network& network, const TrainingPlanRequest& request, size_t free) {
  constexpr size_t kReserve = 32;   // one part in so many for what libraries load as they go
  const MemoryEstimate m = estimate_training(network, {}, request.size.width, request.size.height, DeviceKind::cuda);
  const size_t there = network.params().copy() ? m.parameters + m.gradients : 0, other = m.on_device() + m.parameters;
  const size_t by_free = minus(free, other - there + free / kReserve);
  if (request.memory == 0) return {free, other, by_free};
  return {request.memory, other, std::min(by_free, minus(request.memory, other))};
}

Room room(const Network& network, const TrainingPlanRequest& request, std::optional<size_t> on_device) {
  return on_device ? room_on_device(network, request, *on_device) : room_on_host(network, request);
}

// The images of which a whole batch would fit, activations and the loader's images growing with it; an estimate.
size_t fitting_batch(const Network& network, const TrainingPlanRequest& request, const Room& r, size_t least, bool on_device) {
  const MemoryEstimate m = estimate_training(network, {}, request.size.width, request.size.height);
  const size_t batches = on_device ? 0 : m.batches;
  return (r.arena + batches) * static_cast<size_t>(request.mini_batch) / (least + batches);
}

// The least of more_subdivisions of which a plan fits; 0: none. Memory does not grow slower than the mini-batch shrinks, so what does not fit by
// proportion is not tried.
int fitting_subdivisions(Network& network, Device& device, const TrainingPlanRequest& request, size_t needed, size_t arena) {
  if (network.spec().norm.whole_batch()) return 0;
  TrainingPlanRequest trial = request;
  trial.only_planned = true;
  for (const int subdivisions : more_subdivisions(network.spec())) {
    trial.mini_batch = network.spec().batch / subdivisions;
    if (trial.mini_batch >= request.mini_batch || needed / static_cast<size_t>(request.mini_batch) * static_cast<size_t>(trial.mini_batch) > arena) continue;
    try {
      training_plan(network, device, trial);
      return subdivisions;
    } catch (const DoesNotFit&) {
    }
  }
  return 0;
}

[[noreturn]] void refuse(Network& network, Device& device, const TrainingPlanRequest& request, const DoesNotFit& why) {
  const std::optional<size_t> on_device = free_device_memory(device);
  const Room r = room(network, request, on_device);
  const NormKeys& norm = network.spec().norm;
  const int segments = norm.whole_batch() ? norm.exact_segments() : -1;
  const size_t total = why.least + r.other;
  std::vector<std::string> expected;
  const int subdivisions = fitting_subdivisions(network, device, request, why.needed, r.arena);
  if (subdivisions > 0) expected.push_back(concat("subdivisions = ", subdivisions, " (-auto_subdivisions takes them)"));
  const bool again = !on_device || request.memory > 0 || why.least <= r.arena;   // a GPU has no more than it has
  if (again && segments < 0)
    expected.push_back(concat("-memory ", mebibytes(total), " or more", on_device && request.memory == 0 ? ", which computes again what does not fit" : ""));
  else if (again)
    expected.push_back(concat("norm_exact_segments = auto instead of ", segments, " as the cfg says, which needs -memory ", mebibytes(total)));
  if (norm.whole_batch())
    if (const size_t batch = fitting_batch(network, request, r, why.least, on_device.has_value()); batch > 1 && batch < static_cast<size_t>(request.mini_batch))
      expected.push_back(concat("about batch = ", batch));
  expected.push_back("a smaller input");
  throw TooLittleMemory(concat(why.what(), " of ", text(r.memory),
                               request.memory > 0 ? " (-memory)" : on_device ? " that are free on the GPU" : ", four fifths of the free memory", ": expected ",
                               join(expected, ", or ")),
                        subdivisions);
}

}  // namespace

PlanOptions training_plan_options(const Network& network, const TrainingPlanRequest& request, std::optional<size_t> on_device) {
  PlanOptions options;
  options.training = true;
  options.frozen = request.frozen;
  options.only_planned = request.only_planned;
  const NormKeys& norm = network.spec().norm;
  const bool limited = on_device || request.memory > 0;
  if (!norm.whole_batch() && !limited && !request.smaller_batches) return options;   // a mini-batch is what the user chose to fit
  if (norm.whole_batch())
    options.segments = norm.exact_segments() < 0 ? kAutomatic : norm.exact_segments();
  else if (request.memory > 0 && !request.smaller_batches)
    options.segments = kAutomatic;
  if (options.segments > 0 && !limited) return options;
  options.budget = std::max<size_t>(room(network, request, on_device).arena, 1);   // 0 would be no limit
  return options;
}

std::unique_ptr<Plan> training_plan(Network& network, Device& device, const TrainingPlanRequest& request) {
  return std::make_unique<Plan>(network, device, network.input(request.mini_batch, request.size.width, request.size.height),
                                training_plan_options(network, request, free_device_memory(device)));
}

std::unique_ptr<Plan> make_training_plan(Network& network, Device& device, const TrainingPlanRequest& request) {
  try {
    return training_plan(network, device, request);
  } catch (const DoesNotFit& why) {
    refuse(network, device, request, why);
  }
}

std::vector<int> more_subdivisions(const NetSpec& net) {
  std::vector<int> found;
  for (int n = net.subdivisions + 1; n <= net.batch; ++n)
    if (const int images = net.batch / n; net.batch % n == 0 && images % net.time_steps == 0 && (!net.contrastive || images >= 2)) found.push_back(n);
  return found;
}

std::string subdivisions_text(const Network& network, int subdivisions) {
  const NetSpec& net = network.spec();
  const int images = net.batch / subdivisions;
  const bool mini_batches = std::ranges::any_of(network.layers(), [&](const auto& layer) {
    const NormSpec* norm = layer->normalization();
    return norm && norm->batch_statistics() && !norm->keeps_statistics() && !net.norm.two_forwards();
  });
  return concat("subdivisions = ", subdivisions, " instead of ", net.subdivisions, " (-auto_subdivisions): ", net.batch, " images per update = ", subdivisions,
                " x ", images,
                mini_batches ? concat("; batch normalization sees ", images, images == 1 ? " image" : " images", " at a time instead of ", net.batch / net.subdivisions)
                             : "; what is learned stays the same but for rounding");
}

}  // namespace dn
