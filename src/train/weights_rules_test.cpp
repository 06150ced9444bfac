// What a layer that the .weights format cannot express means: for saving, for loading, for snapshots.
#include "train/weights_rules.h"

#include <gtest/gtest.h>

#include "data/test_folder.h"
#include "train/snapshots.h"
#include "train/weights_file.h"
#include "tests/harness/weights.h"

namespace dn {
namespace {

using testing::refusal;
using testing::values;

constexpr std::string_view kCfg =
    "[net]\nbatch=1\nsubdivisions=1\nwidth=16\nheight=16\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=2\nsize=1\nactivation=leaky\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=2\nsize=1\nactivation=linear\n"
    "[convolutional]\nfilters=3\nsize=3\npad=1\nactivation=linear\n";
constexpr size_t kLayer0 = 14;  // floats

Network random_network(uint64_t seed = 5) { return testing::random_network(kCfg, seed); }

class weights_rules : public ::testing::Test {
 public:
  fs::path file(const std::string& name) const { return folder_.path / name; }

 private:
  test::TestFolder folder_{"rules"};
};

// Stands for a layer that .weights has no form for.
struct GroupNormed : Layer {
  using Layer::Layer;
  Shape output_shape(std::span<const Shape> in) const override { return in[0]; }
  std::string weights_file_obstacle() const override { return "norm = gn"; }
};

Network with_obstacle(size_t at, uint64_t seed = 6) {
  Network network = random_network(seed);
  Problems problems;
  auto& layer = const_cast<std::unique_ptr<Layer>&>(network.layers()[at]);  // the network itself is not const
  layer = std::make_unique<GroupNormed>(layer->section(), layer->index(), problems);
  return network;
}

TEST_F(weights_rules, an_obstacle_keeps_a_network_out_of_weights_files) {
  const Network network = with_obstacle(2);
  EXPECT_EQ(weights_extension(network), ".safetensors");
  EXPECT_EQ(weights_extension(random_network()), ".weights");
  std::string message;
  try {
    save_weights(network, file("a.weights"), 1);
  } catch (const Error& e) {
    message = e.what();
  }
  EXPECT_NE(message.find("layer 2 (net.cfg:"), std::string::npos) << message;
  EXPECT_NE(message.find("norm = gn"), std::string::npos) << message;
  EXPECT_NE(message.find("expected a file name ending in .safetensors"), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(file("a.weights")));
  EXPECT_THROW(save_weights(network, file("a.weights"), 1, 3), Error);
  save_weights(network, file("a.weights"), 1, 2);  // the layers before it
  save_weights(network, file("a.safetensors"), 1);
  Network to = with_obstacle(2, 7);
  EXPECT_TRUE(load_weights(to, file("a.safetensors")).complete());
  EXPECT_EQ(values(to), values(network));
}

TEST_F(weights_rules, before_an_obstacle_a_cut_weights_file_is_welcome) {
  const Network from = random_network();
  Network to = with_obstacle(2, 7);
  const std::vector<float> before = values(to);
  for (const int layers : {3, 4}) {
    save_weights(from, file("a.weights"), 1, layers);
    const std::string message = refusal(to, file("a.weights"));
    EXPECT_NE(message.find("norm = gn"), std::string::npos) << message;
    EXPECT_NE(message.find("PART.weights 2"), std::string::npos) << message;
  }
  save_weights(from, file("a.weights"), 1, 2);
  const WeightsInfo info = load_weights(to, file("a.weights"));
  EXPECT_EQ(info.loaded, 2);
  EXPECT_FALSE(info.complete());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(values(to)[i], i < kLayer0 ? values(from)[i] : before[i]) << i;
  Network first = with_obstacle(0, 7);
  EXPECT_NE(refusal(first, file("a.weights")).find("norm = gn"), std::string::npos);
}

TEST_F(weights_rules, snapshots_take_the_format_that_holds_the_network) {
  const Network usual = random_network(), other = with_obstacle(3);
  Snapshots plain(usual, file("backup"), "a", {}, 0), tensors(other, file("backup"), "b", {}, 0);
  EXPECT_EQ(plain.save("last", 5), file("backup/a_last.weights"));
  EXPECT_EQ(tensors.save("last", 5), file("backup/b_last.safetensors"));
  EXPECT_EQ(tensors.file("final"), file("backup/b_final.safetensors"));
  Network to = with_obstacle(3, 8);
  EXPECT_EQ(load_weights(to, file("backup/b_last.safetensors")).seen, 5u);
}

}  // namespace
}  // namespace dn
