// Boxes and the IoU family with the gradients that the reference's detectors were tuned to.
// All in relative units: centre x, y and sizes w, h. Sources: GIoU (Rezatofighi et al. 2019), DIoU and CIoU (Zheng et al. 2020).
#pragma once

#include <string_view>

namespace dn {

struct Box {
  float x = 0, y = 0, w = 0, h = 0;
};

enum class IouKind { mse, iou, giou, diou, ciou };

float iou(const Box& a, const Box& b);
float giou(const Box& a, const Box& b);
float diou(const Box& a, const Box& b);   // the reference's reported form: IoU - (d/c)^0.6
float ciou(const Box& a, const Box& b);
float iou_of_kind(IouKind kind, const Box& a, const Box& b);
// IoU - (distance/diagonal)^beta, the suppression measure of nms_kind=diounms.
float diou_nms(const Box& a, const Box& b, float beta);

struct BoxGradient {
  float x = 0, y = 0, w = 0, h = 0;
};
// d similarity / d prediction, as the reference computes it (compatibility notes 5.4: w, h of the IoU part are twice the true value, the
// enclosing diagonal enters x, y with the other sign). Published iou_normalizer values are tuned to it.
BoxGradient reference_gradient(IouKind kind, const Box& prediction, const Box& truth);
// The true derivative (of giou/diou/ciou as published).
BoxGradient exact_gradient(IouKind kind, const Box& prediction, const Box& truth);

}  // namespace dn
