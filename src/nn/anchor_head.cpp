#include "nn/anchor_head.h"

#include <algorithm>
#include <set>

#include "nn/head_keys.h"

namespace dn {
namespace {

constexpr std::string_view kLossKinds[] = {"mse", "iou", "giou", "diou", "ciou"};
constexpr std::string_view kThreshKinds[] = {"iou", "giou", "diou", "ciou"};
constexpr double kLargest = std::numeric_limits<float>::max();

const Key<AnchorSpec> kKeys[] = {
    {"classes", &AnchorSpec::classes, 1, 65536, "object classes"},
    {"num", &AnchorSpec::num, 1, 1000, "anchors of the whole network"},
    {"mask", &AnchorSpec::mask, 0, 999, "which of them this head predicts (default: all)"},
    {"anchors", &AnchorSpec::anchors, 1e-3, 1e5, "num pairs of width, height in pixels of the network input"},
    {"max", &AnchorSpec::max, 1, 100000, "truth boxes per image; those beyond are not learnt from"},
    {"scale_x_y", &AnchorSpec::scale_x_y, .01, 100, "centre = scale_x_y * sigmoid - (scale_x_y - 1) / 2"},
    {"iou_loss", &AnchorSpec::iou_loss, 0, 0, "what the box is taught by", kLossKinds},
    {"iou_thresh", &AnchorSpec::iou_thresh, 0, 1, "below 1: a truth also goes to other anchors that overlap its shape by more"},
    {"iou_thresh_kind", &AnchorSpec::iou_thresh_kind, 0, 0, "measure of iou_thresh", kThreshKinds},
    {"ignore_thresh", &AnchorSpec::ignore_thresh, 0, 1, "a box that overlaps a truth by more is not pushed towards no object"},
    {"truth_thresh", &AnchorSpec::truth_thresh, 0, 1, "below 1: a box that overlaps a truth by more is taught that truth"},
    {"iou_normalizer", &AnchorSpec::iou_normalizer, 0, 1e6, "weight of the box gradient, of mse too"},
    {"obj_normalizer", &AnchorSpec::obj_normalizer, 0, 1e6, "weight of the objectness gradient"},
    {"cls_normalizer", &AnchorSpec::cls_normalizer, 0, 1e6, "weight of the positive class; acts with counters_per_class only, as in the family"},
    {"delta_normalizer", &AnchorSpec::delta_normalizer, 0, 1e6, "weight of the whole gradient"},
    {"max_delta", &AnchorSpec::max_delta, 1e-9, kLargest,
     "bound on each box gradient of a truth (in [yolo] not with iou_loss = mse) and on class multipliers"},
    {"counters_per_class", &AnchorSpec::counters_per_class, 0, 2e9, "objects per class in the data; rare classes weigh more: largest / own"},
    {"label_smooth_eps", &AnchorSpec::label_smooth_eps, 0, 1, "class targets move from 0 and 1 by half of this"},
    {"objectness_smooth", &AnchorSpec::objectness_smooth, 0, 1,
     "1: where ignore_thresh is passed the overlap is the target; as in the family an assigned cell that does not pass it is taught 0, with "
     "exact_gradient = 1 its overlap"},
    {"exact_gradient", &AnchorSpec::exact_gradient, 0, 1,
     "1: box gradients are true derivatives, assigned cells take part in objectness_smooth; 0: as in the family, which published weights were tuned "
     "to"},
    {"map", &AnchorSpec::map, 0, 0, "file with the head's class of each label class, one a line"},
    {"beta_nms", &AnchorSpec::beta_nms, 0, 100, "exponent of nms_kind = diounms"},
    {"jitter", &AnchorSpec::jitter, 0, 1, "augmentation: random crop, each side up to this share"},
    {"resize", &AnchorSpec::resize, .1, 10, "augmentation: random zoom up to this factor"},
    {"random", &AnchorSpec::random, 0, 10, "input size changes during training: 0 never, 1 by up to 1.4, else by up to this factor"},
};

IouKind kind_from_name(const std::string& name) {
  return static_cast<IouKind>(std::find(std::begin(kLossKinds), std::end(kLossKinds), name) - std::begin(kLossKinds));
}

void set_mask(const Section& section, const AnchorSpec& spec, AnchorRules& rules, Problems& problems) {
  rules.mask = spec.mask;
  if (!section.find("mask"))
    for (int i = 0; i < spec.num; ++i) rules.mask.push_back(i);
  else if (spec.mask.empty())
    report_key(section, "mask", problems, "no anchors", "at least one");
  std::set<int> seen;
  for (const int anchor : spec.mask) {
    if (anchor >= spec.num)
      report_key(section, "mask", problems, concat("anchor ", anchor, " does not exist"), concat("0..", spec.num - 1, " (num = ", spec.num, ")"));
    if (!seen.insert(anchor).second) report_key(section, "mask", problems, concat("anchor ", anchor, " stands twice"), "different anchors");
  }
}

// multiplier = largest count / own count, a count below 1 taken as 1; at most max_delta.
void set_multipliers(const Section& section, const AnchorSpec& spec, AnchorRules& rules, Problems& problems) {
  if (spec.counters_per_class.empty()) return;
  if (spec.counters_per_class.size() != static_cast<size_t>(spec.classes)) {
    report_key(section, "counters_per_class", problems, concat(spec.counters_per_class.size(), " numbers"), concat(spec.classes, ", one per class"));
    return;
  }
  const int largest = std::max(1, *std::max_element(spec.counters_per_class.begin(), spec.counters_per_class.end()));
  for (const int count : spec.counters_per_class)
    rules.class_multipliers.push_back(std::min(static_cast<float>(largest) / static_cast<float>(std::max(1, count)), spec.max_delta));
}

}  // namespace

std::span<const Key<AnchorSpec>> anchor_keys() { return kKeys; }

void AnchorHead::set(const Section& section, const AnchorSpec& s, Problems& problems) {
  AnchorRules& r = rules_;
  r.anchors = read_anchors(section, s.anchors, s.num, problems);
  set_mask(section, s, r, problems);
  set_multipliers(section, s, r, problems);
  r.class_map = read_class_map(section, s.map, s.classes, problems);
  r.classes = s.classes;
  r.max_truths = s.max;
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
  r.objectness_smooth = s.objectness_smooth;
  r.exact_gradient = s.exact_gradient;
  beta_nms_ = s.beta_nms;
  jitter_ = s.jitter;
  resize_ = s.resize;
  random_ = s.random;
}

Shape AnchorHead::output_shape(std::span<const Shape> in) const {
  if (in[0].c == rules_.channels()) return in[0];
  const Entry* classes = section().find("classes");
  const std::string place = classes ? section().where(*classes) : concat(section().where(), " classes = ", rules_.classes);
  fail(place, ": ", above(), " above gives ", in[0].c, " channels; expected ", rules_.channels(), " = ", rules_.mask.size(),
       rules_.mask.size() == 1 ? " mask" : " masks", " x (", rules_.first_class(), " + ", rules_.classes, ")");
}

std::string AnchorHead::summary(std::span<const Shape>) const {
  std::string text = concat(rules_.mask.size(), " of ", rules_.anchors.size(), " anchors  ", rules_.classes, " classes  ",
                            kLossKinds[static_cast<size_t>(rules_.iou_loss)]);
  if (rules_.exact_gradient) text += " (exact gradient)";
  if (rules_.new_coords) text += "  new_coords";
  if (rules_.scale_x_y != 1) text += concat("  scale_x_y ", rules_.scale_x_y);
  return text;
}

void AnchorHead::decode(const Tensor& output, int image, const Shape& net, const DecodeOptions& options, std::vector<Detection>& out) const {
  const AnchorGrid grid{output.desc.shape.w, output.desc.shape.h, net.w, net.h};
  ensure(output.desc.block == 1 && output.desc.shape.c == rules_.channels(), "decode needs the head's plain output");
  const float* const v = output.data + static_cast<size_t>(image) * output.desc.image_stride();
  const size_t plane = grid.plane();
  for (size_t cell = 0; cell < plane; ++cell) {
    for (int a = 0; a < static_cast<int>(rules_.mask.size()); ++a) {
      const float* const entries = v + anchor_plane(rules_, grid, a, 0) + cell;
      const float objectness = entries[static_cast<size_t>(rules_.objectness()) * plane];
      if (!(objectness > options.threshold)) continue;
      Detection found{.box = anchor_box(rules_, grid, v, a, cell), .objectness = objectness, .prob = {}, .anchor = a, .cell = cell};
      if (!std::isfinite(found.box.x + found.box.y + found.box.w + found.box.h)) continue;  // e^w overflowed: no box
      float certainty = 1;
      if (rules_.uncertain) certainty = 1 - (entries[plane] + entries[3 * plane] + entries[5 * plane] + entries[7 * plane]) / 4;
      found.prob.resize(options.count(rules_.classes));
      for (size_t i = 0; i < found.prob.size(); ++i) {
        const float p = objectness * entries[static_cast<size_t>(rules_.first_class() + options.class_at(i)) * plane] * certainty;
        found.prob[i] = p > options.threshold ? p : 0;
      }
      out.push_back(std::move(found));
    }
  }
}

}  // namespace dn
