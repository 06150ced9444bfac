#include "layers/yolo/yolo.h"

namespace dn {
namespace {

constexpr std::string_view kNmsKinds[] = {"default", "greedynms", "diounms"};
constexpr int kNoEmbedding = 999999;

const Key<YoloSpec> kKeys[] = {
    {"new_coords", &YoloSpec::new_coords, 0, 1, "1: all entries come from a logistic convolution, size = 4 v^2 anchor"},
    {"focal_loss", &YoloSpec::focal_loss, 0, 1, "class gradients by the focal loss, gamma 2, alpha .5"},
    {"nms_kind", &YoloSpec::nms_kind, 0, 0, "measure of non-maximum suppression", kNmsKinds},
    {"embedding_layer", &YoloSpec::embedding_layer, -100000, kNoEmbedding,
     "layer whose output describes the objects, so many channels for each anchor of mask; negative counts back from this one; 999999: none"},
    {"sim_thresh", &YoloSpec::sim_thresh, 0, 1, "tracking: an object goes on with the track that is more similar than this"},
    {"track_ciou_norm", &YoloSpec::track_ciou_norm, 0, 1, "tracking: share of the boxes' CIoU in the similarity, the rest is the embeddings' cosine"},
    {"track_history_size", &YoloSpec::track_history_size, 1, 100000, "tracking: frames for which an object that is out of sight is remembered"},
    {"dets_for_track", &YoloSpec::dets_for_track, 1, 100000, "tracking: sightings before an object gets a number"},
    {"dets_for_show", &YoloSpec::dets_for_show, 1, 100000, "tracking: sightings before an object is shown"},
};

constexpr std::string_view kTrackingKeys[] = {"sim_thresh", "track_ciou_norm", "track_history_size", "dets_for_track", "dets_for_show"};

const ForeignKey kForeign[] = {
    {"show_details", "1", false, "the training log has one form: no effect"},
    {"uc_normalizer", "", false, "belongs to [Gaussian_yolo]: no effect"},
    {"beta1", "", false, "belongs to [Gaussian_yolo] (here: beta_nms): no effect"},
};

// Objects are tracked by what the embedding layer says of them.
void warn_of_tracking_alone(const Section& section, Problems& problems) {
  for (const std::string_view key : kTrackingKeys)
    if (const Entry* entry = section.find(key))
      problems.warning(concat(section.where(*entry), ": objects are tracked by their embeddings, and there is no embedding_layer: no effect"));
}

}  // namespace

std::vector<KeyHelp> Yolo::keys() {
  std::vector<KeyHelp> rows = key_help(anchor_keys());
  for (KeyHelp& row : key_help<YoloSpec>(kKeys)) rows.push_back(std::move(row));
  return rows;
}

std::unique_ptr<Yolo> Yolo::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Yolo> layer(new Yolo(section, index, problems));
  const AnchorSpec shared = bind<AnchorSpec>(section, anchor_keys(), problems);
  const YoloSpec s = bind<YoloSpec>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  finish(section, problems);
  layer->set(section, shared, problems);
  layer->rules_.new_coords = s.new_coords;
  layer->rules_.focal_loss = s.focal_loss;
  layer->nms_kind_ = s.nms_kind == "greedynms" ? NmsKind::greedy : s.nms_kind == "diounms" ? NmsKind::diou : NmsKind::standard;
  if (const Entry* entry = section.find("embedding_layer"); entry && s.embedding_layer != kNoEmbedding)
    layer->embedding_layer_ = resolve_layer(section, *entry, s.embedding_layer, index, problems);
  else
    warn_of_tracking_alone(section, problems);
  layer->track_ = {s.sim_thresh, s.track_ciou_norm, s.track_history_size, s.dets_for_track, s.dets_for_show};
  return layer;
}

void Yolo::check_relations(std::span<const Shape> outputs) const {
  if (embedding_layer_ < 0) return;
  const Shape &own = outputs[static_cast<size_t>(index())], &other = outputs[static_cast<size_t>(embedding_layer_)];
  const int anchors = anchors_per_cell();
  if (other.w != own.w || other.h != own.h || other.c % anchors != 0)
    fail(section().where(*section().find("embedding_layer")), ": layer ", embedding_layer_, " gives ", other.text(), "; expected ", own.w, " x ",
         own.h, " and a multiple of ", anchors, " channels, as many for each anchor of mask");
}

std::vector<PositiveCell> Yolo::positives(std::span<const TruthBox> truths, const Shape& grid, const Shape& net) const {
  std::vector<PositiveCell> found;
  const AnchorGrid cells{grid.w, grid.h, net.w, net.h};
  for (const TruthBox& truth : known_truths(truths, rules_.max_truths, [&](int label) { return rules_.class_of(label); }))
    each_assignment(view_of(rules_), cells, truth.box, [&](int a, size_t cell) { found.push_back({a, cell, truth.class_id, truth.track_id}); });
  return found;
}

}  // namespace dn
