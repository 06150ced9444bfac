#include "layers/region/region.h"

#include "nn/head_keys.h"

namespace dn {
namespace {

const Key<RegionSpec> kKeys[] = {
    {"classes", &RegionSpec::classes, 1, 65536, "object classes"},
    {"num", &RegionSpec::num, 1, 1000, "anchors"},
    {"anchors", &RegionSpec::anchors, 1e-3, 1e5, "num pairs of width, height in cells of the output"},
    {"max", &RegionSpec::max, 1, 100000, "truth boxes per image; those beyond are not learnt from"},
    {"softmax", &RegionSpec::softmax, 0, 1, "1: class probabilities by a softmax; 0: the input as it is"},
    {"tree", &RegionSpec::tree, 0, 0, "file of a class hierarchy, `name parent` a line: a softmax per group of siblings"},
    {"map", &RegionSpec::map, 0, 0, "file with the head's class of each label class, one a line"},
    {"bias_match", &RegionSpec::bias_match, 0, 1, "1: a truth goes to the anchor of its cell whose shape is nearest; 0: to the predicted shape"},
    {"thresh", &RegionSpec::thresh, 0, 1, "a box that overlaps a truth by more is not pushed towards no object"},
    {"rescore", &RegionSpec::rescore, 0, 1, "1: objectness learns the overlap with the truth; 0: it learns 1"},
    {"classfix", &RegionSpec::classfix, -1, 2,
     "boxes without a truth of their own that overlap one by more than thresh: 1 learn its class, 2 weighted by objectness; -1: every such box "
     "learns its overlap as objectness"},
    {"focal_loss", &RegionSpec::focal_loss, 0, 1, "class gradients by the focal loss, gamma 2, alpha .5; not with a tree"},
    {"coord_scale", &RegionSpec::coord_scale, 0, 1e6, "weight of the boxes"},
    {"object_scale", &RegionSpec::object_scale, 0, 1e6, "weight of objectness where there is an object"},
    {"noobject_scale", &RegionSpec::noobject_scale, 0, 1e6, "weight of objectness elsewhere"},
    {"class_scale", &RegionSpec::class_scale, 0, 1e6, "weight of the classes"},
    {"jitter", &RegionSpec::jitter, 0, 1, "augmentation: random crop, each side up to this share"},
    {"resize", &RegionSpec::resize, .1, 10, "augmentation: random zoom up to this factor"},
    {"random", &RegionSpec::random, 0, 10, "input size changes during training: 0 never, 1 by up to 1.4, else by up to this factor"},
};

// absolute has both values in published files and neither does anything in the family.
const ForeignKey kForeign[] = {
    {"coords", "4", true, "a box is x, y, w, h"},
    {"absolute", "0,1", false, "sizes are always relative to the cells: no effect"},
    {"log", "0", false, "belongs to the family's first heads: no effect"},
    {"sqrt", "0", false, "belongs to [detection]: no effect"},
    {"mask_scale", "1", false, "masks beside the boxes are not built: no effect"},
};

// Probability of a class: the product along the way to the root.
float chain(const ClassTree& tree, const float* conditional, size_t stride, int node) {
  float p = 1;
  for (; node >= 0; node = tree.parent[static_cast<size_t>(node)]) p *= conditional[static_cast<size_t>(node) * stride];
  return p;
}

struct Node {
  int id = -1;    // none: no root is probable enough
  float p = 0;
};

// From the root to the most probable child, while the probability stays above the threshold.
Node descend(const ClassTree& tree, const float* conditional, size_t stride, float threshold) {
  Node node{-1, 1};
  for (int group = 0; group >= 0; group = tree.child[static_cast<size_t>(node.id)]) {
    const ClassTree::Group& g = tree.groups[static_cast<size_t>(group)];
    int best = g.first;
    for (int i = g.first + 1; i < g.first + g.size; ++i)
      if (conditional[static_cast<size_t>(i) * stride] > conditional[static_cast<size_t>(best) * stride]) best = i;
    const float p = node.p * conditional[static_cast<size_t>(best) * stride];
    if (!(p > threshold)) break;
    node = {best, p};
  }
  return node;
}

}  // namespace

std::vector<KeyHelp> Region::keys() { return key_help<RegionSpec>(kKeys); }

std::unique_ptr<Region> Region::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Region> layer(new Region(section, index, problems));
  const RegionSpec s = bind<RegionSpec>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  finish(section, problems);
  RegionRules& r = layer->rules_;
  r.anchors = read_anchors(section, s.anchors, s.num, problems);
  for (int i = 0; i < s.num; ++i) r.mask.push_back(i);
  if (!s.tree.empty()) r.tree = read_class_tree(section, s.tree, s.classes, problems);
  r.class_map = read_class_map(section, s.map, s.classes, problems);
  r.classes = s.classes;
  r.max_truths = s.max;
  r.softmax = s.softmax;
  r.focal_loss = s.focal_loss;
  r.rescore = s.rescore;
  r.bias_match = s.bias_match;
  r.classfix = s.classfix;
  r.thresh = s.thresh;
  r.coord_scale = s.coord_scale;
  r.object_scale = s.object_scale;
  r.noobject_scale = s.noobject_scale;
  r.class_scale = s.class_scale;
  layer->jitter_ = s.jitter;
  layer->resize_ = s.resize;
  layer->random_ = s.random;
  return layer;
}

Shape Region::output_shape(std::span<const Shape> in) const {
  if (in[0].c == rules_.channels()) return in[0];
  const Entry* classes = section().find("classes");
  const std::string place = classes ? section().where(*classes) : concat(section().where(), " classes = ", rules_.classes);
  fail(place, ": ", above(), " above gives ", in[0].c, " channels; expected ", rules_.channels(), " = ", rules_.anchors.size(),
       rules_.anchors.size() == 1 ? " anchor" : " anchors", " x (5 + ", rules_.classes, ")");
}

std::string Region::summary(std::span<const Shape>) const {
  return concat(rules_.anchors.size(), " anchors  ", rules_.classes, " classes",
                rules_.has_tree() ? concat("  tree of ", rules_.tree.groups.size(), " groups") : rules_.softmax ? std::string("  softmax") : "");
}

std::string Region::loss_line(const LossReport& sum) const {
  const auto mean = [](double of, int64_t count) { return fixed(of / static_cast<double>(std::max<int64_t>(1, count)), 6); };
  return concat("Region Avg IOU: ", mean(sum.iou_sum, sum.assigned), ", Class: ", mean(sum.class_sum, sum.classified), ", Obj: ",
                mean(sum.objectness_sum, sum.assigned), ", No Obj: ", mean(sum.any_objectness_sum, sum.predictions), ", Avg Recall: ",
                mean(static_cast<double>(sum.recalled), sum.assigned), ", count: ", sum.assigned);
}

void Region::decode(const Tensor& output, int image, const Shape&, const DecodeOptions& options, std::vector<Detection>& out) const {
  const AnchorGrid grid = region_grid(output.desc.shape.w, output.desc.shape.h);
  ensure(output.desc.block == 1 && output.desc.shape.c == rules_.channels(), "decode needs the head's plain output");
  const float* const v = output.data + static_cast<size_t>(image) * output.desc.image_stride();
  const size_t plane = grid.plane();
  for (size_t cell = 0; cell < plane; ++cell) {
    for (int a = 0; a < static_cast<int>(rules_.anchors.size()); ++a) {
      const float objectness = v[anchor_plane(rules_, grid, a, rules_.objectness()) + cell];
      if (!(objectness > options.threshold) || (rules_.classfix == -1 && objectness < .5f)) continue;
      Detection found{anchor_box(rules_, grid, v, a, cell), objectness, {}};
      if (!std::isfinite(found.box.x + found.box.y + found.box.w + found.box.h)) continue;  // e^w overflowed: no box
      const float* const p = v + anchor_plane(rules_, grid, a, rules_.first_class()) + cell;
      const auto set = [&](size_t i, float probability) {
        found.prob[i] = objectness * probability > options.threshold ? objectness * probability : 0;
      };
      found.prob.assign(options.count(rules_.classes), 0);
      if (rules_.has_tree() && options.report.empty()) {
        if (const Node node = descend(rules_.tree, p, plane, options.hierarchy); node.id >= 0) set(static_cast<size_t>(node.id), node.p);
      } else {
        for (size_t i = 0; i < found.prob.size(); ++i)
          set(i, rules_.has_tree() ? chain(rules_.tree, p, plane, options.class_at(i)) : p[static_cast<size_t>(options.class_at(i)) * plane]);
      }
      out.push_back(std::move(found));
    }
  }
}

}  // namespace dn
