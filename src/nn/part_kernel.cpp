#include "nn/part_kernel.h"

#include <utility>

#include "base/error.h"
#include "nn/norm_history.h"

namespace dn {

void check_whole_sequences(const Layer& layer, const KernelArgs& args, int time_steps) {
  if (args.training && args.x[0].shape.n % time_steps != 0)
    fail(layer.section().where(), ": a mini-batch of ", args.x[0].shape.n, " images does not hold whole sequences; expected a multiple of time_steps = ",
         time_steps);
}

PartKernel::PartKernel(std::unique_ptr<Kernel> kernel, std::vector<ParamSpec> specs, int calls, bool from_zero, PartPlace& place)
    : kernel_(std::move(kernel)),
      needs_(kernel_->needs()),
      specs_(std::move(specs)),
      calls_(calls),
      untraced_(from_zero && calls > 1 ? 1 : 0),
      first_param_(place.param),
      saved_(place.saved) {
  ensure(!needs_.y_in_backward, "the outputs inside a layer are not kept");
  for (const size_t bytes : needs_.saved) saved_bytes_ += part_aligned(bytes);
  place.param += specs_.size();
  place.saved += saved_bytes_ * static_cast<size_t>(calls);
}

PartKernel::Call PartKernel::call_of(const Io& layer, std::byte* scratch, int call) const {
  Call out;
  std::byte* at = layer.saved.empty() ? nullptr : layer.saved[0] + saved_ + static_cast<size_t>(call) * saved_bytes_;
  for (const size_t bytes : needs_.saved) {
    out.saved.push_back(at);
    at += part_aligned(bytes);
  }
  out.io.saved = out.saved;
  out.io.scratch = scratch;
  out.io.params = layer.params.subspan(first_param_, specs_.size());
  return out;
}

void PartKernel::run(Call& call, Pass pass) const {
  for (pass.phase = 0; pass.phase < kernel_->forward_phases(); ++pass.phase) kernel_->forward(call.io, pass);
}

// The running statistics and their count move in copies, and nothing is gathered for those of the batch: as in a second round.
void PartKernel::run_without_trace(Call& call, Pass pass) const {
  std::vector<ParamView> params(call.io.params.begin(), call.io.params.end());
  std::vector<std::vector<float>> copies;
  for (size_t i = 0; i < specs_.size(); ++i) {
    if (specs_[i].role != ParamRole::running_mean && specs_[i].role != ParamRole::running_variance) continue;
    std::span<float>& value = params[i].value;
    value = copies.emplace_back(value.begin(), value.end());
  }
  NormState count = call.io.norm ? *call.io.norm : NormState{};
  call.io.params = params;
  call.io.norm = &count;
  pass.stage = Pass::Stage::finish;
  run(call, pass);
}

void PartKernel::forward(const Io& layer, const Pass& pass, std::byte* scratch, const Tensor& x, const Tensor& y, int call, NormState* norm) const {
  Call now = call_of(layer, scratch, call);
  now.io.x = {&x, 1};
  now.io.y = y;
  now.io.norm = norm;
  if (call < untraced_) return run_without_trace(now, pass);
  // Each call that leaves a trace is a mini-batch of its own to the statistics of a batch.
  Pass step = pass;
  step.micro_step = pass.micro_step * (calls_ - untraced_) + call - untraced_;
  step.micro_steps = pass.micro_steps * (calls_ - untraced_);
  run(now, step);
}

void PartKernel::backward(const Io& layer, const Pass& pass, std::byte* scratch, const Tensor& x, const Tensor& dx, const Tensor& dy, int call,
                          int first) const {
  Call now = call_of(layer, scratch, call);
  now.io.x = {&x, 1};
  now.io.dx = {&dx, 1};
  now.io.y = {dy.desc, nullptr};
  now.io.dy = dy;
  Pass step = pass;
  if (call != first && pass.param_grads == Write::overwrite) step.param_grads = Write::accumulate;
  for (step.phase = 0; step.phase < kernel_->backward_phases(); ++step.phase) kernel_->backward(now.io, step);
}

}  // namespace dn
