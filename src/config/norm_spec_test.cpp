#include "config/norm_spec.h"

#include <gtest/gtest.h>

#include "config/net_spec.h"

namespace dn {
namespace {

struct Result {
  NormSpec spec;
  std::string problems;
};

Result parse(const std::string& net, const std::string& layer) {
  Problems problems;
  const std::vector<Section> sections = parse_sections("[net]\nwidth=8\nheight=8\nbatch=8\nsubdivisions=2\n" + net + layer, "t.cfg", problems);
  const NetSpec spec = bind_net(sections.at(0), problems);
  Result out{bind_layer_norm(sections.at(1), spec.norm, problems), {}};
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
