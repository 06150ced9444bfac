// assisted_excitation of [convolutional] (compatibility notes 4.1; Derakhshani et al. 2019): in training, and fading out in its course, the pixels of labelled
// boxes are raised by the mean of their channels:
//   y_c = h_c + a(t) [inside a box] mean_k h_k,    a(t) = (1 + cos(pi t)) / 2 for t < 1, then 0
// 1: t is the share of max_batches that is over; N > 1: iteration / N. This is the paper's schedule; the family has two others, one on the CPU, one on the
// GPU, and reads labels at wrong places. A pixel is inside a box when the two touch. Boxes come with the pass (Pass::truth); a pass without labels, and one that only
// estimates the statistics of inference, raises nothing.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "nn/kernel.h"

namespace dn {

namespace cpu {
class Device;
}

// a(t) of a pass. key: the value of assisted_excitation.
double excitation(int key, const Pass& pass);
// [h * w]: 1 inside a box.
std::vector<unsigned char> box_pixels(std::span<const TruthBox> truths, int h, int w);

std::unique_ptr<Kernel> compile_excitation(int key, cpu::Device& device, const KernelArgs& args);

}  // namespace dn
