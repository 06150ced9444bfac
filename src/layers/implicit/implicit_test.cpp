// [implicit] against its reference and differences; its initial values; that it is trained.
#include <gtest/gtest.h>

#include <algorithm>

#include "device/cpu/device.h"
#include "graph/plan.h"
#include "layers/implicit/implicit_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::RefTensor;

std::vector<double> reference(const Layer&, std::span<const RefTensor>, std::span<const std::vector<double>> params, const Shape& out, bool) {
  return implicit_reference(params[0], out);
}

TEST(implicit, gives_its_values_to_every_image) {
  testing::check_layer("[implicit]\nfilters=20", {{3, 8, 2, 2}}, reference);
  testing::check_layer("[implicit]\nfilters=5\natoms=4", {{2, 3, 4, 4}}, reference);
  testing::check_layer("[implicit]\nfilters=75\natoms=3", {{9, 3, 1, 1}}, reference);
}

TEST(implicit, starts_about_its_mean) {
  Network network = Network::from_text("[net]\nwidth=8\nheight=8\n[implicit]\nfilters=4000\nmean=1\nstd=.02\n");
  network.params().initialize(3);
  const auto values = network.params().values(*network.params().of_layer(0)[0]);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  EXPECT_GE(*low, .98f);
  EXPECT_LE(*high, 1.02f);
  EXPECT_LT(*low, .981f);
  EXPECT_GT(*high, 1.019f);
}

// Multiplied into a map, it gets a gradient although nothing below it does.
TEST(implicit, is_trained) {
  Network network = Network::from_text(
      "[net]\nwidth=4\nheight=4\n[convolutional]\nfilters=8\nactivation=linear\n[implicit]\nfilters=8\n[scale_channels]\nfrom=-2\n"
      "[convolutional]\nfilters=6\nactivation=linear\n[yolo]\nmask=0\nanchors=4,4\nclasses=1\nnum=1\n");
  network.params().initialize(3);
  cpu::Device device({.threads = 1});
  Plan plan(network, device, network.input(2), {.training = true});
  const std::vector<float> image(network.input(2).count(), .5f);
  plan.set_input(image.data());
  const std::vector<TruthBox> boxes[2];
  plan.forward({.training = true, .truth = boxes});
  plan.backward({.training = true, .truth = boxes});
  const auto gradient = network.params().grads(*network.params().of_layer(1)[0]);
  EXPECT_EQ(std::count(gradient.begin(), gradient.end(), 0.f), 0);
}

}  // namespace
}  // namespace dn
