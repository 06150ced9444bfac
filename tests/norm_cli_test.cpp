// Normalizations in the real program: how a batch is cut, what files a run leaves, what evaluation may touch.
#include "graph/network.h"
#include "tests/harness/program.h"
#include "train/weights_file.h"

namespace dn {
namespace {

using testing::Finished;
using testing::first_match;
using testing::Groups;
using testing::tiny_cfg;

class NormCli : public testing::ProgramTest {
 public:
  // Trains and gives the bytes of the final weights.
  static std::string trained(const std::string& name, const std::string& cfg, const std::vector<std::string>& more = {}, const std::string& extension = "weights") {
    write_file(file(name + ".cfg"), cfg);
    std::vector<std::string> words = {"detector", "train", "set/synth.data", name + ".cfg"};
    words.insert(words.end(), more.begin(), more.end());
    const Finished result = run(words);
    EXPECT_EQ(result.code, 0) << name << ": " << result.err;
    return result.code == 0 ? read_text(file(concat("set/backup/", name, "_final.", extension))) : std::string();
  }
};

std::string replaced(std::string text, const std::string& from, const std::string& to) { return text.replace(text.find(from), from.size(), to); }

// Shortcut, routes, dropout, maxpool, upsample, two heads.
std::string branched_cfg(int subdivisions, const std::string& more_net) {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=3\npad=1\nactivation=leaky\nfilters=";
  const std::string head = "[convolutional]\nsize=1\nfilters=33\nactivation=linear\n[yolo]\nanchors=8,8, 16,16, 32,32, 12,8, 20,30, 40,20\nclasses=6\nnum=6\nmask=";
  return concat("[net]\nbatch=8\nsubdivisions=", subdivisions, "\nwidth=64\nheight=64\nchannels=3\nlearning_rate=.001\nmax_batches=2\n", more_net, conv, "8\nstride=2\n",
                conv, "16\nstride=2\n", conv, "16\n[shortcut]\nfrom=-2\nactivation=linear\n[dropout]\nprobability=.3\n[maxpool]\nsize=2\nstride=2\n", conv, "24\n", head,
                "3,4,5\n[route]\nlayers=-3\n", conv, "16\n[upsample]\nstride=2\n[route]\nlayers=-1,3\n", conv, "16\n", head, "0,1,2\n");
}

TEST_F(NormCli, whole_batches_make_subdivisions_invisible) {
  std::string first;
  for (const int subdivisions : {1, 2, 4, 8, 3, 5}) {   // 3 and 5 do not divide the batch
    const std::string bytes = trained("whole", branched_cfg(subdivisions, "norm_scope=batch\n"));
    if (subdivisions == 1) first = bytes;
    EXPECT_EQ(bytes, first) << "subdivisions " << subdivisions;
  }
  for (const char* segments : {"0", "1", "2", "3"})   // what is computed again in backward is invisible too
    EXPECT_EQ(trained("whole", branched_cfg(4, concat("norm_scope=batch\nnorm_exact_segments=", segments, "\n"))), first) << segments << " segments";
  EXPECT_EQ(trained("plain", branched_cfg(1, "")), first);           // one mini-batch is the whole batch
  EXPECT_NE(trained("plain", branched_cfg(2, "")), first);           // what the key is for
}

TEST_F(NormCli, one_subdivision_makes_every_pool_the_mini_batch) {
  const std::string cfg = replaced(tiny_cfg(3), "subdivisions=2", "subdivisions=1"), plain = trained("pool", cfg);
  for (const char* gradient : {"renorm", "local", "detached"})
    EXPECT_EQ(trained("pool", replaced(cfg, "burn_in", concat("norm_scope=cmbn\nnorm_grad=", gradient, "\nburn_in"))), plain) << gradient;
  EXPECT_EQ(trained("pool", replaced(cfg, "burn_in", "norm_scope=twopass\nburn_in")), plain);
}

TEST_F(NormCli, every_scope_and_kind_trains) {
  for (const char* keys : {"norm_scope=cmbn\nnorm_grad=exact\n", "norm_scope=twopass\n", "norm_scope=window\nnorm_window=3\n", "norm=brn\n", "norm_compat=pytorch\n",
                           "norm_compat=caffe\n", "norm_compat=pjreddie\n", "norm_compat=alexeyab-cudnn\nnorm_scope=cmbn\n", "norm_sync=1\n"}) {
    const std::string bytes = trained("scope", tiny_cfg(6, keys));
    EXPECT_EQ(trained("scope", tiny_cfg(6, keys)), bytes) << keys;   // twice the same
  }
}

// What .weights cannot express is kept as safetensors, which every verb takes; as .weights it is refused with the reason.
TEST_F(NormCli, kinds_of_one_image_live_in_safetensors) {
  for (const std::string keys : {"norm=gn\nnorm_groups=4\n", "norm=ln\n", "norm=lnc\n", "norm=in\n", "norm=frn\n", "weight_standardize=1\n"}) {
    const std::string cfg = tiny_cfg(6, keys), weights = "set/backup/kind_final.safetensors";
    EXPECT_FALSE(trained("kind", cfg, {}, "safetensors").empty());
    EXPECT_FALSE(fs::exists(file("set/backup/kind_final.weights")));
    EXPECT_EQ(run({"detector", "map", "set/synth.data", "kind.cfg", weights}).code, 0) << keys;
    EXPECT_EQ(run({"detector", "test", "set/synth.data", "kind.cfg", weights, valid_image(0)}).code, 0) << keys;
    const Finished refused = run({"partial", "kind.cfg", weights, "kind.weights", "3"});
    EXPECT_EQ(refused.code, 2);
    EXPECT_NE(refused.err.find(split(keys, '=')[0]), std::string::npos) << refused.err;
    EXPECT_NE(refused.err.find("safetensors"), std::string::npos) << refused.err;
    write_file(file("kind.cfg"), tiny_cfg(8, keys));
    const Finished more = run({"detector", "train", "set/synth.data", "kind.cfg", weights});
    EXPECT_EQ(more.code, 0) << more.err;
    EXPECT_NE(more.out.find("\n 8: "), std::string::npos) << more.out;
    EXPECT_EQ(more.out.find("\n 6: "), std::string::npos) << more.out;
  }
}

// Evaluation between batches, with statistics taken anew for it, leaves no trace in training.
TEST_F(NormCli, evaluation_changes_nothing) {
  const std::string cfg = tiny_cfg(104, "norm_scope=cmbn\nprecise_bn=2\n");
  const std::string with = trained("map", cfg, {"-map"});
  EXPECT_EQ(trained("map", cfg), with);
  EXPECT_NE(trained("map", tiny_cfg(104, "norm_scope=cmbn\n")), with);   // the final weights have the statistics taken anew
}

TEST_F(NormCli, train_only_bn_moves_running_statistics_alone) {
  const std::string cfg = tiny_cfg(6);
  trained("only", cfg);
  const std::string marked = replaced(tiny_cfg(9), "filters=33", "filters=33\ntrain_only_bn=1");
  fs::rename(file("set/backup/only_final.weights"), file("before.weights"));
  trained("only", marked, {"before.weights"});
  Network before = Network::from_text(cfg), after = Network::from_text(cfg);
  load_weights(before, file("before.weights"));
  load_weights(after, file("set/backup/only_final.weights"));
  for (const ParamSegment& s : before.params().segments())
    EXPECT_EQ(std::ranges::equal(before.params().values(s), after.params().values(s)), s.trained()) << "layer " << s.layer << " " << s.spec.name;
}

// stopbackward = N: before iteration N statistics alone move, then everything; stopbackward = 1: nothing ever does.
TEST_F(NormCli, stopbackward_thaws_at_its_iteration) {
  const std::string cfg = tiny_cfg(6);
  trained("stop", cfg);
  fs::rename(file("set/backup/stop_final.weights"), file("before.weights"));
  Network before = Network::from_text(cfg);
  load_weights(before, file("before.weights"));
  const struct {
    int stop;
    bool parameters, statistics;   // that move between iterations 6 and 9
  } cases[] = {{1, false, false}, {100, false, true}, {8, true, true}};
  for (const auto& c : cases) {
    trained("stop", replaced(tiny_cfg(9), "filters=33", concat("filters=33\nstopbackward=", c.stop)), {"before.weights"});
    Network after = Network::from_text(cfg);
    load_weights(after, file("set/backup/stop_final.weights"));
    for (const ParamSegment& s : before.params().segments())
      EXPECT_EQ(!std::ranges::equal(before.params().values(s), after.params().values(s)), s.trained() ? c.parameters : c.statistics)
          << "stopbackward = " << c.stop << ", layer " << s.layer << " " << s.spec.name;
  }
}

TEST_F(NormCli, what_cannot_be_is_refused_before_anything_is_done) {
  const auto complaint = [](const std::string& cfg) {
    write_file(file("bad.cfg"), cfg);
    const Finished result = run({"detector", "train", "set/synth.data", "bad.cfg"});
    EXPECT_EQ(result.code, 2);
    return result.err;
  };
  const std::string one = complaint(replaced(replaced(tiny_cfg(6), "subdivisions=2", "subdivisions=4"), "[yolo]", "[avgpool]\n[batchnorm]\n[yolo]"));
  EXPECT_NE(one.find("one value per channel"), std::string::npos) << one;
  EXPECT_NE(one.find("bad.cfg:"), std::string::npos) << one;
  const std::string groups = complaint(replaced(tiny_cfg(6), "filters=16", "filters=16\nnorm=gn\nnorm_groups=5"));
  EXPECT_NE(groups.find("norm_groups = 5: does not divide the 16 channels"), std::string::npos) << groups;
}

// -memory: a refusal names what is enough, and what is computed again then changes nothing, whole batches or not.
TEST_F(NormCli, less_memory_gives_the_same_weights) {
  for (const char* net : {"norm_scope=batch\n", "", "norm_scope=twopass\n"}) {
    const std::string cfg = branched_cfg(2, net), all = trained("big", cfg);
    const Finished little = run({"detector", "train", "set/synth.data", "big.cfg", "-memory", "1M"});
    EXPECT_EQ(little.code, 2);
    const Groups enough = first_match(little.err, "expected -memory ([0-9]+)M or more");
    ASSERT_FALSE(enough.empty()) << little.err;
    EXPECT_EQ(trained("big", cfg, {"-memory", enough[1] + "M"}), all) << net;
  }
}

}  // namespace
}  // namespace dn
