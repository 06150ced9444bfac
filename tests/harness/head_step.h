// One training step of a detection head alone, on the host or on a GPU, from values in the order [N,C,H,W]; and comparing two of them.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "nn/layer.h"

namespace dn::testing {

struct HeadCase {
  Shape shape, network;  // of the head's input; of the network's
  std::vector<float> x;
  std::vector<std::vector<TruthBox>> truths;  // per image
  Write dx = Write::overwrite;
  float dx_before = 0;  // in padding channels too
  float loss_scale = 1;
  bool bf16 = false;  // a GPU's x and dx
  uint64_t iteration = 0;
};

struct HeadStep {
  std::vector<float> y, dx;
  LossReport loss;
  LossReport sum;     // over the backward passes (a GPU's)
  float padding = 0;  // largest |dx| of a padding channel
};

// Three images of outputs in low..high; truths of four classes in the first and the last (wild_truths).
HeadCase three_images(const Shape& shape, const Shape& network, uint64_t seed, double low, double high);
// Some outputs are no numbers, or very large.
HeadCase with_broken_outputs(HeadCase c);

HeadStep head_step_on_host(const Layer& layer, const HeadCase& c, int threads = 1);
HeadStep head_step_on_gpu(const Layer& layer, const HeadCase& c);

// Every number within `tolerance` of the largest of them (1 at most), or of its own size where that is more; a NaN where there is one.
void expect_same_values(const std::vector<float>& expected, const std::vector<float>& got, double tolerance, const std::string& what);
void expect_same_losses(const LossReport& expected, const LossReport& got, double tolerance, const std::string& what);
void expect_same_step(const HeadStep& expected, const HeadStep& got, double tolerance, const std::string& what);

// Both, of truths that are assigned, and of padding channels that stay zero. Gives the host's.
HeadStep expect_gpu_as_host(const Layer& layer, const HeadCase& c, double tolerance, const std::string& what);
// One of each, all combinations, the last changing fastest: work(their keys, a number from 1 on).
void for_all_choices(const std::vector<std::vector<std::string>>& choices, const std::function<void(const std::string& keys, uint64_t number)>& work);

// Truths as they come: several in a cell, more than a head with `max` of them takes, of classes that there are not, without extent, not numbers, at the
// border.
std::vector<TruthBox> wild_truths(uint64_t seed, int classes, size_t count);

}  // namespace dn::testing
