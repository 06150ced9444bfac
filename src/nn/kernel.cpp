#include "nn/kernel.h"

namespace dn {

LossReport& LossReport::operator+=(const LossReport& b) {
  cost += b.cost;
  iou_sum += b.iou_sum;
  assigned += b.assigned;
  truths += b.truths;
  rewritten += b.rewritten;
  class_loss += b.class_loss;
  iou_loss += b.iou_loss;
  total_loss += b.total_loss;
  class_sum += b.class_sum;
  all_classes_sum += b.all_classes_sum;
  objectness_sum += b.objectness_sum;
  any_objectness_sum += b.any_objectness_sum;
  classified += b.classified;
  predictions += b.predictions;
  recalled += b.recalled;
  return *this;
}

}  // namespace dn
