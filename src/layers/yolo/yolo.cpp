#include "layers/yolo/yolo.h"

#include <algorithm>
#include <set>

#include "config/data_file.h"

namespace dn {
namespace {

constexpr std::string_view kLossKinds[] = {"mse", "iou", "giou", "diou", "ciou"};
constexpr std::string_view kThreshKinds[] = {"iou", "giou", "diou", "ciou"};
constexpr std::string_view kNmsKinds[] = {"default", "greedynms", "diounms"};
constexpr int kNoEmbedding = 999999;
constexpr double kLargest = std::numeric_limits<float>::max();

const Key<YoloSpec> kKeys[] = {
    {"classes", &YoloSpec::classes, 1, 65536, "object classes"},
    {"num", &YoloSpec::num, 1, 1000, "anchors of the whole network"},
    {"mask", &YoloSpec::mask, 0, 999, "which of them this head predicts (default: all)"},
    {"anchors", &YoloSpec::anchors, 1e-3, 1e5, "num pairs of width, height in pixels of the network input"},
    {"max", &YoloSpec::max, 1, 100000, "truth boxes per image; those beyond are not learnt from"},
    {"new_coords", &YoloSpec::new_coords, 0, 1, "1: all entries come from a logistic convolution, size = 4 v^2 anchor"},
    {"scale_x_y", &YoloSpec::scale_x_y, .01, 100, "centre = scale_x_y * sigmoid - (scale_x_y - 1) / 2"},
    {"iou_loss", &YoloSpec::iou_loss, 0, 0, "what the box is taught by", kLossKinds},
    {"iou_thresh", &YoloSpec::iou_thresh, 0, 1, "below 1: a truth also goes to other anchors that overlap its shape by more"},
    {"iou_thresh_kind", &YoloSpec::iou_thresh_kind, 0, 0, "measure of iou_thresh", kThreshKinds},
    {"ignore_thresh", &YoloSpec::ignore_thresh, 0, 1, "a box that overlaps a truth by more is not pushed towards no object"},
    {"truth_thresh", &YoloSpec::truth_thresh, 0, 1, "below 1: a box that overlaps a truth by more is taught that truth"},
    {"iou_normalizer", &YoloSpec::iou_normalizer, 0, 1e6, "weight of the box gradient, of mse too"},
    {"obj_normalizer", &YoloSpec::obj_normalizer, 0, 1e6, "weight of the objectness gradient"},
    {"cls_normalizer", &YoloSpec::cls_normalizer, 0, 1e6, "weight of the positive class; acts with counters_per_class only, as in the family"},
    {"delta_normalizer", &YoloSpec::delta_normalizer, 0, 1e6, "weight of the whole gradient"},
    {"max_delta", &YoloSpec::max_delta, 1e-9, kLargest, "bound on each box gradient of a truth (not with iou_loss = mse) and on class multipliers"},
    {"counters_per_class", &YoloSpec::counters_per_class, 0, 2e9, "objects per class in the data; rare classes weigh more: largest / own"},
    {"label_smooth_eps", &YoloSpec::label_smooth_eps, 0, 1, "class targets move from 0 and 1 by half of this"},
    {"focal_loss", &YoloSpec::focal_loss, 0, 1, "class gradients by the focal loss, gamma 2, alpha .5"},
    {"objectness_smooth", &YoloSpec::objectness_smooth, 0, 1,
     "1: where ignore_thresh is passed the overlap is the target; as in the family an assigned cell that does not pass it is taught 0, with "
     "exact_gradient = 1 its overlap"},
    {"exact_gradient", &YoloSpec::exact_gradient, 0, 1,
     "1: box gradients are true derivatives, assigned cells take part in objectness_smooth; 0: as in the family, which published weights were tuned "
     "to"},
    {"map", &YoloSpec::map, 0, 0, "file with the head's class of each label class, one a line"},
    {"nms_kind", &YoloSpec::nms_kind, 0, 0, "measure of non-maximum suppression", kNmsKinds},
    {"beta_nms", &YoloSpec::beta_nms, 0, 100, "exponent of diounms"},
    {"jitter", &YoloSpec::jitter, 0, 1, "augmentation: random crop, each side up to this share"},
    {"resize", &YoloSpec::resize, .1, 10, "augmentation: random zoom up to this factor"},
    {"random", &YoloSpec::random, 0, 10, "input size changes during training: 0 never, 1 by up to 1.4, else by up to this factor"},
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

IouKind kind_from_name(const std::string& name) {
  return static_cast<IouKind>(std::find(std::begin(kLossKinds), std::end(kLossKinds), name) - std::begin(kLossKinds));
}

// Reports at the key when it is written, else at the section.
void report(const Section& section, std::string_view key, Problems& problems, std::string_view problem, std::string_view expected) {
  if (const Entry* entry = section.find(key))
    problems.error(section, *entry, problem, expected);
  else
    problems.error(concat(section.where(), ' ', key, ": ", problem, "; expected ", expected));
}

void set_anchors(const Section& section, const YoloSpec& spec, YoloRules& rules, Problems& problems) {
  const size_t pairs = static_cast<size_t>(spec.num);
  if (spec.anchors.size() < 2 * pairs) {
    report(section, "anchors", problems, concat(spec.anchors.size(), " numbers for num = ", spec.num),
           concat(2 * pairs, ", width and height of each anchor"));
    return;
  }
  if (spec.anchors.size() > 2 * pairs)
    problems.warning(
        concat(section.where(), " anchors: ", spec.anchors.size() - 2 * pairs, " numbers beyond num = ", spec.num, " pairs are not used"));
  for (size_t i = 0; i < pairs; ++i) rules.anchors.push_back({spec.anchors[2 * i], spec.anchors[2 * i + 1]});
}

void set_mask(const Section& section, const YoloSpec& spec, YoloRules& rules, Problems& problems) {
  rules.mask = spec.mask;
  if (!section.find("mask"))
    for (int i = 0; i < spec.num; ++i) rules.mask.push_back(i);
  else if (spec.mask.empty())
    report(section, "mask", problems, "no anchors", "at least one");
  std::set<int> seen;
  for (const int anchor : spec.mask) {
    if (anchor >= spec.num)
      report(section, "mask", problems, concat("anchor ", anchor, " does not exist"), concat("0..", spec.num - 1, " (num = ", spec.num, ")"));
    if (!seen.insert(anchor).second) report(section, "mask", problems, concat("anchor ", anchor, " stands twice"), "different anchors");
  }
}

// multiplier = largest count / own count, a count below 1 taken as 1; at most max_delta.
void set_multipliers(const Section& section, const YoloSpec& spec, YoloRules& rules, Problems& problems) {
  if (spec.counters_per_class.empty()) return;
  if (spec.counters_per_class.size() != static_cast<size_t>(spec.classes)) {
    report(section, "counters_per_class", problems, concat(spec.counters_per_class.size(), " numbers"), concat(spec.classes, ", one per class"));
    return;
  }
  const int largest = std::max(1, *std::max_element(spec.counters_per_class.begin(), spec.counters_per_class.end()));
  for (const int count : spec.counters_per_class)
    rules.class_multipliers.push_back(std::min(static_cast<float>(largest) / static_cast<float>(std::max(1, count)), spec.max_delta));
}

void set_class_map(const Section& section, const YoloSpec& spec, YoloRules& rules, Problems& problems) {
  if (spec.map.empty()) return;
  const fs::path path = resolve_path(spec.map, section.file);
  try {
    int line = 0;
    for (const std::string& text : read_lines(path)) {
      ++line;
      if (trim(text).empty()) continue;
      const auto id = parse_integer(trim(text));
      if (!id || *id < 0 || *id >= spec.classes)
        problems.error(concat(path.string(), ":", line, ": ", trim(text), ": expected a class of the head, 0..", spec.classes - 1));
      else
        rules.class_map.push_back(static_cast<int>(*id));
    }
  } catch (const Error& error) {
    report(section, "map", problems, error.what(), "a readable file with one class a line");
    return;
  }
  if (rules.class_map.empty()) report(section, "map", problems, "the file is empty", "one class a line");
}

// Objects are tracked by what the embedding layer says of them.
void warn_of_tracking_alone(const Section& section, Problems& problems) {
  for (const std::string_view key : kTrackingKeys)
    if (const Entry* entry = section.find(key))
      problems.warning(concat(section.where(*entry), ": objects are tracked by their embeddings, and there is no embedding_layer: no effect"));
}

}  // namespace

std::vector<KeyHelp> Yolo::keys() { return key_help<YoloSpec>(kKeys); }

std::unique_ptr<Yolo> Yolo::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Yolo> layer(new Yolo(section, index, problems));
  const YoloSpec s = bind<YoloSpec>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  finish(section, problems);
  YoloRules& r = layer->rules_;
  set_anchors(section, s, r, problems);
  set_mask(section, s, r, problems);
  set_multipliers(section, s, r, problems);
  set_class_map(section, s, r, problems);
  r.classes = s.classes;
  r.max_truths = s.max;
  r.new_coords = s.new_coords;
  r.scale_x_y = s.scale_x_y;
  r.iou_loss = kind_from_name(s.iou_loss);
  r.iou_thresh_kind = kind_from_name(s.iou_thresh_kind);
  r.ignore_thresh = s.ignore_thresh;
  r.truth_thresh = s.truth_thresh;
  r.iou_thresh = s.iou_thresh;
  r.iou_normalizer = s.iou_normalizer;
  r.obj_normalizer = s.obj_normalizer;
  r.cls_normalizer = s.cls_normalizer;
  r.delta_normalizer = s.delta_normalizer;
  r.max_delta = s.max_delta;
  r.label_smooth_eps = s.label_smooth_eps;
  r.focal_loss = s.focal_loss;
  r.objectness_smooth = s.objectness_smooth;
  r.exact_gradient = s.exact_gradient;
  if (const Entry* entry = section.find("embedding_layer"); entry && s.embedding_layer != kNoEmbedding)
    layer->embedding_layer_ = resolve_layer(section, *entry, s.embedding_layer, index, problems);
  else
    warn_of_tracking_alone(section, problems);
  layer->track_ = {s.sim_thresh, s.track_ciou_norm, s.track_history_size, s.dets_for_track, s.dets_for_show};
  layer->nms_kind_ = s.nms_kind == "greedynms" ? NmsKind::greedy : s.nms_kind == "diounms" ? NmsKind::diou : NmsKind::standard;
  layer->beta_nms_ = s.beta_nms;
  layer->jitter_ = s.jitter;
  layer->resize_ = s.resize;
  layer->random_ = s.random;
  return layer;
}

Shape Yolo::output_shape(std::span<const Shape> in) const {
  if (in[0].c == rules_.channels()) return in[0];
  const Entry* classes = section().find("classes");
  const std::string place = classes ? section().where(*classes) : concat(section().where(), " classes = ", rules_.classes);
  fail(place, ": ", above(), " above gives ", in[0].c, " channels; expected ", rules_.channels(), " = ", rules_.mask.size(),
       rules_.mask.size() == 1 ? " mask" : " masks", " x (5 + ", rules_.classes, ")");
}

void Yolo::check_relations(std::span<const Shape> outputs) const {
  if (embedding_layer_ < 0) return;
  const Shape &own = outputs[static_cast<size_t>(index())], &other = outputs[static_cast<size_t>(embedding_layer_)];
  const int anchors = anchors_per_cell();
  if (other.w != own.w || other.h != own.h || other.c % anchors != 0)
    fail(section().where(*section().find("embedding_layer")), ": layer ", embedding_layer_, " gives ", other.text(), "; expected ", own.w, " x ",
         own.h, " and a multiple of ", anchors, " channels, as many for each anchor of mask");
}

std::string Yolo::summary(std::span<const Shape>) const {
  std::string text = concat(rules_.mask.size(), " of ", rules_.anchors.size(), " anchors  ", rules_.classes, " classes  ",
                            kLossKinds[static_cast<size_t>(rules_.iou_loss)]);
  if (rules_.exact_gradient) text += " (exact gradient)";
  if (rules_.new_coords) text += "  new_coords";
  if (rules_.scale_x_y != 1) text += concat("  scale_x_y ", rules_.scale_x_y);
  return text;
}

}  // namespace dn
