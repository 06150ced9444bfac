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

// For what nobody counts: code of kernels and of libraries, which is loaded when it is first used, recordings, blocks rounded up to the driver's pages, copies
// of running statistics, tables, what goes to the host. A part of the GPU, as smaller ones train smaller networks; at most 1 GiB, as none of it grows with
// the GPU. An estimate: no GPU has been measured.
size_t reserve(size_t free) { return std::min(free / 32, size_t{1} << 30); }

// Kernels keep copies of the weights as the device stores numbers.
Room room_on_device(const Network& network, Device& device, const TrainingPlanRequest& request, size_t free) {
  MemoryEstimate m = estimate_training(network, {}, request.size.width, request.size.height, DeviceKind::cuda);
  m.packed = m.parameters / sizeof(float) * bytes_of(device.activation({1, 1, 1, 1}, false).dtype);
  m.images = drawing_bytes(network, request.mini_batch, request.size.width, request.size.height);
  const size_t mirror = network.params().copy() ? m.parameters + m.gradients : 0, other = m.on_device();
  const size_t there = mirror + request.there.state + std::min(request.there.drawing, m.images);
  const size_t by_free = minus(free, minus(other, there) + reserve(free));
  if (request.memory == 0) return {free, other, by_free};
  return {request.memory, other, std::min(by_free, minus(request.memory, other))};
}

Room room(const Network& network, Device& device, const TrainingPlanRequest& request) {
  const std::optional<size_t> free = free_device_memory(device);
  return free ? room_on_device(network, device, request, *free) : room_on_host(network, request);
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
    } catch (const OutOfMemory&) {
    }
  }
  return 0;
}

std::string images_text(const TrainingPlanRequest& r) {
  return concat("the activations of ", r.mini_batch, " images of ", r.size.width, " x ", r.size.height);
}

// What there was no room for: in words, and in bytes of its plan, as asked and, where computing things again would help, at least.
struct Refused {
  std::string what;
  size_t needed;
  std::optional<size_t> least;
};

TooLittleMemory too_little(Network& network, Device& device, const TrainingPlanRequest& request, const Refused& why) {
  const bool on_device = device.kind() != DeviceKind::cpu;
  const Room r = room(network, device, request);
  const NormKeys& norm = network.spec().norm;
  const int segments = norm.whole_batch() ? norm.exact_segments() : -1;
  const size_t least = why.least.value_or(why.needed);
  std::vector<std::string> expected;
  const int subdivisions = fitting_subdivisions(network, device, request, why.needed, r.arena);
  const NetSpec& net = network.spec();
  if (subdivisions > 0)
    expected.push_back(concat("subdivisions = ", subdivisions,
                              net.track && net.sequential_subdivisions > 0 ? concat(" with sequential_subdivisions = ", subdivisions / net.chain) : "",
                              request.smaller_batches ? " (a run that goes on takes them)" : " (-auto_subdivisions takes them)"));
  const bool again = why.least && (!on_device || request.memory > 0 || least <= r.arena);   // a GPU has no more than it has
  const std::string memory = mebibytes(least + r.other);
  if (again && segments < 0)
    expected.push_back(concat("-memory ", memory, " or more", on_device && request.memory == 0 ? ", which computes again what does not fit" : ""));
  else if (again)
    expected.push_back(concat("norm_exact_segments = auto instead of ", segments, " as the cfg says, which needs -memory ", memory));
  if (norm.whole_batch())
    if (const size_t batch = fitting_batch(network, request, r, least, on_device); batch > 1 && batch < static_cast<size_t>(request.mini_batch))
      expected.push_back(concat("about batch = ", batch));
  expected.push_back("a smaller input");
  return {concat(why.what, " of ", text(r.memory),
                 request.memory > 0 ? " (-memory)" : on_device ? " that are free on the GPU" : ", four fifths of the free memory", ": expected ",
                 join(expected, ", or ")),
          subdivisions};
}

}  // namespace

BytesThere bytes_there(const Network& network, DeviceKind device, size_t drawing) {
  const MemoryEstimate m = estimate_training(network, {}, 0, 0, device);
  return {m.momentum + m.averages, drawing};
}

PlanOptions training_plan_options(const Network& network, Device& device, const TrainingPlanRequest& request) {
  PlanOptions options;
  options.training = true;
  options.frozen = request.frozen;
  options.only_planned = request.only_planned;
  const NormKeys& norm = network.spec().norm;
  const bool limited = device.kind() != DeviceKind::cpu || request.memory > 0;
  if (!norm.whole_batch() && !limited && !request.smaller_batches) return options;   // a mini-batch is what the user chose to fit
  if (norm.whole_batch())
    options.segments = norm.exact_segments() < 0 ? kAutomatic : norm.exact_segments();
  else if (request.memory > 0 && !request.smaller_batches)
    options.segments = kAutomatic;
  if (options.segments > 0 && !limited) return options;
  options.budget = std::max<size_t>(room(network, device, request).arena, 1);   // 0 would be no limit
  return options;
}

std::unique_ptr<Plan> training_plan(Network& network, Device& device, const TrainingPlanRequest& request) {
  return std::make_unique<Plan>(network, device, network.input(request.mini_batch, request.size.width, request.size.height),
                                training_plan_options(network, device, request));
}

std::unique_ptr<Plan> make_training_plan(Network& network, Device& device, const TrainingPlanRequest& request) {
  try {
    return training_plan(network, device, request);
  } catch (const DoesNotFit& why) {
    throw too_little(network, device, request, {why.what(), why.needed, why.least});
  } catch (const OutOfMemory& why) {
    throw too_little_now(network, device, request, why);
  }
}

TooLittleMemory too_little_now(Network& network, Device& device, const TrainingPlanRequest& request, const OutOfMemory& why) {
  TrainingPlanRequest planned = request;
  planned.only_planned = true;
  const std::string lost = concat(why.what(), "; ");
  try {
    const size_t needed = training_plan(network, device, planned)->report().arena_bytes;   // it would fit, were it not for what is beside it
    return too_little(network, device, request, {concat(lost, network.file(), ": ", images_text(request), " need ", text(needed)), needed, {}});
  } catch (const DoesNotFit& now) {
    return too_little(network, device, request, {lost + now.what(), now.needed, now.least});
  } catch (const OutOfMemory&) {
    return {concat(lost, network.file(), ": ", images_text(request), ": expected fewer images at a time (more subdivisions), or a smaller input"), 0};
  }
}

std::vector<int> more_subdivisions(const NetSpec& net) {
  const bool even = net.mini_batch() % 2 == 0;
  std::vector<int> found;
  for (int n = net.subdivisions + 1; n <= net.batch; ++n) {
    const int images = net.batch / n;
    const bool pairs = !net.contrastive || (images >= 2 && !(even && images % 2 == 1));
    if (net.batch % n == 0 && images % net.time_steps == 0 && n % net.chain == 0 && pairs) found.push_back(n);
  }
  return found;
}

std::string subdivisions_text(const Network& network, int subdivisions) {
  const NetSpec& net = network.spec();
  const int images = net.batch / subdivisions, before = net.batch / net.subdivisions;
  const bool mini_batches = std::ranges::any_of(network.layers(), [&](const auto& layer) {
    const NormSpec* norm = layer->normalization();
    return norm && norm->batch_statistics() && !norm->keeps_statistics() && !net.norm.two_forwards();
  });
  const auto seen = [&](std::string_view who) { return concat(who, images, images == 1 ? " image" : " images", " at a time instead of ", before); };
  std::vector<std::string> changes;
  if (mini_batches) changes.push_back(seen("batch normalization sees "));
  if (net.contrastive) changes.push_back(seen("[contrastive] compares "));
  if (net.track) changes.push_back(concat("sequences last ", net.time_steps * net.chain, " frames as before, fewer of them side by side"));
  return concat("subdivisions = ", subdivisions, " instead of ", net.subdivisions, " (-auto_subdivisions): ", net.batch, " images per update = ", subdivisions, " x ",
                images, "; ", changes.empty() ? "what is learned stays the same but for rounding" : join(changes, "; "));
}

}  // namespace dn
