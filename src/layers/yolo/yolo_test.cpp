#include "layers/yolo/yolo.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/rng.h"
#include "data/test_folder.h"
#include "device/cpu/device.h"
#include "layers/yolo/yolo_loss.h"
#include "nn/head_sweeps.h"
#include "nn/activation.h"
#include "tests/harness/head_section.h"

namespace dn {
namespace {

enum { kObjectness = 4, kFirstClass = 5 };   // entries of a [yolo] head

constexpr const char* kHead =
    "mask=1,2,4\nanchors=6,8, 14,10, 12,22, 26,20, 40,30, 50,44\nclasses=4\nnum=6\nmax=20\n";

using Parsed = testing::ParsedHead<Yolo>;

Parsed parse(const std::string& keys) { return testing::parse_head<Yolo>("[yolo]\n" + keys, "y.cfg", 139); }

std::unique_ptr<Yolo> head(const std::string& extra = {}) { return testing::settled(parse(kHead + extra)); }

std::string only_error(const std::string& keys) {
  const Parsed parsed = parse(keys);
  EXPECT_EQ(parsed.problems.errors().size(), 1u) << keys;
  return parsed.problems.errors().empty() ? std::string() : parsed.problems.errors()[0];
}

constexpr AnchorGrid kGrid{8, 6, 64, 48};

std::vector<float> random_inputs(size_t count, uint64_t seed, double low = -2, double high = 2) {
  Rng rng(seed, RandomUse::test);
  std::vector<float> v(count);
  for (float& value : v) value = static_cast<float>(rng.uniform(low, high));
  return v;
}

// The head's output for its inputs, in double.
double activated(const AnchorRules& rules, int entry, double v) {
  const bool logistic = !rules.new_coords && entry != kW && entry != kH;
  if (logistic) v = activate(Activation::logistic, v);
  return entry == kX || entry == kY ? rules.scale_x_y * v - (rules.scale_x_y - 1.0) / 2 : v;
}

std::vector<float> activate_image(const AnchorRules& rules, const AnchorGrid& grid, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  for (size_t i = 0; i < x.size(); ++i) y[i] = static_cast<float>(activated(rules, static_cast<int>(i / grid.plane()) % rules.entries(), x[i]));
  return y;
}

std::vector<TruthBox> some_truths() {
  return {{{.31f, .27f, .2f, .22f}, 1}, {{.72f, .55f, .6f, .7f}, 3}, {{.12f, .86f, .2f, .4f}, 0}, {{.55f, .45f, .24f, .19f}, 2}};
}

struct Outcome {
  std::vector<float> delta;
  AnchorImageLoss loss;
  float at(const AnchorRules& rules, int a, int entry, int row, int column) const {
    return delta[anchor_plane(rules, kGrid, a, entry) + static_cast<size_t>(row * kGrid.w + column)];
  }
};

Outcome loss_of(const AnchorRules& rules, const std::vector<float>& output, const std::vector<TruthBox>& truths) {
  Outcome out;
  out.delta.assign(output.size(), NAN);
  out.loss = yolo_image_loss(rules, kGrid, output.data(), truths, out.delta.data());
  return out;
}

}  // namespace

TEST(yolo, keys_and_defaults) {
  const auto plain = head();
  EXPECT_EQ(plain->rules().channels(), 27);
  EXPECT_EQ(plain->rules().iou_loss, IouKind::mse);
  EXPECT_FLOAT_EQ(plain->rules().iou_normalizer, .75f);
  EXPECT_EQ(plain->nms_kind(), NmsKind::standard);
  EXPECT_FLOAT_EQ(plain->jitter(), .2f);
  EXPECT_EQ(plain->max_truths(), 20);
  const auto other = head("iou_loss=ciou\nnms_kind=diounms\nbeta_nms=.7\njitter=.3\nresize=1.5\nrandom=1\nexact_gradient=1\n");
  EXPECT_EQ(other->rules().iou_loss, IouKind::ciou);
  EXPECT_EQ(other->nms_kind(), NmsKind::diou);
  EXPECT_FLOAT_EQ(other->beta_nms(), .7f);
  EXPECT_FLOAT_EQ(other->resize(), 1.5f);
  EXPECT_FLOAT_EQ(other->random(), 1);
  EXPECT_TRUE(other->rules().exact_gradient);
  EXPECT_EQ(parse("anchors=1,2,3,4\nnum=2\n").layer->rules().mask, (std::vector<int>{0, 1}));
}

TEST(yolo, every_row_of_the_key_table_is_described) {
  for (const KeyHelp& row : Yolo::keys()) EXPECT_FALSE(row.doc.empty()) << row.name;
}

TEST(yolo, refuses_wrong_keys) {
  EXPECT_NE(only_error("mask=1,6\nanchors=1,2,3,4\nnum=2\n").find("mask = 1,6: anchor 6 does not exist; expected 0..1"), std::string::npos);
  EXPECT_NE(only_error("mask=0,0\nanchors=1,2,3,4\nnum=2\n").find("stands twice"), std::string::npos);
  EXPECT_NE(only_error("num=3\nanchors=1,2,3,4\n").find("4 numbers for num = 3; expected 6"), std::string::npos);
  EXPECT_NE(only_error("num=3\n").find("anchors: 0 numbers"), std::string::npos);
  EXPECT_NE(only_error(std::string(kHead) + "counters_per_class=1,2,3\n").find("3 numbers; expected 4, one per class"), std::string::npos);
  for (const char* wrong : {"iou_loss=best", "nms_kind=cornersnms", "ignore_thresh=1.5", "scale_x_y=0", "max_delta=0", "map=no/such/file"})
    EXPECT_TRUE(parse(concat(kHead, wrong, "\n")).problems.failed()) << wrong;
  EXPECT_TRUE(parse("num=1\nanchors=10,-13\n").problems.failed());
  EXPECT_TRUE(parse("num=2\nmask=-1\nanchors=1,2,3,4\n").problems.failed());
}

TEST(yolo, says_which_keys_have_no_effect) {
  for (const char* key : {"track_history_size=20", "sim_thresh=.7", "dets_for_track=8", "dets_for_show=2", "track_ciou_norm=.2", "uc_normalizer=.07",
                          "beta1=.6", "show_details=0"}) {
    const Parsed parsed = parse(concat(kHead, key, "\n"));
    EXPECT_FALSE(parsed.problems.failed()) << key;
    ASSERT_EQ(parsed.problems.warnings().size(), 1u) << key;
    EXPECT_NE(parsed.problems.warnings()[0].find("no effect"), std::string::npos) << parsed.problems.warnings()[0];
  }
  EXPECT_EQ(parse("num=1\nanchors=1,2,3,4\n").problems.warnings().size(), 1u);
}

TEST(yolo, wrong_filters_above_are_named) {
  const auto layer = head();
  const Shape good[] = {{2, 27, 6, 8}}, bad[] = {{2, 255, 6, 8}};
  EXPECT_EQ(layer->output_shape(good), good[0]);
  try {
    layer->output_shape(bad);
    FAIL() << "255 channels were accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "y.cfg:5: [yolo] classes = 4: layer 138 above gives 255 channels; expected 27 = 3 masks x (5 + 4)");
  }
}

TEST(yolo, class_map_of_a_file) {
  const test::TestFolder folder("yolo_class_map");
  const fs::path path = folder / "classes.map";
  write_file(path, "2\n0\n3\n");
  const AnchorRules rules = head(concat("map=", path.string(), "\n"))->rules();
  EXPECT_EQ(rules.class_of(0), 2);
  EXPECT_EQ(rules.class_of(2), 3);
  EXPECT_EQ(rules.class_of(3), -1);
  EXPECT_EQ(rules.class_of(-1), -1);
  write_file(path, "2\n7\n");
  EXPECT_NE(only_error(concat(kHead, "map=", path.string(), "\n")).find(":2: 7: expected a class of the head, 0..3"), std::string::npos);
}

// A truth on the right or lower border belongs to the last cell; ids and sizes that make no sense are passed over.
TEST(yolo, truths_at_the_border_and_without_sense) {
  const AnchorRules rules = head()->rules();
  const std::vector<float> output = activate_image(rules, kGrid, random_inputs(27 * kGrid.plane(), 1));
  Outcome out = loss_of(rules, output, {{{1, 1, .2f, .2f}, 1}});   // 12.8 x 9.6 pixels: anchor 1, first of the mask
  EXPECT_EQ(out.loss.assigned, 1);
  EXPECT_GT(out.at(rules, 0, kObjectness, 5, 7), 0);
  EXPECT_GT(out.at(rules, 0, kFirstClass + 1, 5, 7), 0);
  for (const float v : out.delta) EXPECT_TRUE(std::isfinite(v));
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<TruthBox> nonsense{
      {{.5f, .5f, .2f, .2f}, 4}, {{.5f, .5f, .2f, .2f}, -1}, {{.5f, .5f, 0, .2f}, 1}, {{NAN, .5f, .1f, .2f}, 1}, {{.5f, .5f, inf, .2f}, 1}};
  out = loss_of(rules, output, nonsense);
  EXPECT_EQ(out.loss.truths, 0);
  EXPECT_EQ(out.loss.assigned, 0);
  EXPECT_EQ(out.loss.box_squares, 0);
  out = loss_of(rules, output, std::vector<TruthBox>(25, TruthBox{{.5f, .5f, .2f, .2f}, 1}));
  EXPECT_EQ(out.loss.truths, 20);   // max
  EXPECT_EQ(out.loss.rewritten, 19);
}

TEST(yolo, no_truths_push_every_cell_down) {
  AnchorRules rules = head()->rules();
  rules.obj_normalizer = .5f;
  const std::vector<float> output = activate_image(rules, kGrid, random_inputs(27 * kGrid.plane(), 2));
  const Outcome out = loss_of(rules, output, {});
  for (int a = 0; a < 3; ++a)
    for (size_t cell = 0; cell < kGrid.plane(); ++cell) {
      const size_t at = anchor_plane(rules, kGrid, a, kObjectness) + cell;
      EXPECT_FLOAT_EQ(out.delta[at], -.5f * output[at]);
    }
  const LossReport report = anchor_report(rules, std::vector<AnchorImageLoss>{out.loss});
  EXPECT_EQ(report.assigned, 0);
  EXPECT_DOUBLE_EQ(report.cost, out.loss.other_squares);
  EXPECT_DOUBLE_EQ(report.class_loss, .5 * out.loss.other_squares);
  EXPECT_DOUBLE_EQ(report.iou_loss + report.class_loss, report.total_loss);
}

TEST(yolo, iou_thresh_assigns_more_anchors) {
  AnchorRules rules = head("iou_loss=giou\n")->rules();
  const std::vector<float> output = activate_image(rules, kGrid, random_inputs(27 * kGrid.plane(), 3));
  const std::vector<TruthBox> truth{{{.5f, .5f, .2f, .4f}, 2}};   // 12.8 x 19.2: anchor 2 first, then anchors 1 and 4
  EXPECT_EQ(loss_of(rules, output, truth).loss.assigned, 1);
  rules.iou_thresh = .1f;
  EXPECT_EQ(loss_of(rules, output, truth).loss.assigned, 3);
  rules.iou_thresh = .9f;
  EXPECT_EQ(loss_of(rules, output, truth).loss.assigned, 1);
}

// A second truth of another class in the same cell makes it a cell of both, and with iou_thresh the boxes are averaged.
TEST(yolo, two_truths_in_one_cell) {
  AnchorRules rules = head("iou_loss=iou\n")->rules();
  const std::vector<float> output = activate_image(rules, kGrid, random_inputs(27 * kGrid.plane(), 4, -.5, .5));
  const TruthBox first{{.55f, .45f, .2f, .4f}, 2}, second{{.56f, .44f, .19f, .42f}, 0};
  const Outcome one = loss_of(rules, output, {first}), two = loss_of(rules, output, {second}), both = loss_of(rules, output, {first, second});
  const int row = 2, column = 4;
  EXPECT_EQ(both.loss.rewritten, 1);
  EXPECT_GT(both.at(rules, 1, kFirstClass + 2, row, column), 0);
  EXPECT_GT(both.at(rules, 1, kFirstClass, row, column), 0);
  EXPECT_LT(both.at(rules, 1, kFirstClass + 1, row, column), 0);
  EXPECT_NEAR(both.at(rules, 1, kW, row, column), one.at(rules, 1, kW, row, column) + two.at(rules, 1, kW, row, column), 1e-6);
  rules.iou_thresh = .99f;
  const Outcome shared = loss_of(rules, output, {first, second});
  EXPECT_NEAR(shared.at(rules, 1, kW, row, column), both.at(rules, 1, kW, row, column) / 2, 1e-6);
}

TEST(yolo, max_delta_bounds_boxes) {
  AnchorRules rules = head("iou_loss=ciou\nmax_delta=.01\n")->rules();
  const std::vector<float> output = activate_image(rules, kGrid, random_inputs(27 * kGrid.plane(), 5));
  const Outcome out = loss_of(rules, output, some_truths());
  float largest = 0;
  for (int a = 0; a < 3; ++a)
    for (int e = kX; e <= kH; ++e)
      for (size_t cell = 0; cell < kGrid.plane(); ++cell) largest = std::max(largest, std::fabs(out.delta[anchor_plane(rules, kGrid, a, e) + cell]));
  EXPECT_FLOAT_EQ(largest, .01f);
}

namespace {

double double_iou_family(IouKind kind, const double p[4], const Box& t, double alpha) {
  const auto overlap = [](double c, double s, double d, double u) {
    return std::max(0.0, std::min(c + s / 2, d + u / 2) - std::max(c - s / 2, d - u / 2));
  };
  const auto hull = [](double c, double s, double d, double u) { return std::max(c + s / 2, d + u / 2) - std::min(c - s / 2, d - u / 2); };
  const double shared = overlap(p[0], p[2], t.x, t.w) * overlap(p[1], p[3], t.y, t.h), united = p[2] * p[3] + static_cast<double>(t.w) * t.h - shared;
  const double cw = hull(p[0], p[2], t.x, t.w), ch = hull(p[1], p[3], t.y, t.h), iou = shared / united;
  if (kind == IouKind::iou) return iou;
  if (kind == IouKind::giou) return iou - (cw * ch - united) / (cw * ch);
  const double away = (std::pow(p[0] - t.x, 2) + std::pow(p[1] - t.y, 2)) / (cw * cw + ch * ch);
  const double angle = std::atan(static_cast<double>(t.w) / t.h) - std::atan(p[2] / p[3]), v = 4 / (M_PI * M_PI) * angle * angle;
  if (alpha < 0) return v / (1 - iou + v);   // asked for the weight itself
  return iou - away - (kind == IouKind::ciou ? alpha * v : 0);
}

// Loss of one truth at one cell as a function of the head's four inputs there.
struct CellLoss {
  const AnchorRules& rules;
  int a, row, column;
  TruthBox truth;
  double alpha = 0;

  void box(const double in[4], double out[4]) const {
    const AnchorSize& anchor = rules.anchors[static_cast<size_t>(rules.mask[static_cast<size_t>(a)])];
    out[0] = (column + activated(rules, kX, in[0])) / kGrid.w;
    out[1] = (row + activated(rules, kY, in[1])) / kGrid.h;
    out[2] = (rules.new_coords ? 4 * in[2] * in[2] : std::exp(in[2])) * anchor.w / kGrid.net_w;
    out[3] = (rules.new_coords ? 4 * in[3] * in[3] : std::exp(in[3])) * anchor.h / kGrid.net_h;
  }
  double operator()(const double in[4]) const {
    const Box& t = truth.box;
    if (rules.iou_loss != IouKind::mse) {
      double p[4];
      box(in, p);
      return rules.iou_normalizer * (1 - double_iou_family(rules.iou_loss, p, t, alpha));
    }
    const AnchorSize& anchor = rules.anchors[static_cast<size_t>(rules.mask[static_cast<size_t>(a)])];
    const auto size = [&](double ratio) { return rules.new_coords ? std::sqrt(ratio / 4) : std::log(ratio); };
    const double target[4] = {static_cast<double>(t.x) * kGrid.w - column, static_cast<double>(t.y) * kGrid.h - row,
                              size(static_cast<double>(t.w) * kGrid.net_w / anchor.w), size(static_cast<double>(t.h) * kGrid.net_h / anchor.h)};
    double sum = 0;
    for (int e = 0; e < 4; ++e) sum += std::pow(target[e] - (e < 2 ? activated(rules, e, in[e]) : in[e]), 2);
    return rules.iou_normalizer * (2 - static_cast<double>(t.w) * t.h) * sum / 2;
  }
};

void check_exact_gradient(const std::string& keys) {
  const AnchorRules rules = head("exact_gradient=1\n" + keys)->rules();
  int checked = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const std::vector<float> x = rules.new_coords ? random_inputs(27 * kGrid.plane(), seed, .2, .9) : random_inputs(27 * kGrid.plane(), seed, -1, 1);
    for (const TruthBox& truth : some_truths()) {
      const Outcome out = loss_of(rules, activate_image(rules, kGrid, x), {truth});
      const int a = rules.mask_position(nearest_anchor(view_of(rules), kGrid, truth.box.w, truth.box.h));
      if (a < 0) continue;
      CellLoss loss{rules, a, static_cast<int>(truth.box.y * kGrid.h), static_cast<int>(truth.box.x * kGrid.w), truth};
      double in[4], p[4];
      for (int e = 0; e < 4; ++e) in[e] = x[anchor_plane(rules, kGrid, a, e) + static_cast<size_t>(loss.row * kGrid.w + loss.column)];
      loss.box(in, p);
      loss.alpha = double_iou_family(IouKind::ciou, p, truth.box, -1);
      for (int e = 0; e < 4; ++e) {
        const double at = in[e], step = 1e-6;
        in[e] = at + step;
        const double up = loss(in);
        in[e] = at - step;
        const double down = loss(in);
        in[e] = at;
        EXPECT_NEAR(-out.at(rules, a, e, loss.row, loss.column), (up - down) / (2 * step), 2e-5) << keys << " seed " << seed << " entry " << e;
        ++checked;
      }
    }
  }
  EXPECT_GE(checked, 200);
}

}  // namespace

TEST(yolo, exact_gradient_is_the_derivative_of_the_loss) {
  for (const char* kind : {"mse", "iou", "giou", "diou", "ciou"})
    for (const char* coordinates : {"", "scale_x_y=1.2\n", "scale_x_y=2\nnew_coords=1\n"})
      check_exact_gradient(concat("iou_loss=", kind, "\niou_normalizer=.6\n", coordinates));
}

TEST(yolo, sweeps_agree_with_scalars) {
  Rng rng(6, RandomUse::test);
  for (const size_t count : {size_t{1}, size_t{7}, size_t{64}, size_t{169}}) {
    std::vector<float> v = random_inputs(count, count, -20, 20), l(count), r(count), t(count), b(count), best(count, NAN);
    std::vector<float> w = v;
    activate_values(w.data(), count, true, 1.2f, -.1f);
    for (size_t i = 0; i < count; ++i) EXPECT_NEAR(w[i], 1.2 / (1 + std::exp(-static_cast<double>(v[i]))) - .1, 1e-6);
    std::vector<Box> boxes;
    for (size_t i = 0; i < count; ++i) {
      const auto draw = [&](double low, double high) { return static_cast<float>(rng.uniform(low, high)); };
      const Box box{draw(0, 1), draw(0, 1), draw(.05, .5), draw(.05, .5)};
      boxes.push_back(box);
      l[i] = box.x - box.w / 2, r[i] = box.x + box.w / 2, t[i] = box.y - box.h / 2, b[i] = box.y + box.h / 2;
    }
    if (count > 1) l[1] = NAN;
    best_overlap({l.data(), r.data(), t.data(), b.data()}, count, some_truths(), best.data());
    for (size_t i = 0; i < count; ++i) {
      float expected = 0;
      for (const TruthBox& truth : some_truths()) expected = std::max(expected, iou(boxes[i], truth.box));
      EXPECT_NEAR(best[i], i == 1 ? 0 : expected, 1e-6);
    }
  }
}

}  // namespace dn
