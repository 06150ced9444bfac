#include "config/norm_spec.h"

#include <gtest/gtest.h>

#include "config/net_spec.h"

namespace dn {
namespace {

struct Result {
  NormSpec spec;
  std::string problems, warnings;
};

Result parse(const std::string& net, const std::string& layer) {
  Problems problems;
  const std::vector<Section> sections = parse_sections("[net]\nwidth=8\nheight=8\nbatch=8\nsubdivisions=2\n" + net + layer, "t.cfg", problems);
  const NetSpec spec = bind_net(sections.at(0), problems);
  Result out{bind_layer_norm(sections.at(1), spec.norm, problems), {}, {}};
  const NormSpec* const layers[] = {&out.spec};
  warn_of_unused_norm_keys(sections.at(0), spec.norm, layers, problems);
  for (const std::string& line : problems.warnings()) out.warnings += line + "\n";
  for (const std::string& line : problems.errors()) out.problems += line + "\n";
  return out;
}

TEST(norm_spec, the_family_s_switches) {
  EXPECT_EQ(parse("", "[convolutional]\n").spec.kind, NormKind::none);
  const NormSpec plain = parse("", "[convolutional]\nbatch_normalize=1\n").spec;
  EXPECT_EQ(plain.kind, NormKind::bn);
  EXPECT_EQ(plain.scope, NormScope::minibatch);
  EXPECT_FALSE(plain.update_per_batch);
  for (const char* pooled : {"batch_normalize=2", "batch_normalize=1\ncbn=1", "norm=bn\nnorm_scope=cmbn"}) {
    const NormSpec spec = parse("", std::string("[convolutional]\n") + pooled + "\n").spec;
    EXPECT_EQ(spec.kind, NormKind::bn) << pooled;
    EXPECT_EQ(spec.scope, NormScope::cmbn) << pooled;
    EXPECT_TRUE(spec.update_per_batch) << pooled;
  }
  EXPECT_EQ(parse("", "[convolutional]\nbatch_normalize=1\nuse_global_stats=1\n").spec.frozen, NormFrozen::stats);
  EXPECT_EQ(parse("", "[batchnorm]\n").spec.kind, NormKind::bn);
}

TEST(norm_spec, net_gives_defaults_and_layers_override) {
  const std::string net = "norm=brn\nnorm_eps=.001\nnorm_frozen=stats\n";
  const NormSpec inherited = parse(net, "[convolutional]\nbatch_normalize=1\n").spec;
  EXPECT_EQ(inherited.kind, NormKind::brn);
  EXPECT_EQ(inherited.eps, .001);
  EXPECT_EQ(inherited.frozen, NormFrozen::stats);
  const NormSpec own = parse(net, "[convolutional]\nnorm=bn\nnorm_eps=.01\nnorm_frozen=0\n").spec;
  EXPECT_EQ(own.kind, NormKind::bn);
  EXPECT_EQ(own.eps, .01);
  EXPECT_EQ(own.frozen, NormFrozen::no);
  EXPECT_EQ(parse(net, "[convolutional]\n").spec.kind, NormKind::none);   // defaults turn nothing on
}

TEST(norm_spec, contradictions_name_their_line) {
  EXPECT_NE(parse("", "[convolutional]\nnorm=brn\nnorm_scope=cmbn\n").problems.find("t.cfg:8: [convolutional] norm_scope = cmbn: norm = brn knows one mini-batch only"),
            std::string::npos);
  EXPECT_NE(parse("", "[convolutional]\nnorm=bn\nnorm_scope=batch\n").problems.find("norm_scope = batch: concerns the whole network; expected norm_scope = batch in [net]"),
            std::string::npos);
  EXPECT_NE(parse("norm_scope=batch\n", "[convolutional]\nbatch_normalize=2\n").problems.find("batch_normalize = 2: contradicts norm_scope = batch in [net]"),
            std::string::npos);
  EXPECT_NE(parse("", "[batchnorm]\nnorm=none\n").problems.find("leaves the section nothing to do"), std::string::npos);
  EXPECT_NE(parse("", "[convolutional]\nnorm=bb\n").problems.find("norm = bb: expected"), std::string::npos);
  EXPECT_NE(parse("", "[convolutional]\nnorm_frozen=all\nuse_global_stats=1\nnorm_scope=cm\n").problems.find("norm_scope = cm"), std::string::npos);
}

// Each key with what it does to the spec.
TEST(norm_spec, every_kind_scope_and_gradient) {
  EXPECT_EQ(parse("", "[convolutional]\nnorm=gn\nnorm_groups=8\n").spec.groups_of(24), 8);
  EXPECT_EQ(parse("norm_groups=8\nnorm=gn\n", "[convolutional]\nbatch_normalize=1\n").spec.groups_of(20), 5);   // lowered to a divisor
  EXPECT_EQ(parse("", "[convolutional]\nnorm=gn\n").spec.groups_of(96), 32);
  EXPECT_EQ(parse("", "[convolutional]\nnorm=gn\n").spec.groups_of(18), 18);
  EXPECT_EQ(parse("", "[convolutional]\nnorm=ln\n").spec.groups_of(18), 1);
  EXPECT_EQ(parse("", "[convolutional]\nnorm=in\n").spec.groups_of(18), 18);
  for (const char* kind : {"lnc", "frn"}) EXPECT_EQ(parse("", std::string("[convolutional]\nnorm=") + kind + "\n").spec.eps, 1e-6);
  EXPECT_EQ(parse("", "[convolutional]\nnorm=bn\n").spec.eps, 1e-5);
  const NormSpec window = parse("norm_scope=window\nnorm_window=6\nburn_in=10\n", "[convolutional]\nbatch_normalize=1\n").spec;
  EXPECT_EQ(window.scope, NormScope::window);
  EXPECT_EQ(window.window, 6);
  EXPECT_EQ(window.ramp_from, 10);
  EXPECT_TRUE(window.update_per_batch);
  EXPECT_EQ(parse("norm_scope=twopass\n", "[convolutional]\nbatch_normalize=1\n").spec.scope, NormScope::twopass);
  EXPECT_EQ(parse("norm_grad=exact\n", "[convolutional]\nbatch_normalize=2\n").spec.gradient, NormGradient::exact);
  EXPECT_TRUE(parse("", "[convolutional]\nweight_standardize=1\n").spec.standardize);
  EXPECT_TRUE(parse("norm_sync=1\n", "[convolutional]\nbatch_normalize=1\n").spec.sync);
  EXPECT_FALSE(parse("", "[convolutional]\nnorm=gn\nnorm_frozen=all\n").spec.trains_affine());
  EXPECT_FALSE(parse("", "[convolutional]\nnorm=gn\nnorm_affine=0\n").spec.trains_affine());
}

TEST(norm_spec, presets_set_what_is_not_written) {
  const NormSpec pytorch = parse("norm_compat=pytorch\n", "[convolutional]\nbatch_normalize=1\n").spec;
  EXPECT_EQ(pytorch.momentum, .1);
  EXPECT_EQ(pytorch.start, NormStart::none);
  EXPECT_TRUE(pytorch.variance_from_one);
  EXPECT_EQ(parse("norm_compat=pytorch\nnorm_momentum=.2\n", "[convolutional]\nbatch_normalize=1\n").spec.momentum, .2);
  EXPECT_EQ(parse("norm_momentum=.2\n", "[convolutional]\nbatch_normalize=1\nnorm_compat=pytorch\n").spec.momentum, .1);   // the layer's preset is nearer
  EXPECT_EQ(parse("norm_compat=caffe\n", "[convolutional]\nbatch_normalize=1\n").spec.start, NormStart::debiased);
  const NormSpec pjreddie = parse("norm_compat=pjreddie\n", "[convolutional]\nbatch_normalize=1\n").spec;
  EXPECT_TRUE(pjreddie.eps_outside && pjreddie.unbiased);
  EXPECT_EQ(pjreddie.eps, 1e-6);
  const NormSpec cudnn = parse("norm_compat=alexeyab-cudnn\n", "[convolutional]\nbatch_normalize=2\n").spec;
  EXPECT_TRUE(cudnn.second_moments && cudnn.biased_running);
  EXPECT_EQ(cudnn.gradient, NormGradient::local);
  EXPECT_FALSE(cudnn.update_per_batch);
  const Result cpu = parse("norm_compat=alexeyab-cpu\n", "[convolutional]\nbatch_normalize=2\n");
  EXPECT_EQ(cpu.spec.scope, NormScope::minibatch);   // as that program does, and said so
  EXPECT_NE(cpu.warnings.find("batch_normalize = 2: norm_compat = alexeyab-cpu takes it for 1"), std::string::npos) << cpu.warnings;
  EXPECT_EQ(parse("norm_compat=alexeyab-cpu\n", "[connected]\nbatch_normalize=1\nnorm_compat=alexeyab-cpu\n").spec.momentum, .05);
}

TEST(norm_spec, schedules_and_kinds_that_exclude_each_other) {
  const std::pair<std::string, std::string> cases[] = {
      {"[convolutional]\nnorm=gn\nnorm_scope=cmbn\n", "norm_scope = cmbn: norm = gn has no batch statistics"},
      {"[convolutional]\nnorm=gn\nbatch_normalize=2\n", "batch_normalize = 2: pools batch statistics, which norm = gn does not take"},
      {"[convolutional]\nnorm=ln\nnorm_frozen=stats\n", "norm_frozen = stats: norm = ln has no running statistics"},
      {"[convolutional]\nnorm=bn\nnorm_scope=twopass\n", "norm_scope = twopass: concerns the whole network; expected norm_scope = twopass in [net]"},
      {"[convolutional]\nbatch_normalize=2\nnorm_grad=exact\n", "norm_grad = exact: exact concerns the whole network"},
      {"[convolutional]\nnorm=bn\nnorm_scope=window\nnorm_sync=1\n", "norm_sync = 1: norm_scope = window pools past batches of one rank"},
      {"[convolutional]\nnorm=gn\nnorm_groups=-1\n", "norm_groups = -1: expected"},
      {"[convolutional]\nnorm=bn\nnorm_scope=window\nnorm_window=0\n", "norm_window = 0: expected 1..64"},
  };
  for (const auto& [layer, expected] : cases) {
    const std::string problems = parse("", layer).problems;
    EXPECT_NE(problems.find(expected), std::string::npos) << layer << problems;
    EXPECT_NE(problems.find("t.cfg:"), std::string::npos) << problems;
  }
  EXPECT_NE(parse("norm_scope=twopass\n", "[convolutional]\nbatch_normalize=2\n").problems.find("contradicts norm_scope = twopass in [net]"), std::string::npos);
  EXPECT_NE(parse("norm_scope=window\nnorm_grad=exact\n", "[convolutional]\nbatch_normalize=1\n").problems.find("is the gradient of norm_scope = cmbn"), std::string::npos);
  EXPECT_NE(parse("norm_compat=torch\n", "[convolutional]\n").problems.find("norm_compat = torch: expected"), std::string::npos);
}

TEST(norm_spec, keys_that_nothing_looks_at_are_said) {
  for (const char* layer : {"[convolutional]\nnorm=gn\nnorm_momentum=.1\n", "[convolutional]\nnorm=bn\nnorm_groups=4\n", "[convolutional]\nnorm=bn\nnorm_window=3\n",
                            "[convolutional]\nnorm=bn\nnorm_grad=local\n", "[connected]\nnorm=bn\nweight_standardize=1\n", "[convolutional]\nnorm_eps=.1\n"})
    EXPECT_NE(parse("", layer).warnings.find("only used by"), std::string::npos) << layer;
  for (const char* net : {"norm=gn\n", "norm_scope=cmbn\n", "precise_bn=3\n", "norm_exact_segments=2\n", "norm_groups=4\n", "norm_window=3\n"})
    EXPECT_NE(parse(net, "[convolutional]\n").warnings.find("no layer makes use of it"), std::string::npos) << net;
  EXPECT_EQ(parse("norm_scope=batch\nnorm_exact_segments=2\nprecise_bn=3\n", "[convolutional]\nbatch_normalize=1\n").warnings, "");
}

TEST(norm_spec, what_a_weights_file_cannot_hold) {
  EXPECT_EQ(parse("", "[convolutional]\nbatch_normalize=1\n").spec.weights_file_obstacle(), "");
  EXPECT_EQ(parse("", "[convolutional]\nnorm=brn\n").spec.weights_file_obstacle(), "");
  EXPECT_EQ(parse("", "[convolutional]\nnorm=gn\n").spec.weights_file_obstacle(), "norm = gn");
  EXPECT_EQ(parse("", "[convolutional]\nweight_standardize=1\n").spec.weights_file_obstacle(), "weight_standardize = 1");
}

TEST(norm_spec, whole_batches_need_no_divisor) {
  Problems problems;
  const std::vector<Section> sections = parse_sections("[net]\nwidth=8\nheight=8\nbatch=8\nsubdivisions=3\nnorm_scope=batch\n", "t.cfg", problems);
  const NetSpec net = bind_net(sections.at(0), problems);
  EXPECT_FALSE(problems.failed());
  EXPECT_EQ(net.parts(), 1);
  EXPECT_EQ(net.mini_batch(), 8);
}

}  // namespace
}  // namespace dn
