// A plan on a GPU (the emulated one, or number $DN_GPU) against the CPU's: layers that share tensors, with slices and without.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "tests/harness/gpu.h"

namespace dn {
namespace {

// Concatenations, parts, nested slices, a pyramid of pools, shortcuts with and without weights.
std::string net_text(int width) {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=3\npad=1\nactivation=leaky\nfilters=";
  const std::string point = "[convolutional]\nbatch_normalize=1\nsize=1\nactivation=leaky\nfilters=";
  const std::string half = std::to_string(width / 2) + "\n", full = std::to_string(width) + "\n";
  return "[net]\nbatch=2\nwidth=16\nheight=16\nchannels=3\n"                                                 //
         + conv + full                                                                                       // 0
         + "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"                                                      // 1
         + conv + half                                                                                       // 2
         + conv + half                                                                                       // 3
         + "[route]\nlayers=-1,-2\n"                                                                         // 4
         + point + full                                                                                      // 5
         + "[shortcut]\nfrom=0\nactivation=leaky\n"                                                          // 6
         + "[maxpool]\nsize=2\nstride=2\n"                                                                   // 7: 8 x 8
         + conv + full                                                                                       // 8
         + "[maxpool]\nsize=5\nstride=1\n"                                                                   // 9
         + "[route]\nlayers=8\n"                                                                             // 10
         + "[maxpool]\nsize=9\nstride=1\n"                                                                   // 11
         + "[route]\nlayers=8\n"                                                                             // 12
         + "[maxpool]\nsize=13\nstride=1\n"                                                                  // 13
         + "[route]\nlayers=-1,11,9,8\n"                                                                     // 14
         + point + full                                                                                      // 15
         + "[shortcut]\nfrom=8,9\nactivation=mish\nweights_type=per_channel\nweights_normalization=relu\n"   // 16
         + "[upsample]\nstride=2\n"                                                                          // 17: 16 x 16
         + "[route]\nlayers=-1,4\n"                                                                          // 18: takes in the whole of 4
         + "[convolutional]\nsize=1\nactivation=linear\nfilters=14\n"                                        // 19
         + "[yolo]\nmask=0,1\nanchors=4,5, 9,8\nclasses=2\nnum=2\nmax=10\n";                                 // 20
}

struct Result {
  std::vector<std::vector<float>> outputs;   // of every layer, planar
  std::vector<float> grads;
  size_t arena = 0;
};

std::vector<float> planar(const Tensor& t) {
  std::vector<float> out;
  const Shape& s = t.desc.shape;
  for (int n = 0; n < s.n; ++n)
    for (int c = 0; c < s.c; ++c)
      for (int y = 0; y < s.h; ++y)
        for (int x = 0; x < s.w; ++x) out.push_back(t.at(n, c, y, x));
  return out;
}

Result run(Device& device, int width, int images, PlanOptions options) {
  Network network = Network::from_text(net_text(width));
  network.params().initialize(5);
  const Shape input = network.input(images);
  Plan plan(network, device, input, options);
  std::vector<float> x(input.count());
  Rng rng(3, RandomUse::test);
  for (float& v : x) v = static_cast<float>(rng.uniform());
  const std::vector<std::vector<TruthBox>> truth(static_cast<size_t>(images), {{{.5f, .4f, .3f, .2f}, 1}});
  Pass pass{.training = options.training};
  if (options.training) pass.truth = truth;
  plan.set_input(x.data());
  plan.forward(pass);
  Result out;
  for (int i = 0; options.keep_outputs && i < static_cast<int>(network.layers().size()); ++i) out.outputs.push_back(planar(plan.output(i)));
  if (options.training) {
    plan.backward(pass);
    out.grads.assign(network.params().grads().begin(), network.params().grads().end());
  }
  out.arena = plan.report().arena_bytes;
  return out;
}

void expect_near(const std::vector<float>& expected, const std::vector<float>& got, double tolerance, const std::string& what) {
  ASSERT_EQ(expected.size(), got.size()) << what;
  double error = 0, size = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    error = std::max(error, std::abs(static_cast<double>(expected[i]) - static_cast<double>(got[i])));
    size = std::max(size, std::abs(static_cast<double>(expected[i])));
  }
  EXPECT_LE(error, tolerance * size) << what;
}

TEST(plan_cuda, shared_tensors_hold_what_the_cpu_computes) {
  cpu::Device host({.threads = 2, .convolution = cpu::ConvAlgorithm::direct});
  cuda::Device gpu(testing::gpu_options(cuda::Precision::fp32));
  for (const int width : {32, 20})
    for (const int images : {1, 2})
      for (const bool training : {true, false}) {
        const Result expected = run(host, width, images, {.training = training, .keep_outputs = true});
        for (const bool slices : {true, false}) {
          const std::string where = concat("width ", width, " images ", images, training ? " training" : " inference", slices ? " slices" : " copies");
          const Result got = run(gpu, width, images, {.training = training, .slices = slices, .keep_outputs = true});
          for (size_t i = 0; i < expected.outputs.size(); ++i) expect_near(expected.outputs[i], got.outputs[i], 1e-5, concat(where, " layer ", i));
          expect_near(expected.grads, got.grads, 1e-4, where + " gradients");
        }
      }
}

// Memory is used again: nothing may be read after its time.
TEST(plan_cuda, slices_change_no_bit) {
  for (const cuda::Precision precision : {cuda::Precision::fp32, cuda::Precision::bf16}) {
    cuda::Device gpu(testing::gpu_options(precision));
    for (const int width : {48, 20})
      for (const int images : {1, 3}) {
        const Result with = run(gpu, width, images, {.training = true, .slices = true}), without = run(gpu, width, images, {.training = true, .slices = false});
        EXPECT_EQ(with.grads, without.grads) << "width " << width << " images " << images << " " << cuda::precision_name(precision);
        EXPECT_LE(with.arena, without.arena);
      }
  }
}

}  // namespace
}  // namespace dn
