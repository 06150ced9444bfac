// Tables of names. Sources: the family's parser as described in the compatibility notes 3.1 (section names) and 3.3 ([net] keys).
#include "config/compat.h"

#include <utility>

#include "base/text.h"

namespace dn {
namespace {

constexpr std::pair<std::string_view, std::string_view> kSectionAliases[] = {
    {"network", "net"},  {"conv", "convolutional"}, {"conn", "connected"}, {"max", "maxpool"}, {"avg", "avgpool"}, {"local_avg", "local_avgpool"},
    {"soft", "softmax"}, {"lrn", "normalization"},  {"silence", "empty"},
};

struct ForeignSection {
  std::string_view types, reason;   // types: a comma list
};
constexpr ForeignSection kForeignSections[] = {
    {"rnn,gru,lstm", "a recurrent layer of text models, not supported for detection; [crnn] and [conv_lstm] are those for pictures"},
    {"iseg", "the head of instance segmentation, not supported for detection (the family's first program has it, not the one of its detectors)"},
    {"deconvolutional", "not supported for detection (the family's first program has it, not the one of its detectors); [upsample] enlarges a map"},
    {"logistic,l2norm", "a layer of classifiers, not supported for detection (the family's first program has it, not the one of its detectors)"},
};

// None is refused: a published cfg must still test, describe and train; what is left out is said once.
constexpr ForeignKey kForeignNetKeys[] = {
    // would change what is learned
    {"seq_scales", "1", false, "sequences keep their length during a training"},
    {"unsupervised", "0", false, "unsupervised training is not built, training goes without it"},
    {"label_smooth_eps", "0", false, "the key of classifiers; a detector has label_smooth_eps in [yolo]"},
    {"adversarial_lr", "0", false, "adversarial training is not built, training goes without it"},
    {"attention", "0", false, "adversarial training is not built, training goes without it"},
    {"try_fix_nan", "0", false, "a NaN is never replaced: its update is left out, and ten in a row end the training"},
    // mean nothing here or to a detector
    {"loss_scale", "1", false, "fp16 on a GPU finds its own factor, the other precisions need none"},
    {"optimized_memory", "0", false, "memory is always planned"},
    {"workspace_size_limit_MB", "1024", false, "memory is always planned"},
    {"use_cuda_graph", "0", false, "it changes no result"},
    {"show_receptive_field", "0", false, "nothing prints it"},
    {"inputs", "", false, "the input is width x height x channels"},
    {"angle", "0", false, "detectors do not rotate, in the family neither"},
    {"aspect", "1", false, "only classifiers crop by aspect"},
    {"center", "0", false, "only classifiers crop"},
    {"max_crop", "", false, "only classifiers crop"},
    {"min_crop", "", false, "only classifiers crop"},
    {"max_epochs", "", false, "max_batches says how long training lasts"},
};

}  // namespace

std::string_view section_type(std::string_view name) {
  for (const auto& [other, type] : kSectionAliases)
    if (other == name) return type;
  return name;
}

std::span<const ForeignKey> foreign_net_keys() { return kForeignNetKeys; }

std::string_view foreign_section(std::string_view type) {
  for (const ForeignSection& row : kForeignSections)
    for (const std::string_view known : split(row.types, ','))
      if (known == type) return row.reason;
  return {};
}

}  // namespace dn
