// The exponential moving average of the weights (ema_alpha), which usually tests better than the weights of any one iteration.
//
//   iteration = max_batches / 2:  a = w;  later, after every update:  a <- ema_alpha a + (1 - ema_alpha) w
//
// over everything a network has learned, running statistics included: averaged weights with the statistics of others would be a network that nobody
// trained. (The family averages weights, biases and scales only.) At `takes_over` training goes on from the averages, once: the family's
// max_batches - 1000, but not before 3/4 of max_batches, so that short runs have something to take over too. A run that starts later than that has
// it behind it. The averages are not in a weights file of the run: one that goes on begins them anew.
#pragma once

#include <cstdint>

#include "train/average_sweeps.h"

namespace dn {

class WeightAverage {
 public:
  // `start`: updates behind the run. Takes its memory now, on `device`, where the weights are; null: the host.
  WeightAverage(ParamStore& params, double alpha, int64_t max_batches, int64_t start, int threads, Device* device = nullptr);
  // After the update with this number. True: the weights are the averages now.
  bool update(int64_t iteration);
  bool started() const { return started_; }
  int64_t begins() const { return begins_; }
  int64_t takes_over() const { return takes_over_; }
  std::span<const float> values() const { return sweeps_->values(); }

  // Averages and weights change places for as long as this lives.
  class InPlace {
   public:
    explicit InPlace(WeightAverage& average) : average_(average) { average_.sweeps_->swap(); }
    ~InPlace() { average_.sweeps_->swap(); }
    InPlace(const InPlace&) = delete;
    InPlace& operator=(const InPlace&) = delete;

   private:
    WeightAverage& average_;
  };

 private:
  std::unique_ptr<AverageSweeps> sweeps_;
  double alpha_;
  int64_t begins_, takes_over_;
  bool started_ = false, took_over_;
};

}  // namespace dn
