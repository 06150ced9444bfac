// Boxes and the IoU family with the gradients that the reference's detectors were tuned to, for the host and for GPU kernels.
// All in relative units: centre x, y and sizes w, h. Sources: GIoU (Rezatofighi et al. 2019), DIoU and CIoU (Zheng et al. 2020).
//
// With l, r, t, b the edges, I the intersection, U the union, C the area of the smallest enclosing box, d the distance of the centres, c the diagonal of
// the enclosing box:
//   IoU = I/U      GIoU = IoU - (C-U)/C      DIoU = IoU - d^2/c^2      CIoU = DIoU - alpha v
//   v = 4/pi^2 (atan(w*/h*) - atan(w/h))^2   alpha = v / (1 - IoU + v)
// alpha is a weight that is not differentiated, as in its paper and in every implementation since.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/host_device.h"

namespace dn {

struct Box {
  float x = 0, y = 0, w = 0, h = 0;
};

enum class IouKind { mse, iou, giou, diou, ciou };

struct BoxGradient {
  float x = 0, y = 0, w = 0, h = 0;
};

namespace boxes {

inline constexpr double kAspectScale = 4 / (std::numbers::pi * std::numbers::pi);

struct Edges {
  double left, right, top, bottom;
  DN_HD explicit Edges(const Box& box)
      : left(box.x - box.w / 2.0), right(box.x + box.w / 2.0), top(box.y - box.h / 2.0), bottom(box.y + box.h / 2.0) {}
};

// The measures of a pair of boxes that every member of the family is made of.
struct Pair {
  double overlap_w, overlap_h;  // negative when apart
  double hull_w, hull_h;        // sides of the enclosing box
  double area_a, area_b;
  double distance2;  // of the centres, squared

  DN_HD Pair(const Box& a, const Box& b) {
    const Edges p(a), q(b);
    overlap_w = std::min(p.right, q.right) - std::max(p.left, q.left);
    overlap_h = std::min(p.bottom, q.bottom) - std::max(p.top, q.top);
    hull_w = std::max(p.right, q.right) - std::min(p.left, q.left);
    hull_h = std::max(p.bottom, q.bottom) - std::min(p.top, q.top);
    area_a = static_cast<double>(a.w) * a.h;
    area_b = static_cast<double>(b.w) * b.h;
    const double dx = static_cast<double>(a.x) - b.x, dy = static_cast<double>(a.y) - b.y;
    distance2 = dx * dx + dy * dy;
  }
  DN_HD bool overlaps() const { return overlap_w > 0 && overlap_h > 0; }
  DN_HD double intersection() const { return overlaps() ? overlap_w * overlap_h : 0; }
  DN_HD double united() const { return area_a + area_b - intersection(); }
  DN_HD double iou() const {
    const double i = intersection(), u = united();
    return i > 0 && u > 0 ? i / u : 0;
  }
  DN_HD double diagonal2() const { return hull_w * hull_w + hull_h * hull_h; }
  DN_HD double relative_distance2() const { return diagonal2() > 0 ? distance2 / diagonal2() : 0; }
};

DN_HD inline double aspect_difference(const Box& prediction, const Box& truth) {
  return std::atan2(static_cast<double>(truth.w), static_cast<double>(truth.h)) -
         std::atan2(static_cast<double>(prediction.w), static_cast<double>(prediction.h));
}

DN_HD inline double aspect_weight(double v, double iou, double epsilon) {
  const double below = 1 - iou + v + epsilon;
  return below > 0 ? v / below : 0;
}

// How overlap and hull change with the edges of the prediction: an edge counts where it is the one that bounds.
struct EdgeSlopes {
  double overlap_left, overlap_right, overlap_top, overlap_bottom;
  double hull_left, hull_right, hull_top, hull_bottom;
  DN_HD EdgeSlopes(const Edges& p, const Edges& q)
      : overlap_left(p.left > q.left ? -1 : 0),
        overlap_right(p.right < q.right ? 1 : 0),
        overlap_top(p.top > q.top ? -1 : 0),
        overlap_bottom(p.bottom < q.bottom ? 1 : 0),
        hull_left(p.left < q.left ? -1 : 0),
        hull_right(p.right > q.right ? 1 : 0),
        hull_top(p.top < q.top ? -1 : 0),
        hull_bottom(p.bottom > q.bottom ? 1 : 0) {}
};

// Derivatives of the parts with respect to one coordinate of the prediction.
struct Slopes {
  double overlap_w = 0, overlap_h = 0, hull_w = 0, hull_h = 0, area = 0;
};

// along x, y, w, h; `edge` is how far an edge moves per unit of w or h: 1/2 in truth.
struct AllSlopes {
  Slopes x, y, w, h;
  DN_HD AllSlopes(const Box& prediction, const Box& truth, double edge) {
    const EdgeSlopes s(Edges{prediction}, Edges{truth});
    x = {s.overlap_left + s.overlap_right, 0, s.hull_left + s.hull_right, 0, 0};
    y = {0, s.overlap_top + s.overlap_bottom, 0, s.hull_top + s.hull_bottom, 0};
    w = {edge * (s.overlap_right - s.overlap_left), 0, edge * (s.hull_right - s.hull_left), 0, 2 * edge * prediction.h};
    h = {0, edge * (s.overlap_bottom - s.overlap_top), 0, edge * (s.hull_bottom - s.hull_top), 2 * edge * prediction.w};
  }
};

// d(I/U); `overlap` holds the extents to use (clamped at 0 or not).
DN_HD inline double iou_slope(const Slopes& s, double overlap_w, double overlap_h, double intersection, double united) {
  if (!(united > 0)) return 0;
  const double di = s.overlap_w * overlap_h + s.overlap_h * overlap_w;
  const double du = s.area - di;
  return (di * united - intersection * du) / (united * united);
}

// d(U/C - 1), the second half of GIoU.
DN_HD inline double hull_slope(const Slopes& s, const Pair& pair, double overlap_w, double overlap_h, double united) {
  const double hull = pair.hull_w * pair.hull_h;
  if (!(hull > 0)) return 0;
  const double du = s.area - (s.overlap_w * overlap_h + s.overlap_h * overlap_w);
  const double dc = s.hull_w * pair.hull_h + s.hull_h * pair.hull_w;
  return (du * hull - united * dc) / (hull * hull);
}

DN_HD inline double diagonal2_slope(const Slopes& s, const Pair& pair) { return 2 * (pair.hull_w * s.hull_w + pair.hull_h * s.hull_h); }

struct Sum {
  double x = 0, y = 0, w = 0, h = 0;
  DN_HD BoxGradient rounded() const { return {static_cast<float>(x), static_cast<float>(y), static_cast<float>(w), static_cast<float>(h)}; }
};

template <class Term>
DN_HD void add_each(Sum& sum, const AllSlopes& slopes, const Term& term) {
  sum.x += term(slopes.x);
  sum.y += term(slopes.y);
  sum.w += term(slopes.w);
  sum.h += term(slopes.h);
}

DN_HD inline bool has_distance(IouKind kind) { return kind == IouKind::diou || kind == IouKind::ciou; }

}  // namespace boxes

DN_HD inline float iou(const Box& a, const Box& b) { return static_cast<float>(boxes::Pair(a, b).iou()); }

DN_HD inline float giou(const Box& a, const Box& b) {
  const boxes::Pair pair(a, b);
  const double hull = pair.hull_w * pair.hull_h;
  return static_cast<float>(hull > 0 ? pair.iou() - (hull - pair.united()) / hull : pair.iou());
}

// IoU - (distance/diagonal)^beta, the suppression measure of nms_kind=diounms.
DN_HD inline float diou_nms(const Box& a, const Box& b, float beta) {
  const boxes::Pair pair(a, b);
  const double away = pair.relative_distance2();
  return static_cast<float>(away > 0 ? pair.iou() - std::pow(away, static_cast<double>(beta)) : pair.iou());
}

// The reference's reported form: IoU - (d/c)^0.6.
DN_HD inline float diou(const Box& a, const Box& b) { return diou_nms(a, b, .6f); }

DN_HD inline float ciou(const Box& a, const Box& b) {
  const boxes::Pair pair(a, b);
  const double difference = boxes::aspect_difference(a, b), v = boxes::kAspectScale * difference * difference;
  return static_cast<float>(pair.iou() - pair.relative_distance2() - boxes::aspect_weight(v, pair.iou(), 1e-6) * v);
}

DN_HD inline float iou_of_kind(IouKind kind, const Box& a, const Box& b) {
  switch (kind) {
    case IouKind::mse:
    case IouKind::iou: return iou(a, b);
    case IouKind::giou: return giou(a, b);
    case IouKind::diou: return diou(a, b);
    case IouKind::ciou: return ciou(a, b);
  }
  return iou(a, b);
}

// d similarity / d prediction, as the reference computes it (compatibility notes 5.4: w, h of the IoU part are twice the true value, the
// enclosing diagonal enters x, y with the other sign). Published iou_normalizer values are tuned to it.
DN_HD inline BoxGradient reference_gradient(IouKind kind, const Box& prediction, const Box& truth) {
  const boxes::Pair pair(prediction, truth);
  const boxes::AllSlopes doubled(prediction, truth, 1), exact(prediction, truth, .5);
  // The reference multiplies the extents without clamping them, so boxes apart in both directions "intersect".
  const double intersection = pair.overlap_w * pair.overlap_h, united = pair.area_a + pair.area_b - intersection;
  boxes::Sum sum;
  if (pair.overlaps())
    boxes::add_each(sum, doubled, [&](const boxes::Slopes& s) { return boxes::iou_slope(s, pair.overlap_w, pair.overlap_h, intersection, united); });
  if (kind == IouKind::giou)
    boxes::add_each(sum, doubled, [&](const boxes::Slopes& s) { return boxes::hull_slope(s, pair, pair.overlap_w, pair.overlap_h, united); });
  const double c2 = pair.diagonal2();
  if (boxes::has_distance(kind) && c2 > 0) {
    const double dx = static_cast<double>(prediction.x) - truth.x, dy = static_cast<double>(prediction.y) - truth.y, d2 = pair.distance2;
    sum.x += (-2 * dx * c2 - d2 * boxes::diagonal2_slope(exact.x, pair)) / (c2 * c2);  // the true sign of the second term is +
    sum.y += (-2 * dy * c2 - d2 * boxes::diagonal2_slope(exact.y, pair)) / (c2 * c2);
    sum.w += d2 * boxes::diagonal2_slope(exact.w, pair) / (c2 * c2);
    sum.h += d2 * boxes::diagonal2_slope(exact.h, pair) / (c2 * c2);
  }
  if (kind == IouKind::ciou) {
    const double difference = boxes::aspect_difference(prediction, truth), v = boxes::kAspectScale * difference * difference;
    const double alpha = boxes::aspect_weight(v, pair.iou(), 1e-6);
    sum.w += alpha * 2 * boxes::kAspectScale * difference * prediction.h;  // without 1/(w^2 + h^2)
    sum.h -= alpha * 2 * boxes::kAspectScale * difference * prediction.w;
  }
  return sum.rounded();
}

// The true derivative (of giou/diou/ciou as published).
DN_HD inline BoxGradient exact_gradient(IouKind kind, const Box& prediction, const Box& truth) {
  const boxes::Pair pair(prediction, truth);
  const boxes::AllSlopes slopes(prediction, truth, .5);
  const bool overlaps = pair.overlaps();
  const double overlap_w = overlaps ? pair.overlap_w : 0, overlap_h = overlaps ? pair.overlap_h : 0, united = pair.united();
  boxes::Sum sum;
  if (overlaps)
    boxes::add_each(sum, slopes, [&](const boxes::Slopes& s) { return boxes::iou_slope(s, overlap_w, overlap_h, pair.intersection(), united); });
  if (kind == IouKind::giou)
    boxes::add_each(sum, slopes, [&](const boxes::Slopes& s) { return boxes::hull_slope(s, pair, overlap_w, overlap_h, united); });
  const double c2 = pair.diagonal2();
  if (boxes::has_distance(kind) && c2 > 0) {
    sum.x -= 2 * (static_cast<double>(prediction.x) - truth.x) / c2;
    sum.y -= 2 * (static_cast<double>(prediction.y) - truth.y) / c2;
    boxes::add_each(sum, slopes, [&](const boxes::Slopes& s) { return pair.distance2 * boxes::diagonal2_slope(s, pair) / (c2 * c2); });
  }
  const double size2 = static_cast<double>(prediction.w) * prediction.w + static_cast<double>(prediction.h) * prediction.h;
  if (kind == IouKind::ciou && size2 > 0) {
    const double difference = boxes::aspect_difference(prediction, truth), v = boxes::kAspectScale * difference * difference;
    const double alpha = boxes::aspect_weight(v, pair.iou(), 0);
    sum.w += alpha * 2 * boxes::kAspectScale * difference * prediction.h / size2;
    sum.h -= alpha * 2 * boxes::kAspectScale * difference * prediction.w / size2;
  }
  return sum.rounded();
}

}  // namespace dn
