// Where a run computes and how its plans come to their memory.
#include "base/log.h"
#include "train/batch_schedule.h"
#include "train/memory_estimate.h"
#include "train/trainer.h"
#include "train/training_plan.h"
#include "train/update_rules.h"

namespace dn {

std::unique_ptr<Device> training_device(const TrainOptions& options, const DataFile& data) {
  DeviceChoice choice = options.device;
  choice.gpu.conv_cache = (output_folder(data.backup, data.file) / concat(run_name(options.cfg), "_cudnn.json")).string();
  return open_device(choice, DeviceUse::training);
}

int Trainer::mini_batch() const { return mini_batch_at(network_.spec(), resizer_.at(iteration_), resizer_.largest()); }

Plan& Trainer::plan() {
  plans_.set_there(there());
  return plans_.training(resizer_.at(iteration_), mini_batch(), network_.frozen(iteration_));
}

void Trainer::take_state() try {
  const NetSpec& net = network_.spec();
  network_.params().allocate_grads();
  optimizer_ = std::make_unique<Optimizer>(network_.params(), optimizer_options(network_, device_->threads()), device_.get());
  if (net.ema_alpha > 0)
    averages_ = std::make_unique<WeightAverage>(network_.params(), net.ema_alpha, net.max_batches, iteration_, device_->threads(), device_.get());
} catch (const OutOfMemory& why) {
  const MemoryEstimate m = estimate_training(network_, {}, 0, 0, device_->kind());
  fail(why.what(), "; ", network_.file(), ": its parameters, gradients and what the optimizer keeps need ",
       bytes_text(static_cast<double>(m.parameters + m.gradients + m.momentum + m.averages)), ": expected more free memory on the GPU, or a smaller network");
}

// The optimizer and the averages were made before any plan.
BytesThere Trainer::there() const {
  return bytes_there(network_, device_->kind(), feed_ ? feed_->device_bytes() : 0);
}

// Memory is taken before hours have gone by: by the plan of the first iteration. Before it, to see that they fit, the plan of the largest input is planned,
// where that is not the first one's, and the plan that trains all layers is made, where some thaw in the course of the run.
void Trainer::take_plans() {
  const Frozen last = network_.frozen(network_.spec().max_batches);
  const bool limited = options_.memory > 0 || free_device_memory(*device_);
  if (const NetSize most = resizer_.largest(); limited && resizer_.at(iteration_) != most)   // a run that goes on
    make_training_plan(network_, *device_, {most, mini_batch_at(network_.spec(), most, most), last, options_.memory, options_.auto_subdivisions, true, there()});
  if (last != network_.frozen(iteration_)) {
    largest_ = plans_.training(resizer_.at(iteration_), mini_batch(), last).report();
    plans_.clear();
  }
  const PlanReport& first = plan().report();
  if (first.arena_bytes > largest_.arena_bytes) largest_ = first;
}

void Trainer::reserve() {
  if (options_.auto_subdivisions && network_.spec().norm.whole_batch())
    log::warn("-auto_subdivisions changes nothing: with norm_scope = batch all images are worked on at once; what does not fit is computed again");
  for (;;) {
    try {
      return take_plans();
    } catch (const TooLittleMemory& e) {
      if (!options_.auto_subdivisions || e.subdivisions == 0) throw;
      log::say(subdivisions_text(network_, e.subdivisions));
      network_.set_subdivisions(e.subdivisions);
      plans_.clear();
    }
  }
}

// The other GPUs of -gpus, where the network lets them share its batches.
void Trainer::open_replicas() {
  const std::vector<int>& others = options_.device.others;
  if (others.empty() || device_->kind() != DeviceKind::cuda) return;
  if (const std::string why = Replicas::obstacle(network_, static_cast<int>(others.size()) + 1); !why.empty())
    return log::warn(concat("-gpus: only GPU ", options_.device.gpu.gpu, " computes: ", why));
  ReplicaOptions options{options_.cfg, options_.device, options_.memory, options_.show_samples > 0};
  options.device.gpu.conv_cache = static_cast<cuda::Device&>(*device_).options().conv_cache;
  replicas_ = std::make_unique<Replicas>(options, network_, *device_);
  replicas_->prepare({resizer_.at(iteration_), mini_batch(), network_.frozen(iteration_)});
}

void Trainer::refuse(const OutOfMemory& why) {
  plans_.clear();
  throw too_little_now(network_, *device_, {resizer_.at(iteration_), mini_batch(), network_.frozen(iteration_), options_.memory, options_.auto_subdivisions, true, there()}, why);
}

// For an evaluation on a GPU: a plan for inference needs no more for an image than one for training, which is made again afterwards.
void Trainer::make_room(int images) {
  constexpr size_t kReserve = size_t{64} << 20;
  const auto free = free_device_memory(*device_);
  const size_t per_image = largest_.arena_bytes / static_cast<size_t>(mini_batch());
  if (free && *free < per_image * static_cast<size_t>(images) + kReserve) plans_.clear();
}

}  // namespace dn
