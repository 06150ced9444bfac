// What the kernels of detection heads on a GPU share. x is channels-last, y plain FP32 of the same shape. Forward brings x to y and activates it on the
// way, and in training has the mini-batch's loss computed; saved[0] = delta = -d loss / d x, plain like y. Backward: dx = -scale * delta.
// The truths of a pass are on the device before its first kernel (prepare), and what was lost stays there until somebody asks (fetch_losses): nothing in
// between waits for the host.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <vector>

#include "device/cuda/device.h"
#include "device/cuda/view.h"
#include "nn/head_kernel.h"
#include "nn/kernel.h"

namespace dn::cuda {

// Lists on the device, as long as this lives.
class DeviceLists {
 public:
  explicit DeviceLists(Device& device) : device_(&device) {}
  // null: it is empty.
  template <class T>
  const T* put(const std::vector<T>& list) {
    if (list.empty()) return nullptr;
    const size_t bytes = list.size() * sizeof(T);
    const auto& memory = memory_.emplace_back(device_->allocate(bytes));
    device_->stream().to_device(memory->data(), list.data(), bytes);
    return reinterpret_cast<const T*>(memory->data());
  }

 private:
  Device* device_;
  std::vector<std::unique_ptr<DeviceMemory>> memory_;
};

// A channel's way from x to y: scale s(x) + shift, s the sigmoid where `logistic`.
struct ChannelForm {
  float scale = 1, shift = 0;
  bool logistic = false;
};

// The truths of a mini-batch that a head can learn from, with its classes, image by image. On the device.
struct HeadTruths {
  const int* first = nullptr;  // per image, and one more
  const TruthBox* boxes = nullptr;
  DN_HD int count(int image) const { return first[image + 1] - first[image]; }
  DN_HD const TruthBox* of(int image) const { return boxes + first[image]; }
};

// best_overlap of one box (nn/head_sweeps.h).
DN_HD inline float best_overlap_of(const Box& box, const TruthBox* truths, int count) {
  const float left = box.x - box.w / 2, right = box.x + box.w / 2, top = box.y - box.h / 2, bottom = box.y + box.h / 2;
  const float area = (right - left) * (bottom - top);
  float best = 0;
  for (int i = 0; i < count; ++i) {
    const Box& t = truths[i].box;
    const float w = std::min(right, t.x + t.w / 2) - std::max(left, t.x - t.w / 2);
    const float h = std::min(bottom, t.y + t.h / 2) - std::max(top, t.y - t.h / 2);
    const float shared = std::max(0.0f, w) * std::max(0.0f, h), overlap = shared / (area + t.w * t.h - shared);
    if (overlap > best) best = overlap;  // false for NaN
  }
  return best;
}

// The report of a mini-batch from those of its images; one item.
struct MiniBatchReportBody {
  const LossReport* images;
  size_t count;
  LossReport* report;
  DN_HD void operator()(size_t) const { *report = mini_batch_report(images, count); }
};

class HeadKernel : public Kernel {
 public:
  // class_of: the head's class of a label, -1 where it has none. forms: per channel.
  HeadKernel(Device& device, const KernelArgs& args, const std::vector<ChannelForm>& forms, int max_truths, std::function<int(int)> class_of,
             float gradient_scale = 1);
  Needs needs() const override;
  void prepare(const Io& io, const Pass& pass) override;
  void forward(const Io& io, const Pass& pass) override;
  void backward(const Io& io, const Pass& pass) override;
  bool keeps_losses() const override { return args_.training; }
  void fetch_losses(LossReport& last, LossReport& sum) override;

 protected:
  // Then what is activated in y as a whole.
  virtual void activate_parts(const PlainView& /*y*/) const {}
  // Puts the loss of the mini-batch on the stream: delta is to be overwritten, so is the report.
  virtual void put_loss(const Io& io, const PlainView& y, const HeadTruths& truths, float* delta, LossReport* report) const = 0;

  Device& device_;
  KernelArgs args_;
  int images_;

 private:
  LossReport* reports() const;  // on the device: of the last forward pass; sum over the backward passes since the last fetch
  HeadTruths truths() const;

  int max_truths_;
  std::function<int(int)> class_of_;
  float scale_;
  DeviceLists lists_;
  const ChannelForm* forms_;
  std::unique_ptr<DeviceMemory> truths_, reports_;
  std::vector<std::byte> staging_;  // of truths_
};

}  // namespace dn::cuda
