// The structure's number: what changes it and what does not.
#include "train/structure.h"

#include <gtest/gtest.h>

namespace dn {
namespace {

constexpr std::string_view kCfg =
    "[net]\nbatch=4\nwidth=64\nheight=64\nlearning_rate=.001\nmax_batches=10\n"
    "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=2\npad=1\nactivation=leaky\n"
    "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=leaky\n"
    "[shortcut]\nfrom=-2\nactivation=linear\n"
    "[route]\nlayers=-1,-3\n"
    "[convolutional]\nfilters=18\nsize=1\nactivation=linear\n"
    "[yolo]\nmask=0,1\nanchors=10,10, 20,20\nnum=2\nclasses=4\nignore_thresh=.7\n";

std::string replaced(std::string_view from, std::string_view to) {
  std::string text(kCfg);
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

uint64_t hash(const std::string& text, int layers = INT_MAX) {
  ::testing::internal::CaptureStderr();  // warnings of keys that are of no use
  const uint64_t value = structure_hash(Network::from_text(text, "net.cfg"), layers);
  ::testing::internal::GetCapturedStderr();
  return value;
}

TEST(structure, comments_training_and_spelling_do_not_count) {
  const uint64_t usual = hash(std::string(kCfg));
  const struct {
    const char *from, *to;
  } cases[] = {
      {"[net]", "# a comment\n[net]"},
      {"max_batches=10", "max_batches=500"},
      {"learning_rate=.001", "learning_rate=.1\nadam=1\nema_alpha=.5\nburn_in=7\npolicy=step\nstep=3\nscale=.2"},
      {"batch=4", "batch=8\nsubdivisions=2"},
      {"width=64\nheight=64", "width=96\nheight=32"},
      {"filters=8\n", "filters=8\nlearning_rate=.5\nstopbackward=1\ndontload=1\nclip=3\ndont_update=5\nburnin_update=2\ngrad_centr=1\n"},
      {"batch_normalize=1", "batch_normalize=2"},
      {"batch_normalize=1", "batch_normalize=1\nnorm_momentum=.1\nnorm_frozen=stats"},
      {"size=3\nstride=2", "stride = 2.0\nsize= 3"},
      {"size=3\npad=1", "size=3\nstride=1\ngroups=1\npad=1"},  // defaults, written
      {"[convolutional]", "[conv]"},
      {"from=-2", "from=0"},
      {"10,10, 20,20", "10.0,10,20,2e1,"},
      {"ignore_thresh=.7", "ignore_thresh=.5\nrandom=1\niou_loss=ciou\nnms_kind=diounms"},
      {"ignore_thresh=.7", "ignore_tresh=.7"},  // unknown
  };
  for (const auto& c : cases) EXPECT_EQ(hash(replaced(c.from, c.to)), usual) << c.to;
}

TEST(structure, what_a_network_computes_counts) {
  const uint64_t usual = hash(std::string(kCfg));
  const struct {
    const char *from, *to;
  } cases[] = {
      {"stride=2", "stride=1"},
      {"pad=1", "padding=2"},
      {"activation=leaky", "activation=mish"},
      {"from=-2\nactivation=linear", "from=-2\nactivation=leaky"},
      {"layers=-1,-3", "layers=-3,-1"},
      {"10,10, 20,20", "10,10, 20,21"},
      {"mask=0,1", "mask=1,0"},
      {"num=2", "num=2\nscale_x_y=1.1"},
      {"filters=8", "filters=8\nnorm_eps=.001"},
      {"batch=4", "batch=4\nnorm_eps=.001"},
      {"[shortcut]\nfrom=-2\nactivation=linear", "[maxpool]\nsize=1\nstride=1"},
  };
  for (const auto& c : cases) EXPECT_NE(hash(replaced(c.from, c.to)), usual) << c.to;
}

TEST(structure, of_the_first_layers) {
  EXPECT_EQ(hash(std::string(kCfg), 3), hash(replaced("layers=-1,-3", "layers=-3,-1"), 3));
  EXPECT_NE(hash(std::string(kCfg), 3), hash(std::string(kCfg), 4));
  EXPECT_EQ(hash(std::string(kCfg), 6), hash(std::string(kCfg)));
}

TEST(structure, is_what_files_were_written_with) {
  // FNV-1a of a listing that shall stay: another value here means that every file written so far is warned of.
  const Network network =
      Network::from_text("[net]\nwidth=32\nheight=32\n[convolutional]\nfilters=4\nsize=3\npad=1\nactivation=leaky\n[maxpool]\n", "net.cfg");
  EXPECT_EQ(structure_listing(network), "[convolutional]\nreads -1\n\nactivation=leaky\nfilters=4\npad=1\nsize=3\n[maxpool]\nreads 0\n\n");
  EXPECT_EQ(hex_text(structure_hash(network), 16), "abb403b4b5cbe41f");
}

}  // namespace
}  // namespace dn
