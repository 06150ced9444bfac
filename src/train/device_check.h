// Does a GPU compute what the CPU computes? (detector train -check cpu)  Two networks with the same weights go forward and backward over the same batches of a
// training, one on each device, without updates; their outputs are compared layer by layer, their gradients parameter by parameter.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "train/trainer.h"

namespace dn {

// Of every element |other - expected| / max(|expected|, root mean square of the tensor's expected values), counted by decades.
class ErrorHistogram {
 public:
  static constexpr int kDecades = 9;   // below 1e-7, below 1e-6, ... below 1, the rest
  void add(std::span<const float> expected, std::span<const float> other);

  const std::array<int64_t, kDecades>& counts() const { return counts_; }
  int64_t elements() const { return elements_; }
  int64_t not_finite() const { return not_finite_; }   // on one side only; not counted elsewhere
  double largest() const { return largest_; }
  double distance() const;   // |other - expected| / |expected|, of the vectors of all that was added

 private:
  std::array<int64_t, kDecades> counts_{};
  int64_t elements_ = 0, not_finite_ = 0;
  double largest_ = 0, square_error_ = 0, square_ = 0;
};

struct DeviceCheck {
  struct Row {
    int layer = 0;
    std::string type, name;   // "convolutional"; "output" or that of the parameter
    ErrorHistogram errors;
  };
  std::string gpu, cpu;       // descriptions
  int iterations = 0, images = 0;   // images of one iteration
  std::vector<Row> outputs, gradients;
  double gpu_loss = 0, cpu_loss = 0;   // sums over all batches
};

// The options of a training; the GPU is that of options.device, in fp32 unless a precision was chosen. Throws Error when there is none.
DeviceCheck check_device(const TrainOptions& options, int iterations = 3);

}  // namespace dn
