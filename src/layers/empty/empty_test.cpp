// [empty] in a network: a layer behind it sees, forward and backward, what it would see without it.
#include <gtest/gtest.h>

#include <algorithm>

#include "device/cpu/device.h"
#include "graph/plan.h"

namespace dn {
namespace {

const std::string kNet = "[net]\nwidth=6\nheight=5\nchannels=3\n[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=leaky\n";
const std::string kLast = "[convolutional]\nfilters=6\nsize=1\nactivation=linear\n[yolo]\nmask=0\nanchors=4,4\nclasses=1\nnum=1\n";

// Values of the last convolution and the gradient of the first one's weights.
std::vector<float> trained(const std::string& between) {
  Network network = Network::from_text(kNet + between + kLast);
  network.params().initialize(5);
  cpu::Device device({.threads = 2});
  Plan plan(network, device, network.input(2), {.training = true, .keep_outputs = true});
  std::vector<float> image(network.input(2).count());
  for (size_t i = 0; i < image.size(); ++i) image[i] = static_cast<float>(i % 17) * .1f - .5f;
  plan.set_input(image.data());
  const std::vector<TruthBox> boxes[2];
  plan.forward({.training = true, .truth = boxes});
  plan.backward({.training = true, .truth = boxes});
  const Tensor y = plan.output(static_cast<int>(network.layers().size()) - 2);
  std::vector<float> values(y.data, y.data + y.desc.count());
  const auto gradient = network.params().grads(*network.params().of_layer(0).back());
  values.insert(values.end(), gradient.begin(), gradient.end());
  return values;
}

TEST(empty, changes_nothing) {
  const std::vector<float> without = trained("");
  EXPECT_EQ(trained("[empty]\n"), without);
  EXPECT_EQ(trained("[silence]\n[empty]\n"), without);
  EXPECT_GT(*std::max_element(without.begin(), without.end()), 0.f);
}

TEST(empty, can_stand_first) {
  const Network network = Network::from_text("[net]\nwidth=6\nheight=5\nchannels=3\n[empty]\n[convolutional]\nfilters=8\n");
  EXPECT_EQ(network.output_shapes(network.input(1))[0], network.input(1));
}

}  // namespace
}  // namespace dn
