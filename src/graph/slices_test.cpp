// Slices: where they are placed, and that a plan with them computes bit for bit what a plan of copies computes.
#include "graph/slices.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"

namespace dn {
namespace {

// Two cross-stage blocks, one nested in the other's end, as the tiny YOLOs have them; widths that do and do not fill channel blocks of 8 and 16.
std::string net_text(int width) {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=3\npad=1\nactivation=leaky\nfilters=";
  const std::string half = std::to_string(width / 2) + "\n", full = std::to_string(width) + "\n";
  return "[net]\nbatch=2\nwidth=16\nheight=16\nchannels=3\n"                       //
         + conv + full                                                             // 0
         + "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"                            // 1: a slice of 0
         + conv + half                                                             // 2: read by a convolution and by 4
         + conv + half                                                             // 3: read by 4 only
         + "[route]\nlayers=-1,-2\n"                                               // 4
         + "[convolutional]\nsize=1\nactivation=mish\nfilters=" + full             // 5: no normalization
         + "[route]\nlayers=0,-1\n"                                                // 6: 2 x width
         + "[maxpool]\nsize=2\nstride=2\n"                                         // 7
         + "[convolutional]\nsize=1\nactivation=linear\nfilters=" + full           // 8
         + "[upsample]\nstride=2\n"                                                // 9
         + "[route]\nlayers=-1,6\n"                                                // 10: takes in the whole of 6
         + "[convolutional]\nsize=1\nactivation=linear\nfilters=14\n"              // 11
         + "[yolo]\nmask=0,1\nanchors=4,5, 9,8\nclasses=2\nnum=2\nmax=10\n";       // 12
}

Slices place(const Network& network, int images, bool training, Wiring& w, bool channels_last = false) {
  w = wire(network, training, 0);
  const SliceOptions options{.training = training, .enabled = true, .block = channels_last ? 8 : 16, .channels_last = channels_last};
  return place_slices(network, network.output_shapes(network.input(images)), options, w);
}

void expect_slice(const Slice& slice, int home, int channel) {
  EXPECT_EQ(slice.home, home);
  EXPECT_EQ(slice.channel, channel);
}

TEST(slices, several_images_place_what_strides_allow) {
  const Network network = Network::from_text(net_text(32));
  Wiring w;
  const Slices s = place(network, 2, true, w);
  expect_slice(s.outputs[3], 4, 0);
  expect_slice(s.gradients[3], 4, 0);
  expect_slice(s.outputs[2], 2, 0);     // a convolution reads it: dense
  expect_slice(s.gradients[2], 4, 16);  // and adds to its gradient wherever that lies
  expect_slice(s.outputs[0], 6, 0);
  expect_slice(s.outputs[5], 6, 32);
  expect_slice(s.outputs[6], 6, 0);     // the maxpool wants it dense
  EXPECT_EQ(w.dx[4], (std::vector<Write>{Write::none, Write::none}));
  EXPECT_EQ(w.dx[3][0], Write::accumulate);
  EXPECT_EQ(w.dx[10], (std::vector<Write>{Write::overwrite, Write::overwrite}));
}

TEST(slices, one_image_is_dense_anywhere) {
  const Network network = Network::from_text(net_text(32));
  Wiring w;
  const Slices s = place(network, 1, false, w);
  expect_slice(s.outputs[9], 10, 0);
  expect_slice(s.outputs[6], 10, 32);
  expect_slice(s.outputs[0], 10, 32);      // in 6, which is in 10
  expect_slice(s.outputs[1], 10, 48);      // half of 0
  expect_slice(s.outputs[5], 10, 64);
  EXPECT_EQ(place(Network::from_text(net_text(20)), 1, false, w).outputs[5].home, 5);  // would start inside a channel block
}

// On a GPU a slice's pixels lie apart whatever the number of images, so that one is like several.
TEST(slices, one_image_is_not_dense_channels_last) {
  const Network network = Network::from_text(net_text(32));
  Wiring one, two;
  const Slices s = place(network, 1, true, one, true), several = place(network, 2, true, two, true);
  for (size_t i = 0; i < s.outputs.size(); ++i) {
    expect_slice(s.outputs[i], several.outputs[i].home, several.outputs[i].channel);
    expect_slice(s.gradients[i], several.gradients[i].home, several.gradients[i].channel);
    EXPECT_EQ(one.dx[i], two.dx[i]);
  }
  expect_slice(s.outputs[3], 4, 0);
  expect_slice(s.outputs[2], 2, 0);    // a convolution reads it
  expect_slice(s.outputs[6], 6, 0);    // the maxpool reads it
  const Slices inference = place(network, 1, false, one, true);
  for (int i = 0; i < static_cast<int>(inference.outputs.size()); ++i) expect_slice(inference.outputs[static_cast<size_t>(i)], i, 0);
}

// What a loss reads is wider on a GPU than what goes into it.
TEST(slices, what_a_loss_reads_takes_in_nothing_channels_last) {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=1\nactivation=leaky\nfilters=";
  const Network network = Network::from_text("[net]\nbatch=2\nwidth=16\nheight=16\nchannels=3\n" + conv + "8\n" + conv + "6\n[route]\nlayers=-2,-1\n" +
                                             "[yolo]\nmask=0,1\nanchors=4,5, 9,8\nclasses=2\nnum=2\nmax=10\n");
  Wiring w;
  const Slices wide = place(network, 2, true, w, true);
  expect_slice(wide.outputs[0], 0, 0);
  expect_slice(wide.gradients[1], 1, 0);
  EXPECT_EQ(w.dx[2], (std::vector<Write>{Write::overwrite, Write::overwrite}));
}

// Sums that the layer before them finishes: 3 and 5, in one tensor with the gradients of 0, 3 and 5; 8 reads 2 sources of which neither can.
std::string residual_text() {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=1\nactivation=leaky\nfilters=16\n", sum = "[shortcut]\nactivation=linear\nfrom=";
  return "[net]\nbatch=2\nwidth=16\nheight=16\nchannels=3\n" + conv + conv + conv + sum + "-3\n" + conv + sum + "-2\n"                  // 0..5
         + conv + "[route]\nlayers=-1,5\n" + "[shortcut]\nactivation=linear\nfrom=7\n" + "[convolutional]\nsize=1\nactivation=linear\nfilters=14\n"
         + "[yolo]\nmask=0,1\nanchors=4,5, 9,8\nclasses=2\nnum=2\nmax=10\n";
}

TEST(slices, the_layer_before_a_sum_finishes_it) {
  const Network network = Network::from_text(residual_text());
  Wiring w = wire(network, true, 0);
  const Slices s = place_slices(network, network.output_shapes(network.input(2)), {.training = true, .block = 8, .channels_last = true, .sums = true}, w);
  expect_slice(s.outputs[2], 3, 0);
  expect_slice(s.outputs[4], 5, 0);
  EXPECT_EQ(s.residual, (std::vector{-1, -1, 0, -1, 3, -1, -1, -1, -1, -1, -1}));
  for (const int sum : {3, 5}) EXPECT_TRUE(s.made[static_cast<size_t>(sum)]);
  EXPECT_FALSE(s.made[8]);
  for (const size_t i : {0, 2, 3, 4}) expect_slice(s.gradients[i], 5, 0);
  EXPECT_EQ(w.dx[3], (std::vector{Write::none, Write::none}));
  EXPECT_EQ(w.dx[1][0], Write::accumulate);
  EXPECT_TRUE(s.keeps_dy[2] && s.keeps_dy[4]);
  // On a device without such kernels each sum is a step.
  EXPECT_EQ(place(network, 2, true, w, true).residual, std::vector(network.layers().size(), kNetworkInput));
}

struct Result {
  std::vector<float> output, grads;
  size_t arena = 0;
};

Result run(int width, int images, bool training, bool slices, int block) {
  Network network = Network::from_text(net_text(width));
  network.params().initialize(5);
  cpu::Device device({.threads = 2, .block = block, .convolution = cpu::ConvAlgorithm::direct});
  const Shape input = network.input(images);
  Plan plan(network, device, input, {.training = training, .slices = slices});
  std::vector<float> x(input.count());
  Rng rng(3, RandomUse::test);
  for (float& v : x) v = static_cast<float>(rng.uniform());
  const std::vector<std::vector<TruthBox>> truth(static_cast<size_t>(images), {{{.5f, .4f, .3f, .2f}, 1}});
  Pass pass{.training = training};
  if (training) pass.truth = truth;
  plan.set_input(x.data());
  plan.forward(pass);
  Result out;
  const Tensor y = plan.output(12);
  out.output.assign(y.data, y.data + y.desc.count());
  if (training) {
    plan.backward(pass);
    out.grads.assign(network.params().grads().begin(), network.params().grads().end());
  }
  out.arena = plan.report().arena_bytes;
  return out;
}

bool same(const std::vector<float>& a, const std::vector<float>& b) { return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0); }

TEST(slices, compute_what_copies_compute) {
  for (const int width : {32, 48, 64, 20})
    for (const int images : {1, 2, 3})
      for (const bool training : {false, true})
        for (const int block : {8, 16}) {
          const Result with = run(width, images, training, true, block), without = run(width, images, training, false, block);
          EXPECT_TRUE(same(with.output, without.output)) << "width " << width << " images " << images << " training " << training << " block " << block;
          EXPECT_TRUE(same(with.grads, without.grads)) << "width " << width << " images " << images << " block " << block;
        }
}

TEST(slices, save_memory) { EXPECT_LT(run(64, 1, false, true, 16).arena, run(64, 1, false, false, 16).arena); }

}  // namespace
}  // namespace dn
