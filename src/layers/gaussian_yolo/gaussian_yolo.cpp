#include "layers/gaussian_yolo/gaussian_yolo.h"

namespace dn {
namespace {

constexpr std::string_view kPoints[] = {"center", "left_top", "right_bottom"};
constexpr std::string_view kNmsKinds[] = {"default", "greedynms", "diounms", "cornersnms"};

const Key<GaussianYoloSpec> kKeys[] = {
    {"uc_normalizer", &GaussianYoloSpec::uc_normalizer, 0, 1e6, "weight of the gradient of the uncertainties"},
    {"yolo_point", &GaussianYoloSpec::yolo_point, 0, 0, "which point of the box x and y are", kPoints},
    {"nms_kind", &GaussianYoloSpec::nms_kind, 0, 0, "measure of non-maximum suppression; cornersnms is the IoU, as default is", kNmsKinds},
};

const ForeignKey kForeign[] = {
    {"show_details", "1", false, "the training log has one form: no effect"},
    {"new_coords", "0", false, "belongs to [yolo]: no effect"},
    {"focal_loss", "0", false, "belongs to [yolo]: no effect"},
};

}  // namespace

std::vector<KeyHelp> GaussianYolo::keys() {
  std::vector<KeyHelp> rows = key_help(anchor_keys());
  for (KeyHelp& row : key_help<GaussianYoloSpec>(kKeys)) rows.push_back(std::move(row));
  return rows;
}

std::unique_ptr<GaussianYolo> GaussianYolo::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<GaussianYolo> layer(new GaussianYolo(section, index, problems));
  const AnchorSpec shared = bind<AnchorSpec>(section, anchor_keys(), problems);
  const GaussianYoloSpec s = bind<GaussianYoloSpec>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  finish(section, problems);
  layer->set(section, shared, problems);
  layer->rules_.uncertain = true;
  layer->rules_.uc_normalizer = s.uc_normalizer;
  layer->rules_.point = s.yolo_point == "left_top" ? BoxPoint::left_top : s.yolo_point == "right_bottom" ? BoxPoint::right_bottom : BoxPoint::center;
  layer->nms_kind_ = s.nms_kind == "greedynms" ? NmsKind::greedy : s.nms_kind == "diounms" ? NmsKind::diou : NmsKind::standard;
  return layer;
}

}  // namespace dn
