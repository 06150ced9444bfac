// Who shares what with whom in a batch.
#include "data/batch_layout.h"

#include <gtest/gtest.h>

#include <set>

#include "config/net_spec.h"

namespace dn {
namespace {

NetSpec net_of(const std::string& lines) {
  Problems problems;
  NetSpec net = bind_net(parse_sections("[net]\nwidth=32\nheight=32\n" + lines, "y.cfg", problems).at(0), problems);
  EXPECT_EQ(problems.errors(), std::vector<std::string>{}) << lines;
  if (net.track) net.count_frames();
  return net;
}

TEST(data, SamplesStandForThemselves) {
  const BatchLayout layout = make_batch_layout(net_of("batch=8\nsubdivisions=2\n"));
  EXPECT_EQ(groups_of(layout, 8), 8u);
  for (int i = 0; i < 8; ++i) {
    const SamplePlace place = place_of(layout, 8, i);
    const auto self = static_cast<uint64_t>(i);
    EXPECT_TRUE(place.pictures == self && place.look == self && place.crop == self && place.colour == self && place.frame == 0);
  }
}

TEST(data, SequencesAreSideBySideTimeOutermost) {
  // 6 sequences of 3 frames, in 2 mini-batches of 3 sequences each.
  const NetSpec net = net_of("batch=6\nsubdivisions=2\ntime_steps=3\ntrack=1\naugment_speed=4\n");
  EXPECT_EQ(net.batch, 18);
  EXPECT_EQ(net.mini_batch(), 9);
  const BatchLayout layout = make_batch_layout(net);
  EXPECT_EQ(layout.max_speed, 4);
  EXPECT_EQ(groups_of(layout, net.batch), 6u);
  for (int part = 0; part < 2; ++part)
    for (int t = 0; t < 3; ++t)
      for (int q = 0; q < 3; ++q) {
        const SamplePlace place = place_of(layout, net.batch, part * 9 + t * 3 + q);
        EXPECT_EQ(place.frame, t);
        EXPECT_EQ(place.pictures, static_cast<uint64_t>(part * 3 + q));
        EXPECT_EQ(place.look, static_cast<uint64_t>(part * 9 + q));
        EXPECT_TRUE(place.crop == place.look && place.colour == place.look);
      }
}

// The same frames of the same sequences, whatever a batch is cut into.
TEST(data, SequencesKeepTheirLength) {
  const auto frames = [](const NetSpec& net) {
    std::set<std::pair<uint64_t, int>> all;
    for (int i = 0; i < net.batch; ++i) {
      const SamplePlace place = place_of(make_batch_layout(net), net.batch, i);
      all.insert({place.pictures, place.frame});
    }
    return all;
  };
  NetSpec net = net_of("batch=16\nsubdivisions=4\ntime_steps=3\ntrack=1\nsequential_subdivisions=2\n");
  const auto before = frames(net);
  EXPECT_EQ(before.size(), 48u);
  EXPECT_EQ(before.rbegin()->second, 5);
  for (const int subdivisions : {8, 16}) {
    net.subdivisions = subdivisions;
    EXPECT_EQ(frames(net), before) << subdivisions;
  }
}

TEST(data, SequencesMayLastSeveralMiniBatches) {
  const NetSpec net = net_of("batch=8\nsubdivisions=4\ntime_steps=2\ntrack=1\nsequential_subdivisions=2\n");
  const BatchLayout layout = make_batch_layout(net);
  EXPECT_EQ(layout.chain, 2);
  EXPECT_EQ(groups_of(layout, net.batch), 4u);
  std::set<std::pair<uint64_t, int>> seen;
  for (int i = 0; i < net.batch; ++i) {
    const SamplePlace place = place_of(layout, net.batch, i);
    EXPECT_LT(place.pictures, 4u);
    EXPECT_LT(place.frame, 4);
    EXPECT_TRUE(seen.insert({place.pictures, place.frame}).second) << i;  // each frame of each sequence once
  }
  const SamplePlace later = place_of(layout, net.batch, 4 + 2 + 1);  // second mini-batch, frame 1 of 2, sequence 1
  EXPECT_EQ(later.frame, 3);
  EXPECT_EQ(later.pictures, 1u);
  EXPECT_EQ(later.look, 1u);
}

TEST(data, PairsLieWithinAMiniBatch) {
  BatchLayout layout = make_batch_layout(net_of("batch=10\nsubdivisions=2\ncontrastive=1\n"));
  EXPECT_EQ(groups_of(layout, 10), 6u);  // two pairs and a single one in each
  const uint64_t pictures[] = {0, 0, 1, 1, 2, 3, 3, 4, 4, 5}, first[] = {0, 0, 2, 2, 4, 5, 5, 7, 7, 9};
  for (int i = 0; i < 10; ++i) {
    const SamplePlace place = place_of(layout, 10, i);
    EXPECT_EQ(place.pictures, pictures[i]) << i;
    EXPECT_EQ(place.look, static_cast<uint64_t>(i));
    EXPECT_EQ(place.crop, first[i]) << i;
    EXPECT_EQ(place.colour, first[i]) << i;
  }
  layout = make_batch_layout(net_of("batch=10\nsubdivisions=2\ncontrastive=1\ncontrastive_jit_flip=1\ncontrastive_color=1\n"));
  EXPECT_EQ(place_of(layout, 10, 3).crop, 3u);
  EXPECT_EQ(place_of(layout, 10, 3).colour, 3u);
}

}  // namespace
}  // namespace dn
