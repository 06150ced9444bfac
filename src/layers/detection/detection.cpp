#include "layers/detection/detection.h"

#include <algorithm>
#include <cmath>

namespace dn {
namespace {

const Key<DetectionSpec> kKeys[] = {
    {"classes", &DetectionSpec::classes, 1, 65536, "object classes"},
    {"num", &DetectionSpec::num, 1, 1000, "boxes of a cell"},
    {"side", &DetectionSpec::side, 1, 1000, "cells along each side of the picture"},
    {"max", &DetectionSpec::max, 1, 100000, "truth boxes per image; those beyond are not learnt from"},
    {"softmax", &DetectionSpec::softmax, 0, 1, "1: class probabilities by a softmax; 0: the input as it is"},
    {"sqrt", &DetectionSpec::sqrt, 0, 1, "1: predicts the square roots of width and height"},
    {"rescore", &DetectionSpec::rescore, 0, 1, "1: confidence learns the overlap with the truth; 0: it learns 1"},
    {"forced", &DetectionSpec::forced, 0, 1, "1: truths below a tenth of the picture go to the second box of their cell, others to the first"},
    {"random", &DetectionSpec::random, 0, 1, "1: for the first 64000 images a truth goes to a random box of its cell"},
    {"coord_scale", &DetectionSpec::coord_scale, 0, 1e6, "weight of the boxes"},
    {"object_scale", &DetectionSpec::object_scale, 0, 1e6, "weight of confidence where there is an object"},
    {"noobject_scale", &DetectionSpec::noobject_scale, 0, 1e6, "weight of confidence elsewhere"},
    {"class_scale", &DetectionSpec::class_scale, 0, 1e6, "weight of the classes"},
    {"jitter", &DetectionSpec::jitter, 0, 1, "augmentation: random crop, each side up to this share"},
};

const ForeignKey kForeign[] = {
    {"coords", "4", true, "a box is x, y, w, h"},
    {"reorg", "0", false, "nothing of a detector acts on it: no effect"},
};

}  // namespace

std::vector<KeyHelp> DetectionHead::keys() { return key_help<DetectionSpec>(kKeys); }

std::unique_ptr<DetectionHead> DetectionHead::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<DetectionHead> layer(new DetectionHead(section, index, problems));
  const DetectionSpec s = bind<DetectionSpec>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  finish(section, problems);
  if (s.forced && s.num < 2)
    if (const Entry* entry = section.find("forced")) problems.error(section, *entry, concat("a cell has num = ", s.num, " box"), "num = 2 or more");
  layer->rules_ = {s.classes, s.num,    s.side,   s.max,         s.softmax,      s.sqrt,          s.rescore,
                   s.forced,  s.random, s.coord_scale, s.object_scale, s.noobject_scale, s.class_scale};
  layer->jitter_ = s.jitter;
  return layer;
}

Shape DetectionHead::output_shape(std::span<const Shape> in) const {
  if (in[0].per_image() == rules_.outputs()) return in[0];
  const Entry* side = section().find("side");
  fail(side ? section().where(*side) : concat(section().where(), " side = ", rules_.side), ": ", above(), " above gives ", in[0].per_image(),
       " values; expected ", rules_.outputs(), " = side ", rules_.side, " x ", rules_.side, " x (classes ", rules_.classes, " + num ", rules_.num,
       " x 5)");
}

std::string DetectionHead::summary(std::span<const Shape>) const {
  return concat(rules_.side, " x ", rules_.side, " cells  ", rules_.num, rules_.num == 1 ? " box  " : " boxes  ", rules_.classes, " classes",
                rules_.softmax ? "  softmax" : "", rules_.sqrt ? "  sqrt" : "");
}

std::string DetectionHead::loss_line(const LossReport& sum) const {
  const auto mean = [](double of, int64_t count) { return fixed(of / static_cast<double>(std::max<int64_t>(1, count)), 6); };
  return concat("Detection Avg IOU: ", mean(sum.iou_sum, sum.assigned), ", Pos Cat: ", mean(sum.class_sum, sum.assigned), ", All Cat: ",
                mean(sum.all_classes_sum, sum.assigned * rules_.classes), ", Pos Obj: ", mean(sum.objectness_sum, sum.assigned), ", Any Obj: ",
                mean(sum.any_objectness_sum, sum.predictions), ", count: ", sum.assigned);
}

void DetectionHead::decode(const Tensor& output, int image, const Shape&, const DecodeOptions& options, std::vector<Detection>& out) const {
  ensure(output.desc.block == 1 && output.desc.shape.per_image() == rules_.outputs(), "decode needs the head's plain output");
  const float* const v = output.data + static_cast<size_t>(image) * output.desc.image_stride();
  for (size_t cell = 0; cell < rules_.cells(); ++cell)
    for (int b = 0; b < rules_.num; ++b) {
      const float confidence = v[rules_.confidence_at(cell, b)];
      if (!(confidence > options.threshold)) continue;
      Detection found{detection_box(rules_, v, cell, b), confidence, {}};
      // Sizes are what a linear layer gives: a box without extent is none.
      if (!std::isfinite(found.box.x + found.box.y + found.box.w + found.box.h) || !(found.box.w > 0 && found.box.h > 0)) continue;
      found.prob.resize(options.count(rules_.classes));
      for (size_t i = 0; i < found.prob.size(); ++i) {
        const float p = confidence * v[rules_.classes_at(cell) + static_cast<size_t>(options.class_at(i))];
        found.prob[i] = p > options.threshold ? p : 0;
      }
      out.push_back(std::move(found));
    }
}

}  // namespace dn
