// A plan on a GPU (the emulated one, or number $DN_GPU) against the CPU's: layers that share tensors, with slices and without.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "tests/harness/gpu.h"
#include "tests/harness/tensors.h"

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

// Residual blocks as the family has them and as a cfg may have them: each kind's place in a line. Sums that a convolution finishes: 4, 6, 8, 11, 15, 20.
std::string residual_text(int width) {
  const auto conv = [](int filters, int size, const char* keys) {
    return concat("[convolutional]\nbatch_normalize=1\npad=1\nfilters=", filters, "\nsize=", size, "\n", keys, "\n");
  };
  const auto sum = [](int from, const char* activation = "linear") { return concat("[shortcut]\nfrom=", from, "\nactivation=", activation, "\n"); };
  const auto whole = [&](const char* keys = "activation=leaky") { return conv(width, 3, keys); };
  return "[net]\nbatch=2\nwidth=16\nheight=16\nchannels=3\n"                                                    //
         + whole()                                                                                                // 0
         + conv(width / 2, 1, "activation=mish") + whole("activation=mish") + "[route]\nlayers=-1\n" + sum(-4)    // 1, 2, 3: a view, 4
         + whole("activation=swish") + sum(-2)                                                                    // 5, 6: read by 5 itself
         + "[convolutional]\npad=1\nsize=3\nactivation=linear\nfilters=" + std::to_string(width) + "\n" + sum(-2)  // 7: a bias only, 8
         + conv(width / 2, 1, "activation=leaky") + whole("activation=linear") + sum(-3)                          // 9, 10, 11
         + "[route]\nlayers=-1,8\n"                                                                              // 12: reads sums after their sum
         + conv(width, 1, "activation=leaky") + whole() + sum(-2)                                                 // 13, 14, 15
         + whole() + sum(-2, "leaky")                                                                             // 16, 17: no mere sum
         + whole() + whole() + sum(-3)                                                                            // 18, 19, 20
         + whole() + "[route]\nlayers=-1,-2\n"                                                                   // 21, 22
         + "[shortcut]\nfrom=-1\nactivation=linear\n"                                                            // 23: twice the same
         + "[convolutional]\nsize=1\nactivation=linear\nfilters=14\n"                                           // 24
         + "[yolo]\nmask=0,1\nanchors=4,5, 9,8\nclasses=2\nnum=2\nmax=10\n";                                   // 25
}

struct Result {
  std::vector<std::vector<float>> outputs;   // of every layer, planar
  std::vector<float> grads;
  PlanReport report;
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

Result run(Device& device, const std::string& text, int images, PlanOptions options) {
  Network network = Network::from_text(text);
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
  out.outputs.push_back(planar(plan.output(network.head_layers().back())));
  for (int i = 0; options.keep_outputs && i < static_cast<int>(network.layers().size()); ++i) out.outputs.push_back(planar(plan.output(i)));
  if (options.training) {
    plan.backward(pass);
    out.grads.assign(network.params().grads().begin(), network.params().grads().end());
  }
  out.report = plan.report();
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
        const Result expected = run(host, net_text(width), images, {.training = training, .keep_outputs = true});
        for (const bool slices : {true, false}) {
          const std::string where = concat("width ", width, " images ", images, training ? " training" : " inference", slices ? " slices" : " copies");
          const Result got = run(gpu, net_text(width), images, {.training = training, .slices = slices, .keep_outputs = true});
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
        const std::string text = net_text(width);
        const Result with = run(gpu, text, images, {.training = true, .slices = true}), without = run(gpu, text, images, {.training = true, .slices = false});
        EXPECT_EQ(with.grads, without.grads) << "width " << width << " images " << images << " " << cuda::precision_name(precision);
        EXPECT_LE(with.report.arena_bytes, without.report.arena_bytes);
      }
  }
}

// What convolutions add to their own outputs is what sums of their own would be, kept or computed again, frozen in part, and at inference.
TEST(plan_cuda, convolutions_finish_residual_sums) {
  cpu::Device host({.threads = 2, .convolution = cpu::ConvAlgorithm::direct});
  cuda::Device gpu(testing::gpu_options(cuda::Precision::fp32));
  for (const int width : {16, 20})
    for (PlanOptions options : {PlanOptions{}, {.training = true}, {.training = true, .segments = 1}, {.training = true, .segments = 3},
                                {.training = true, .frozen = {.layers = 7, .parameters = 7}}, {.training = true, .keep_outputs = true}}) {
      const std::string text = residual_text(width), where = concat("width ", width, " segments ", options.segments, " frozen ", options.frozen.layers);
      const Result expected = run(host, text, 2, options), sums = run(gpu, text, 2, options);
      EXPECT_EQ(sums.report.summing_layers, (std::vector{2, 5, 7, 10, 14, 19})) << where;
      options.slices = false;
      const Result copies = run(gpu, text, 2, options);
      EXPECT_TRUE(copies.report.summing_layers.empty());
      for (size_t i = 0; i < expected.outputs.size(); ++i) {
        const int layer = static_cast<int>(i) - 1;   // 3 is a view of 2
        if (layer == 3 || std::ranges::count(sums.report.summing_layers, layer) > 0) continue;
        expect_near(expected.outputs[i], sums.outputs[i], 2e-5, concat(where, " output ", i));
      }
      expect_near(copies.outputs[0], sums.outputs[0], 1e-6, where + " copies");
      expect_near(expected.grads, copies.grads, 2e-4, where + " gradients of copies beside the CPU's");
      expect_near(expected.grads, sums.grads, 2e-4, where + " gradients");
      expect_near(copies.grads, sums.grads, 1e-6, where + " gradients of copies");
    }
}

// In 16 bits a sum is rounded once instead of twice.
TEST(plan_cuda, residual_sums_in_sixteen_bits) {
  cuda::Device gpu(testing::gpu_options(cuda::Precision::bf16)), wide(testing::gpu_options(cuda::Precision::fp32));
  const std::string text = residual_text(24);
  const Result exact = run(wide, text, 2, {.training = true}), sums = run(gpu, text, 2, {.training = true}), copies = run(gpu, text, 2, {.training = true, .slices = false});
  EXPECT_LT(testing::distance(exact.outputs[0], sums.outputs[0]), 1.1 * testing::distance(exact.outputs[0], copies.outputs[0]));
  EXPECT_LT(testing::distance(exact.grads, sums.grads), 1.1 * testing::distance(exact.grads, copies.grads));
}

}  // namespace
}  // namespace dn
