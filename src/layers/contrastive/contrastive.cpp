// [contrastive]: keys, the head it belongs to, shapes. See contrastive.h.
#include "layers/contrastive/contrastive.h"

namespace dn {
namespace {

constexpr double kLargest = std::numeric_limits<float>::max();

const Key<ContrastiveSpec> kKeys[] = {
    {"yolo_layer", &ContrastiveSpec::yolo_layer, -100000, 100000,
     "[yolo] head whose objects are told apart, always written; negative counts back from this layer"},
    {"temperature", &ContrastiveSpec::temperature, 1e-3, 1e3, "divides the similarities; smaller: harder"},
    {"cls_normalizer", &ContrastiveSpec::cls_normalizer, 0, 1e6, "weight of the loss"},
    {"max_delta", &ContrastiveSpec::max_delta, 1e-9, kLargest, "bound on each entry of the gradient"},
    {"contrastive_neg_max", &ContrastiveSpec::contrastive_neg_max, 1, 1e6, "other objects of the same class that an object is held against"},
    {"classes", &ContrastiveSpec::classes, 1, 65536, "of the family's classifiers; a detector's classes are those of the [yolo] head: no effect"},
};

}  // namespace

std::unique_ptr<Contrastive> Contrastive::parse(const Section& section, const NetSpec& net, int index, Problems& problems) {
  std::unique_ptr<Contrastive> layer(new Contrastive(section, index, problems));
  layer->spec_ = bind<ContrastiveSpec>(section, kKeys, problems);
  finish(section, problems);
  if (const Entry* entry = section.find("yolo_layer"))
    layer->yolo_layer_ = resolve_layer(section, *entry, layer->spec_.yolo_layer, index, problems);
  else
    problems.error(
        concat(section.where(), ": 'yolo_layer' is missing; expected the earlier [yolo] whose objects are told apart, for example yolo_layer=-2"));
  const Entry* const pairs = net.section.find("contrastive");
  if (net.section.line > 0 && (!pairs || parse_real(pairs->value) == 0))
    problems.warning(concat(section.where(),
                            ": [net] contrastive = 0: no object comes twice in a mini-batch, except in more than one cell, so there is "
                            "next to nothing to learn; expected contrastive = 1"));
  return layer;
}

std::vector<KeyHelp> Contrastive::keys() { return key_help<ContrastiveSpec>(kKeys); }

void Contrastive::relate(std::span<const std::unique_ptr<Layer>> all, Problems& problems) {
  if (yolo_layer_ < 0) return;  // reported already
  const Layer& other = *all[static_cast<size_t>(yolo_layer_)];
  head_ = other.head();
  if (!head_ || head_->anchors_per_cell() == 0)
    return problems.error(section(), *section().find("yolo_layer"), concat("layer ", yolo_layer_, " is [", other.type(), "]"), "a [yolo]");
  if (const Entry* classes = section().find("classes"); classes && spec_.classes != head_->classes())
    problems.warning(concat(section().where(*classes), ": the [yolo] head has ", head_->classes(), ": no effect"));
}

void Contrastive::check_relations(std::span<const Shape> outputs) const {
  const Shape &in = outputs[static_cast<size_t>(index()) - 1], &grid = outputs[static_cast<size_t>(yolo_layer_)];
  const int anchors = head_->anchors_per_cell();
  if (in.w != grid.w || in.h != grid.h || in.c % anchors != 0)
    fail(section().where(), ": ", above(), " above gives ", in.text(), "; expected ", grid.w, " x ", grid.h, " and a multiple of ", anchors,
         " channels, as many for each anchor of layer ", yolo_layer_);
  if (const int embedding = head_->embedding_layer(); embedding >= 0 && outputs[static_cast<size_t>(embedding)].c != in.c)
    fail(section().where(), ": ", above(), " above gives ", in.c, " channels; expected ", outputs[static_cast<size_t>(embedding)].c, " as layer ",
         embedding, ", the embedding_layer of layer ", yolo_layer_);
}

std::string Contrastive::summary(std::span<const Shape> in) const {
  const int anchors = head_ ? head_->anchors_per_cell() : 1;
  return concat("objects of ", yolo_layer_, "  ", anchors, " x ", in[0].c / anchors);
}

}  // namespace dn
