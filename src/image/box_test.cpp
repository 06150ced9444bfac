#include "image/box.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/rng.h"
#include "base/text.h"

namespace dn {
namespace {

struct BoxD {
  double x, y, w, h;
};

BoxD widen(const Box& b) { return {b.x, b.y, b.w, b.h}; }

double reference_iou(const BoxD& a, const BoxD& b) {
  const double w = std::min(a.x + a.w / 2, b.x + b.w / 2) - std::max(a.x - a.w / 2, b.x - b.w / 2);
  const double h = std::min(a.y + a.h / 2, b.y + b.h / 2) - std::max(a.y - a.h / 2, b.y - b.h / 2);
  if (w <= 0 || h <= 0) return 0;
  return w * h / (a.w * a.h + b.w * b.h - w * h);
}

double aspect(const BoxD& a, const BoxD& b) {
  const double d = std::atan(b.w / b.h) - std::atan(a.w / a.h);
  return 4 / (std::numbers::pi * std::numbers::pi) * d * d;
}

double aspect_weight(const BoxD& a, const BoxD& b) { return aspect(a, b) / (1 - reference_iou(a, b) + aspect(a, b)); }

// The similarity whose derivative exact_gradient is; CIoU's weight is held at `alpha`.
double similarity(IouKind kind, const BoxD& a, const BoxD& b, double alpha) {
  const double overlap = reference_iou(a, b);
  const double cw = std::max(a.x + a.w / 2, b.x + b.w / 2) - std::min(a.x - a.w / 2, b.x - b.w / 2);
  const double ch = std::max(a.y + a.h / 2, b.y + b.h / 2) - std::min(a.y - a.h / 2, b.y - b.h / 2);
  const double area = a.w * a.h + b.w * b.h, shared = overlap * area / (1 + overlap);
  const double distance = ((a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y)) / (cw * cw + ch * ch);
  switch (kind) {
    case IouKind::giou: return overlap - (cw * ch - (area - shared)) / (cw * ch);
    case IouKind::diou: return overlap - distance;
    case IouKind::ciou: return overlap - distance - alpha * aspect(a, b);
    default: return overlap;
  }
}

BoxD numeric_gradient(IouKind kind, const Box& a, const Box& b) {
  const BoxD at = widen(a), truth = widen(b);
  const double alpha = aspect_weight(at, truth), step = 1e-6;
  double BoxD::*const members[] = {&BoxD::x, &BoxD::y, &BoxD::w, &BoxD::h};
  BoxD gradient{};
  for (const auto member : members) {
    BoxD up = at, down = at;
    up.*member += step;
    down.*member -= step;
    gradient.*member = (similarity(kind, up, truth, alpha) - similarity(kind, down, truth, alpha)) / (2 * step);
  }
  return gradient;
}

// Overlapping, nested, apart in one direction, apart in both.
Box random_box(Rng& rng) {
  return {static_cast<float>(rng.uniform(.1, .9)), static_cast<float>(rng.uniform(.1, .9)), static_cast<float>(rng.uniform(.05, .6)),
          static_cast<float>(rng.uniform(.05, .6))};
}

constexpr IouKind kKinds[] = {IouKind::iou, IouKind::giou, IouKind::diou, IouKind::ciou};

}  // namespace

TEST(box, measures_of_known_pairs) {
  const Box a{.5f, .5f, .4f, .4f}, half{.7f, .5f, .4f, .4f}, apart{2.5f, .5f, 1, 1}, unit{.5f, .5f, 1, 1};
  EXPECT_FLOAT_EQ(iou(a, a), 1);
  EXPECT_NEAR(iou(a, half), .2 * .4 / (.32 - .08), 1e-6);
  EXPECT_FLOAT_EQ(iou(unit, apart), 0);
  EXPECT_FLOAT_EQ(giou(unit, apart), -1.0f / 3);           // hull 3, union 2
  EXPECT_NEAR(diou(unit, apart), -std::pow(.4, .6), 1e-6);  // distance^2 4, diagonal^2 10
  EXPECT_NEAR(diou_nms(unit, apart, 1), -.4, 1e-6);
  EXPECT_NEAR(ciou(unit, apart), -.4, 1e-6);                // same aspect
  EXPECT_FLOAT_EQ(iou_of_kind(IouKind::mse, a, half), iou(a, half));
  EXPECT_FLOAT_EQ(iou_of_kind(IouKind::giou, unit, apart), giou(unit, apart));
}

TEST(box, empty_boxes_give_numbers) {
  const Box none{.5f, .5f, 0, 0}, some{.5f, .5f, .2f, .1f};
  for (const IouKind kind : kKinds) {
    EXPECT_TRUE(std::isfinite(iou_of_kind(kind, none, none)));
    EXPECT_TRUE(std::isfinite(iou_of_kind(kind, none, some)));
    const BoxGradient g = exact_gradient(kind, none, none);
    EXPECT_TRUE(std::isfinite(g.x) && std::isfinite(g.y) && std::isfinite(g.w) && std::isfinite(g.h));
  }
}

TEST(box, measures_agree_with_double) {
  Rng rng(1, RandomUse::test);
  for (int i = 0; i < 2000; ++i) {
    const Box a = random_box(rng), b = random_box(rng);
    const BoxD p = widen(a), q = widen(b);
    EXPECT_NEAR(iou(a, b), reference_iou(p, q), 1e-6);
    EXPECT_NEAR(giou(a, b), similarity(IouKind::giou, p, q, 0), 1e-6);
    EXPECT_NEAR(diou_nms(a, b, 1), similarity(IouKind::diou, p, q, 0), 1e-6);
    EXPECT_NEAR(ciou(a, b), similarity(IouKind::ciou, p, q, aspect_weight(p, q)), 1e-5);
  }
}

TEST(box, exact_gradient_is_the_derivative) {
  Rng rng(2, RandomUse::test);
  for (const IouKind kind : kKinds)
    for (int i = 0; i < 1000; ++i) {
      const Box a = random_box(rng), b = random_box(rng);
      const BoxGradient g = exact_gradient(kind, a, b);
      const BoxD n = numeric_gradient(kind, a, b);
      const double scale = std::max({1.0, std::fabs(n.x), std::fabs(n.y), std::fabs(n.w), std::fabs(n.h)});
      const std::string what = concat("kind ", static_cast<int>(kind), " pair ", i);
      EXPECT_NEAR(g.x, n.x, 1e-4 * scale) << what;
      EXPECT_NEAR(g.y, n.y, 1e-4 * scale) << what;
      EXPECT_NEAR(g.w, n.w, 1e-4 * scale) << what;
      EXPECT_NEAR(g.h, n.h, 1e-4 * scale) << what;
    }
}

// The factors by which the family's gradient differs from the true one, for overlapping boxes.
TEST(box, reference_gradient_doubles_sizes_and_turns_the_diagonal) {
  Rng rng(3, RandomUse::test);
  int pairs = 0;
  while (pairs < 200) {
    const Box a = random_box(rng), b = random_box(rng);
    if (iou(a, b) <= 0) continue;
    ++pairs;
    const BoxGradient exact = exact_gradient(IouKind::iou, a, b);
    for (const IouKind kind : {IouKind::iou, IouKind::giou}) {
      const BoxGradient g = reference_gradient(kind, a, b), e = exact_gradient(kind, a, b);
      EXPECT_NEAR(g.x, e.x, 1e-4);
      EXPECT_NEAR(g.y, e.y, 1e-4);
      EXPECT_NEAR(g.w, 2 * e.w, 1e-3);
      EXPECT_NEAR(g.h, 2 * e.h, 1e-3);
    }
    const BoxGradient diou_exact = exact_gradient(IouKind::diou, a, b), diou = reference_gradient(IouKind::diou, a, b);
    EXPECT_NEAR(diou.w, diou_exact.w + exact.w, 1e-3);
    EXPECT_NEAR(diou.h, diou_exact.h + exact.h, 1e-3);
    // centre part true = -2 dx/c2 + d2 c2'/c2^2, reference = -2 dx/c2 - d2 c2'/c2^2; their mean is -2 dx/c2
    const double cw = std::max(a.x + a.w / 2, b.x + b.w / 2) - std::min(a.x - a.w / 2, b.x - b.w / 2);
    const double ch = std::max(a.y + a.h / 2, b.y + b.h / 2) - std::min(a.y - a.h / 2, b.y - b.h / 2);
    EXPECT_NEAR((diou.x + diou_exact.x) / 2 - exact.x, -2 * (a.x - b.x) / (cw * cw + ch * ch), 1e-3);
  }
}

TEST(box, reference_gradient_without_overlap) {
  const Box a{.2f, .2f, .1f, .1f}, b{.7f, .8f, .2f, .1f};
  const BoxGradient plain = reference_gradient(IouKind::iou, a, b);
  EXPECT_EQ(plain.x, 0);
  EXPECT_EQ(plain.w, 0);
  EXPECT_GT(reference_gradient(IouKind::diou, a, b).x, 0);   // towards the truth
  EXPECT_GT(reference_gradient(IouKind::giou, a, b).x, 0);
  EXPECT_GT(exact_gradient(IouKind::giou, a, b).x, 0);
}

}  // namespace dn
