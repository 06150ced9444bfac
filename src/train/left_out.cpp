// What the trainer makes of updates that were left out because of a gradient that is not finite.
#include "base/log.h"
#include "train/trainer.h"

namespace dn {

// An update that FP16 was too narrow for goes by with a word in the log.
void Trainer::move_loss_scale(const UpdateReport& update) {
  if (!loss_scale_.update(update.applied)) {
    if (!update.applied) give_up_if_diverged(update);
    return;
  }
  if (!update.applied) optimizer_->forgive();
  const auto scale = static_cast<double>(loss_scale_.value());
  log::say(concat(" iteration ", iteration_ + 1, ": the scale of FP16 gradients is ", scale,
                  update.applied ? "" : " now: they overflowed, the update is left out"));
  metrics_->write("loss_scale", {{"iteration", iteration_ + 1}, {"scale", scale}});
}

void Trainer::give_up_if_diverged(const UpdateReport& update) const {
  const ParamSegment& broken = *update.broken;
  const Layer& layer = *network_.layers()[static_cast<size_t>(broken.layer)];
  const std::string what = concat("iteration ", iteration_ + 1, ": the gradient of ", layer.where(), " ", broken.spec.name, " is not finite");
  if (optimizer_->skipped_in_a_row() >= kMaxSkippedInARow)
    fail(what, "; ", kMaxSkippedInARow, " updates in a row were left out: training has diverged. Lower learning_rate or lengthen burn_in; ",
         snapshots_->file("last").string(), " holds the last finite weights");
  log::warn(concat(what, "; the update is left out, weights stay as they were"));
}

}  // namespace dn
