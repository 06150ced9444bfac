// Optimizer keys in the real program: Adam, averages of the weights, keys of single layers, similar filters, mini-batches by size.
#include <algorithm>

#include "graph/network.h"
#include "tests/harness/program.h"
#include "train/weights_file.h"

namespace dn {
namespace {

using testing::Finished;
using testing::first_match;
using testing::Groups;
using testing::replaced;
using testing::tiny_cfg;

class OptimizerCli : public testing::ProgramTest {
 public:
  static Finished train(const std::string& name, const std::string& cfg, const std::vector<std::string>& more = {}) {
    write_file(file(name + ".cfg"), cfg);
    std::vector<std::string> words = {"detector", "train", "set/synth.data", name + ".cfg"};
    words.insert(words.end(), more.begin(), more.end());
    const Finished result = run(words);
    EXPECT_EQ(result.code, 0) << name << ": " << result.err;
    return result;
  }
  static fs::path snapshot(const std::string& name, const std::string& suffix) { return file(concat("set/backup/", name, "_", suffix, ".weights")); }
  // Values of one parameter of a layer.
  static std::vector<float> values(const std::string& name, const std::string& suffix, int layer, const std::string& param) {
    Network network = Network::from_cfg(file(name + ".cfg"));
    load_weights(network, snapshot(name, suffix));
    for (const ParamSegment* segment : network.params().of_layer(layer))
      if (segment->spec.name == param) return {network.params().values(*segment).begin(), network.params().values(*segment).end()};
    return {};
  }
};

TEST_F(OptimizerCli, adam_trains_reproducibly_and_says_so) {
  const std::string cfg = tiny_cfg(5, "adam=1\nB1=.9\nB2=.99\neps=1e-5\n");
  const Finished result = train("adam", cfg);
  EXPECT_NE(result.out.find("Adam, B1 0.9, B2 0.99"), std::string::npos) << result.out;
  EXPECT_EQ(result.err.find("[net] adam"), std::string::npos) << result.err;
  const std::string bytes = read_text(snapshot("adam", "final"));
  train("adam", cfg);
  EXPECT_TRUE(read_text(snapshot("adam", "final")) == bytes);
  train("adam", tiny_cfg(5));
  EXPECT_TRUE(read_text(snapshot("adam", "final")) != bytes);
}

TEST_F(OptimizerCli, averages_are_written_measured_and_gone_on_from) {
  const Finished result = train("mean", tiny_cfg(12, "ema_alpha=.5\nprecise_bn=2\n"), {"-map"});
  EXPECT_NE(result.out.find("goes on from the averages"), std::string::npos) << result.out;
  ASSERT_TRUE(fs::exists(snapshot("mean", "ema")));
  EXPECT_TRUE(read_text(snapshot("mean", "ema")) != read_text(snapshot("mean", "final")));
  // Measured at the end, on the averages: the best is what was measured.
  EXPECT_TRUE(read_text(snapshot("mean", "best")) == read_text(snapshot("mean", "ema")));
  const Finished map = run({"detector", "map", "set/synth.data", "mean.cfg", "set/backup/mean_ema.weights"});
  EXPECT_EQ(map.code, 0) << map.err;
  const auto accuracy = [](const std::string& text) {
    const Groups found = first_match(text, "\\(mAP@0.50\\) = ([0-9.]+)");
    return found.empty() ? std::string("none") : found[1];
  };
  EXPECT_EQ(accuracy(map.out), accuracy(result.out));
  // The averages are weights like any others: a run goes on from them as from the last ones, and averages anew.
  for (const std::string suffix : {"ema", "final"}) {
    const std::string name = "mean_from_" + suffix, weights = name + ".weights";
    fs::copy_file(snapshot("mean", suffix), file(weights));
    const Finished more = train(name, tiny_cfg(24, "ema_alpha=.5\n"), {weights});
    EXPECT_NE(more.out.find("going on after iteration 12"), std::string::npos) << more.out;
    EXPECT_NE(more.out.find("goes on from the averages"), std::string::npos) << more.out;
    EXPECT_TRUE(fs::exists(snapshot(name, "ema")));
  }
}

TEST_F(OptimizerCli, averages_are_those_of_the_weights) {
  // Without learning there is only one weight to average; running statistics still move.
  train("still", replaced(tiny_cfg(8, "ema_alpha=.9\n"), "learning_rate=.001", "learning_rate=0"));
  EXPECT_EQ(values("still", "ema", 1, "weights"), values("still", "final", 1, "weights"));
  EXPECT_NE(values("still", "ema", 1, "rolling_mean"), values("still", "final", 1, "rolling_mean"));
  train("none", tiny_cfg(8));
  EXPECT_FALSE(fs::exists(snapshot("none", "ema")));
}

TEST_F(OptimizerCli, evaluation_of_averages_changes_nothing) {
  const std::string cfg = tiny_cfg(104, "ema_alpha=.9\n");
  train("watched", cfg);
  const std::string bytes = read_text(snapshot("watched", "final"));
  train("watched", cfg, {"-map"});
  EXPECT_TRUE(read_text(snapshot("watched", "final")) == bytes);
}

TEST_F(OptimizerCli, keys_of_layers) {
  const std::string cfg = tiny_cfg(6);
  const auto with = [&](const std::string& keys, int layer) {
    std::string text = cfg;
    size_t at = 0;
    for (int i = 0; i <= layer; ++i) at = text.find("[convolutional]\n", at) + 1;
    return text.insert(at + std::string("[convolutional]\n").size() - 1, keys);
  };
  train("keys", cfg);
  const std::string plain = read_text(snapshot("keys", "final"));
  const auto start = [&](int layer) {
    Network network = Network::from_cfg(file("keys.cfg"));
    network.params().initialize(1);
    const ParamSegment& s = *network.params().of_layer(layer).back();
    return std::vector<float>(network.params().values(s).begin(), network.params().values(s).end());
  };
  train("keys", with("dont_update=6\n", 1));
  EXPECT_EQ(values("keys", "final", 1, "weights"), start(1));
  EXPECT_NE(values("keys", "final", 0, "weights"), start(0));
  train("keys", with("dont_update=5\n", 1));
  EXPECT_NE(values("keys", "final", 1, "weights"), start(1));
  train("keys", with("burnin_update=2.5\n", 2));  // from iteration 5 on
  EXPECT_NE(values("keys", "final", 2, "weights"), start(2));
  train("keys", with("burnin_update=4\n", 2));
  EXPECT_EQ(values("keys", "final", 2, "weights"), start(2));
  train("keys", with("clip=.01\n", 0));
  for (const float w : values("keys", "final", 0, "weights")) EXPECT_LE(std::abs(w), .01f);
  for (const char* keys : {"grad_centr=1\n", "learning_rate=.5\n"}) {
    train("keys", with(keys, 1));
    EXPECT_TRUE(read_text(snapshot("keys", "final")) != plain) << keys;
  }
}

TEST_F(OptimizerCli, similar_filters_start_anew) {
  const std::string text = tiny_cfg(12, "weights_reject_freq=2\n");
  // A 1 x 1 convolution of two inputs: among 16 directions in a plane two are alike.
  const std::string narrow = "[convolutional]\nbatch_normalize=1\nsize=1\nactivation=leaky\nfilters=";
  std::string cfg = text;
  cfg.insert(cfg.find("[convolutional]\nsize=1"), concat(narrow, "2\n", narrow, "16\n", narrow, "16\n"));
  const Finished result = train("alike", cfg);
  EXPECT_NE(result.out.find(" layer 4: filter "), std::string::npos) << result.out;
  const std::string bytes = read_text(snapshot("alike", "final"));
  train("alike", cfg);
  EXPECT_TRUE(read_text(snapshot("alike", "final")) == bytes);
}

TEST_F(OptimizerCli, mini_batches_follow_the_size) {
  const std::string net = "dynamic_minibatch=1\n";
  const Finished alone = train("parts", tiny_cfg(3, net));
  EXPECT_NE(alone.err.find("dynamic_minibatch = 1: changes nothing"), std::string::npos) << alone.err;
  std::string cfg = tiny_cfg(111, net, "random=1\n");  // 32 x 32 to 64 x 64; the first 10 iterations and those from 20 on at the largest
  cfg = replaced(cfg, "subdivisions=2", "subdivisions=4");
  cfg = replaced(cfg, "=64\n", "=32\n");
  const Finished result = train("parts", cfg, {"-seed", "4"});  // that makes the others small
  EXPECT_EQ(result.err.find("dynamic_minibatch"), std::string::npos) << result.err;
  EXPECT_NE(result.out.find("in mini-batches of 1 to 2 images"), std::string::npos) << result.out;
  const std::string bytes = read_text(snapshot("parts", "final"));
  train("parts", replaced(cfg, "dynamic_minibatch=1\n", ""), {"-seed", "4"});
  EXPECT_TRUE(read_text(snapshot("parts", "final")) != bytes);  // smaller inputs met larger mini-batches
}

}  // namespace
}  // namespace dn
