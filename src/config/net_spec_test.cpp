// [net]: every key, every rule between keys, and what a published cfg says that this program does not do.
#include "config/net_spec.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/text.h"
#include "config/compat.h"

namespace dn {
namespace {

using Strings = std::vector<std::string>;

struct Outcome {
  NetSpec net;
  Strings errors, warnings;
};

// The lines follow [net], width and height, which stand in lines 1 to 3.
Outcome read(const std::string& lines, const std::string& size = "width=416\nheight=416\n") {
  Problems problems;
  const auto sections = parse_sections("[net]\n" + size + lines, "y.cfg", problems);
  NetSpec net = bind_net(sections.at(0), problems);
  return {net, problems.errors(), problems.warnings()};
}

void expect_error(const std::string& lines, const std::string& message) { EXPECT_EQ(read(lines).errors, Strings{message}) << lines; }

TEST(NetSpec, ReadsEveryKey) {
  const Outcome got = read(
      "batch=64\nsubdivisions=8\nmax_batches = "
      "500200\nchannels=1\nlearning_rate=0.00261\nmomentum=0.949\ndecay=0.0005\npolicy=steps\nburn_in=1000\npower=3\n"
      "steps=400000,450000\nscales=.1,.1\nflip=0\nhue=.1\nsaturation = 1.5\nexposure = .75\nletter_box=1\nresize_step=64\nmax_chart_loss=9.5\n"
      "mosaic=1\nmosaic_bound=1\nmixup=1\ncutmix=1\nblur=5\ngaussian_noise=20\ntime_steps=2\ntrack=1\naugment_speed=3\nsequential_subdivisions=4\n"
      "contrastive=1\ncontrastive_jit_flip=1\ncontrastive_color=1\n");
  EXPECT_EQ(got.errors, Strings{});
  EXPECT_EQ(got.warnings, Strings{});
  const NetSpec& net = got.net;
  EXPECT_EQ(net.batch, 64);
  EXPECT_EQ(net.mini_batch(), 8);
  EXPECT_EQ(net.max_batches, 500200);
  EXPECT_EQ(net.width, 416);
  EXPECT_EQ(net.channels, 1);
  EXPECT_DOUBLE_EQ(net.learning_rate, .00261);
  EXPECT_DOUBLE_EQ(net.momentum, .949);
  EXPECT_DOUBLE_EQ(net.decay, .0005);
  EXPECT_EQ(net.burn_in, 1000);
  EXPECT_DOUBLE_EQ(net.power, 3);
  EXPECT_EQ(net.steps, (std::vector<int>{400000, 450000}));
  EXPECT_EQ(net.scales, (std::vector<float>{.1f, .1f}));
  EXPECT_FALSE(net.flip);
  EXPECT_DOUBLE_EQ(net.exposure, .75);
  EXPECT_TRUE(net.letter_box);
  EXPECT_EQ(net.resize_step, 64);
  EXPECT_DOUBLE_EQ(net.max_chart_loss, 9.5);
  EXPECT_TRUE(net.mosaic && net.mosaic_bound && net.cutmix && net.track && net.contrastive && net.contrastive_jit_flip && net.contrastive_color);
  EXPECT_EQ(net.mixup, 1);
  EXPECT_EQ(net.blur, 5);
  EXPECT_EQ(net.gaussian_noise, 20);
  EXPECT_EQ(net.time_steps, 2);
  EXPECT_EQ(net.augment_speed, 3);
  EXPECT_EQ(net.sequential_subdivisions, 4);
  EXPECT_EQ(net.section.where(), "y.cfg:1: [net]");
}

TEST(NetSpec, DefaultsAreTheFamilys) {
  const Outcome got = read("");
  EXPECT_EQ(got.errors, Strings{});
  EXPECT_EQ(got.net.batch, 1);
  EXPECT_EQ(got.net.subdivisions, 1);
  EXPECT_EQ(got.net.policy, "constant");
  EXPECT_DOUBLE_EQ(got.net.learning_rate, .001);
  EXPECT_DOUBLE_EQ(got.net.learning_rate_min, 1e-5);
  EXPECT_TRUE(got.net.flip);
  EXPECT_EQ(got.net.max_batches, 0);  // inference only
}

TEST(NetSpec, SizeIsRequired) {
  EXPECT_EQ(read("", "").errors,
            (Strings{"y.cfg:1: [net]: no width; expected width = 1..16384", "y.cfg:1: [net]: no height; expected height = 1..16384"}));
  EXPECT_EQ(read("", "width=0\nheight=1000000\n").errors,
            (Strings{"y.cfg:2: [net] width = 0: expected 1..16384", "y.cfg:3: [net] height = 1000000: expected 1..16384"}));
  expect_error("channels=5\n", "y.cfg:4: [net] channels = 5: expected 1..4");
}

TEST(NetSpec, BatchAndSubdivisions) {
  for (const char* value : {"0", "-3", "1000000000"})
    expect_error(concat("batch=", value, "\n"), concat("y.cfg:4: [net] batch = ", value, ": expected 1..65536"));
  expect_error("batch=64abc\n", "y.cfg:4: [net] batch = 64abc: not a whole number; expected 1..65536");
  expect_error("batch=64\nsubdivisions=7\n", "y.cfg:5: [net] subdivisions = 7: does not divide batch = 64; expected 4 or 8");
  expect_error("batch=64\nsubdivisions=100\n", "y.cfg:5: [net] subdivisions = 100: does not divide batch = 64; expected at most 64");
  expect_error("subdivisions=8\n", "y.cfg:4: [net] subdivisions = 8: does not divide batch = 1; expected at most 1");
  expect_error("batch=0\nsubdivisions=8\n", "y.cfg:4: [net] batch = 0: expected 1..65536");  // said once
  EXPECT_EQ(read("batch=64.0\nsubdivisions=64\n").errors, Strings{});
  EXPECT_EQ(read("batch=24\nsubdivisions=3\n").net.mini_batch(), 8);
}

TEST(NetSpec, AugmentationAndSequences) {
  expect_error("mixup=5\n", "y.cfg:4: [net] mixup = 5: expected 0..4");
  expect_error("blur=-1\n", "y.cfg:4: [net] blur = -1: expected 0..1000");
  expect_error("time_steps=0\n", "y.cfg:4: [net] time_steps = 0: expected 1..1024");
  expect_error("batch=64\nsubdivisions=64\ncontrastive=1\n",
               "y.cfg:6: [net] contrastive = 1: a mini-batch of one image holds no pair; expected at least 2 = batch / subdivisions");
  EXPECT_EQ(read("batch=64\nsubdivisions=32\ncontrastive=1\n").errors, Strings{});
  EXPECT_EQ(read("augment_speed=3\n").warnings, Strings{"y.cfg:4: [net] augment_speed = 3: not used without track = 1"});
}

TEST(NetSpec, Rates) {
  for (const char* value : {"nan", "inf", "-inf", "1e999"})
    expect_error(concat("learning_rate=", value, "\n"), concat("y.cfg:4: [net] learning_rate = ", value, ": not a number; expected 0 or more"));
  expect_error("learning_rate=-1\n", "y.cfg:4: [net] learning_rate = -1: expected 0 or more");
  expect_error("momentum=1\n", "y.cfg:4: [net] momentum = 1: expected 0 to below 1");
  expect_error("momentum=1.5\n", "y.cfg:4: [net] momentum = 1.5: expected 0..1");
  expect_error("burn_in=-1\n", "y.cfg:4: [net] burn_in = -1: expected 0 or more");
  expect_error("saturation=0\n", "y.cfg:4: [net] saturation = 0: expected 0.01..100");
  EXPECT_EQ(read("learning_rate=0\nmomentum=0\n").errors, Strings{});
  EXPECT_EQ(read("max_batches=10\nburn_in=11\n").warnings,
            Strings{"y.cfg:5: [net] burn_in = 11: longer than max_batches = 10: the rate never reaches learning_rate"});
}

TEST(NetSpec, Policies) {
  expect_error("policy=cosine\n", "y.cfg:4: [net] policy = cosine: expected constant, step, steps, exp, poly, sig, sigmoid, random, sgdr");
  expect_error("policy=steps\nscales=.1\n", "y.cfg:4: [net] policy = steps: no steps; expected steps and scales");
  expect_error("policy=steps\nsteps=10\n", "y.cfg:4: [net] policy = steps: no scales; expected steps and scales");
  expect_error("policy=steps\nsteps=10,20\nscales=.1\n", "y.cfg:6: [net] scales = .1: 1 scales for 2 steps; expected as many scales as steps");
  expect_error("policy=steps\nsteps=20,10\nscales=.1,.1\n", "y.cfg:5: [net] steps = 20,10: expected increasing iterations");
  expect_error("policy=steps\nsteps=10,10\nscales=.1,.1\n", "y.cfg:5: [net] steps = 10,10: expected increasing iterations");
  expect_error("policy=step\nstep=0\n", "y.cfg:5: [net] step = 0: expected 1 or more with policy = step");
  for (const char* lines :
       {"policy=steps\nsteps=-1,100,20000,30000\nscales=.1,10,.1,.1\n", "policy=sgdr\nsgdr_cycle=1000\nsgdr_mult=2\nlearning_rate_min=1e-6\n",
        "policy=step\nstep=100\nscale=.5\n", "policy=exp\ngamma=.99\n", "policy=poly\npower=4\n", "policy=sigmoid\ngamma=.1\nstep=100\n",
        "policy=sig\ngamma=-.1\nstep=0\n", "policy=random\npower=2\n", "policy=constant\n"}) {
    const Outcome got = read(lines);
    EXPECT_EQ(got.errors, Strings{}) << lines;
    EXPECT_EQ(got.warnings, Strings{}) << lines;
  }
}

TEST(NetSpec, KeysOfAnotherPolicyAreMentioned) {
  EXPECT_EQ(read("steps=10\nscales=.1\n").warnings,
            (Strings{"y.cfg:4: [net] steps = 10: not used by policy = constant", "y.cfg:5: [net] scales = .1: not used by policy = constant"}));
}

TEST(NetSpec, APublishedSectionPassesAndSaysWhatIsLeftOut) {
  const Outcome got = read("angle=0\nadversarial_lr=1\nema_alpha=0.9998\nmixup=0\nworkspace_size_limit_MB=2048\nadam=0\nB1=.9\nmomemtum=.9\n");
  EXPECT_EQ(got.errors, Strings{});
  EXPECT_EQ(got.warnings, (Strings{"y.cfg:5: [net] adversarial_lr = 1: ignored: adversarial training is not built, training goes without it",
                                   "y.cfg:8: [net] workspace_size_limit_MB = 2048: ignored: memory is always planned",
                                   "y.cfg:11: [net] momemtum = .9: unknown key; did you mean 'momentum'?"}));
}

TEST(NetSpec, OptimizerKeys) {
  const Outcome got = read("adam=1\nB1=.8\nB2=.99\neps=1e-7\nema_alpha=.9998\nweights_reject_freq=1001\ndynamic_minibatch=1\n");
  EXPECT_EQ(got.errors, Strings{});
  EXPECT_EQ(got.warnings, Strings{});
  EXPECT_TRUE(got.net.adam && got.net.dynamic_minibatch);
  EXPECT_EQ(got.net.beta1, .8);
  EXPECT_EQ(got.net.beta2, .99);
  EXPECT_EQ(got.net.adam_eps, 1e-7);
  EXPECT_EQ(got.net.ema_alpha, .9998);
  EXPECT_EQ(got.net.weights_reject_freq, 1001);
  EXPECT_EQ(read("adam=1\nmomentum=.9\n").warnings, Strings{"y.cfg:5: [net] momentum = .9: not used with adam = 1; B1 stands for it"});
  EXPECT_EQ(read("B2=.9\n").warnings, Strings{"y.cfg:4: [net] B2 = .9: not used without adam = 1"});
  EXPECT_EQ(read("adam=1\nB1=1\n").errors, Strings{"y.cfg:5: [net] B1 = 1: expected 0 to below 1"});
  EXPECT_EQ(read("ema_alpha=1\n").errors, Strings{"y.cfg:4: [net] ema_alpha = 1: expected 0 to below 1"});
  EXPECT_FALSE(read("adam=1\neps=0\n").errors.empty());
}

TEST(NetSpec, NoKeyIsBothKnownAndForeign) {
  const auto help = net_key_help();
  for (const ForeignKey& key : foreign_net_keys()) {
    EXPECT_TRUE(std::none_of(help.begin(), help.end(), [&](const KeyHelp& row) { return row.name == key.name; })) << key.name;
    EXPECT_TRUE(key.neutral == "*" || !key.reason.empty()) << key.name;
  }
}

TEST(NetSpec, OurOwnFilesAskForNothingThatIsNotDone) {
  int files = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(DN_SOURCE_DIR) / "cfg")) {
    if (entry.path().extension() != ".cfg") continue;
    ++files;
    Problems problems;
    const auto sections = read_sections(entry.path(), problems);
    ASSERT_FALSE(sections.empty()) << entry.path();
    bind_net(sections[0], problems);
    EXPECT_EQ(problems.errors(), Strings{});
    EXPECT_EQ(problems.warnings(), Strings{});
  }
  EXPECT_GE(files, 6);
}

TEST(NetSpec, AMissingSectionIsReportedByTheParserAlone) {
  Problems problems;
  bind_net(parse_sections("[convolutional]\nfilters=3\n", "y.cfg", problems).at(0), problems);
  EXPECT_EQ(problems.errors(), Strings{"y.cfg:1: [convolutional]: stands first; expected [net] as the first section"});
  EXPECT_EQ(problems.warnings(), Strings{});
}

TEST(NetSpec, EveryKeyHasHelp) {
  for (const KeyHelp& row : net_key_help()) EXPECT_FALSE(row.doc.empty() || row.range.empty()) << row.name;
}

}  // namespace
}  // namespace dn
