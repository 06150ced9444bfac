// Networks that begin with a recurrent layer, on frames of sequences.
#pragma once

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"

namespace dn::testing {

inline const std::string kSequenceHead = "[convolutional]\nfilters=6\nsize=1\nactivation=linear\n[yolo]\nmask=0\nanchors=4,4\nclasses=1\nnum=1\n";

inline std::vector<float> frames(const Shape& input) {
  std::vector<float> out(input.count());
  Rng rng(2, RandomUse::test);
  for (float& v : out) v = static_cast<float>(rng.uniform());
  return out;
}

// Of the first layer, which the plan must keep.
inline std::vector<float> first_output(const Plan& plan) {
  const Tensor y = plan.output(0);
  return {y.data, y.data + y.desc.count()};
}

// What `section` gives for two sequences of six frames in training, in mini-batches of `steps` frames each, the later ones going on.
inline std::vector<float> outputs_over_six_frames(const std::string& section, int steps) {
  Network network = Network::from_text(
      concat("[net]\nbatch=2\nwidth=6\nheight=6\nchannels=3\ntime_steps=", steps, "\n", section, kSequenceHead));
  network.params().initialize(4);
  cpu::Device device({.threads = 2});
  Plan plan(network, device, network.input(2 * steps), {.training = true, .keep_outputs = true});
  const std::vector<float> images = frames(network.input(12));
  const std::vector<TruthBox> boxes[12];
  std::vector<float> all;
  for (int first = 0; first < 6; first += steps) {
    plan.set_input(images.data() + static_cast<size_t>(2 * first) * network.input(1).count());
    plan.forward({.training = true, .truth = std::span(boxes).first(static_cast<size_t>(2 * steps)), .continues = first > 0});
    const std::vector<float> y = first_output(plan);
    all.insert(all.end(), y.begin(), y.end());
  }
  return all;
}

}  // namespace dn::testing
