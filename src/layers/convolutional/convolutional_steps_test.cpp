// What cfgs add to a convolution: a blur behind it, activations over channels, signs in place of values, raised labelled pixels; and what is refused.
#include <gtest/gtest.h>

#include "layers/convolutional/convolutional_ref.h"
#include "layers/convolutional/excitation.h"
#include "nn/normalize_ref.h"
#include "tests/harness/check_layer.h"

namespace dn {
namespace {

using testing::check_layer;
using testing::CheckOptions;
using testing::RefTensor;

const Convolutional& convolutional(const Layer& layer) { return static_cast<const Convolutional&>(layer); }

// Convolution of these inputs with these weights, and all behind it but an excitation.
std::vector<double> behind(const Convolutional& conv, const Shape& in, const std::vector<double>& x, const std::vector<double>& weights,
                           std::span<const std::vector<double>> p, const Shape& out, bool training) {
  const Shape convolved = conv.convolved_shape(in);
  std::vector<double> y = convolution_ref(conv.spec(), in, convolved, x, weights);
  normalize_ref<double>(conv.norm(), convolved, y, p[0], p.subspan(1), !training, conv.activation());
  channel_activation_ref(conv.channel_activation(), convolved, y);
  return antialias_ref(conv.antialias(), convolved, out, y);
}

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>> p, const Shape& out, bool training) {
  return behind(convolutional(layer), x[0].shape, x[0].v, p.back(), p, out, training);
}

void check(const std::string& keys, const Shape& shape, CheckOptions options = {}) { check_layer("[convolutional]\n" + keys, {shape}, reference, options); }

TEST(convolutional_steps, blurred) {
  check("filters=20\nsize=3\npad=1\nstride=2\nantialiasing=1\nbatch_normalize=1\nactivation=leaky", {2, 16, 8, 7});
  check("filters=8\nsize=3\npad=1\nstride=2\nantialiasing=2\nactivation=linear", {2, 10, 7, 8});
  check("filters=16\nsize=1\nstride_x=1\nstride_y=3\nantialiasing=1\nbatch_normalize=1\nactivation=mish", {1, 8, 9, 5});
  check("filters=8\nsize=3\nstride=2\npad=1\nantialiasing=1\nbatch_normalize=1\nactivation=leaky", {2, 3, 9, 8});   // reads a plain input
  check("filters=8\nsize=3\npad=1\nstride=2\nantialiasing=1\nnorm=gn\nnorm_groups=2\nactivation=swish", {2, 8, 6, 6});
}

TEST(convolutional_steps, blur_takes_the_stride) {
  const auto layer = testing::parse_layer("[convolutional]\nfilters=8\nsize=3\npad=1\nstride=2\nantialiasing=1\nactivation=leaky", 1);
  const Shape in{2, 4, 16, 21}, small{1, 4, 1, 1};
  EXPECT_EQ(layer->output_shape({&in, 1}), (Shape{2, 8, 8, 11}));
  EXPECT_EQ(layer->summary({&in, 1}), "8  3x3  leaky  blur 3x3/2");
  EXPECT_EQ(testing::parse_layer("[convolutional]\nfilters=8\nsize=3\npad=1\nstride=2\nantialiasing=2", 1)->output_shape({&in, 1}), (Shape{2, 8, 8, 10}));
  EXPECT_THROW(testing::parse_layer("[convolutional]\nsize=1\nantialiasing=2", 1)->output_shape({&small, 1}), Error);
  EXPECT_DOUBLE_EQ(layer->forward_flops({&in, 1}), 2.0 * 9 * 4 * 8 * 2 * 16 * 21);   // at stride 1
}

TEST(convolutional_steps, activations_over_channels) {
  for (const char* name : {"normalize_channels", "normalize_channels_softmax", "normalize_channels_softmax_maxval"}) {
    check(concat("filters=20\nsize=3\npad=1\nbatch_normalize=1\nactivation=", name), {2, 16, 5, 6});
    check(concat("filters=6\nsize=1\nactivation=", name), {2, 10, 9, 8});    // more than one tile of pixels
    check(concat("filters=16\nsize=1\nantialiasing=1\nstride=2\nactivation=", name), {1, 8, 5, 5});
  }
}

// A divisor that is hardly larger than e: there the derivative of the largest channel differs from a softmax's.
TEST(convolutional_steps, softmax_of_one_channel) {
  for (const char* name : {"normalize_channels_softmax", "normalize_channels_softmax_maxval"}) {
    CheckOptions options;
    options.low = -12, options.high = -6;
    check(concat("filters=1\nsize=1\nactivation=", name), {1, 1, 3, 3}, options);
  }
}

// Straight through signs: the forward pass is that of signs, gradients are those of  conv(x' + hardtan(x) - hardtan(x0), w' + w - w0)  at x0, w0.
std::vector<double> signs_of(const std::vector<double>& x) {
  std::vector<double> out;
  for (const double v : x) out.push_back(v > 0 ? 1 : -1);
  return out;
}

std::vector<double> binary_reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>> p, const Shape& out, bool training) {
  const Convolutional& conv = convolutional(layer);
  const std::vector<double> weights = binarize_ref(p.back(), static_cast<size_t>(conv.spec().filters));
  return behind(conv, x[0].shape, conv.spec().xnor ? signs_of(x[0].v) : x[0].v, weights, p, out, training);
}

testing::Reference straight_through(std::span<const RefTensor> x, std::span<const std::vector<double>> p) {
  return [x0 = x[0].v, w0 = p.back()](const Layer& layer, std::span<const RefTensor> at, std::span<const std::vector<double>> params, const Shape& out, bool training) {
    const Convolutional& conv = convolutional(layer);
    std::vector<double> moved = at[0].v, weights = binarize_ref(w0, static_cast<size_t>(conv.spec().filters));
    const std::vector<double> signs = signs_of(x0);
    const auto hardtan = [](double v) { return std::clamp(v, -1.0, 1.0); };
    for (size_t i = 0; i < moved.size() && conv.spec().xnor; ++i) moved[i] = signs[i] + hardtan(moved[i]) - hardtan(x0[i]);
    for (size_t i = 0; i < weights.size(); ++i) weights[i] += params.back()[i] - w0[i];
    return behind(conv, at[0].shape, moved, weights, params, out, training);
  };
}

TEST(convolutional_steps, signs) {
  CheckOptions options;
  options.differentiated = straight_through;
  for (const char* kind : {"xnor=1", "binary=1", "xnor=1\nbinary=1"}) {
    check_layer(concat("[convolutional]\nfilters=20\nsize=3\npad=1\nbatch_normalize=1\nactivation=leaky\n", kind), {{2, 20, 5, 6}}, binary_reference, options);
    check_layer(concat("[convolutional]\nfilters=8\nsize=1\nactivation=linear\n", kind), {{2, 16, 4, 4}}, binary_reference, options);
    check_layer(concat("[convolutional]\nfilters=8\nsize=3\nstride=2\npad=1\nbatch_normalize=1\nactivation=leaky\n", kind), {{2, 3, 9, 8}}, binary_reference,
                options);
    check_layer(concat("[convolutional]\nfilters=12\nsize=3\ngroups=2\npad=1\nstride=2\nantialiasing=1\nactivation=leaky\n", kind), {{2, 8, 7, 6}},
                binary_reference, options);
  }
}

std::vector<std::vector<TruthBox>> two_images() {
  return {{{{.3f, .4f, .25f, .5f}, 0}, {{.9f, .9f, .4f, .3f}, 1}}, {{{.5f, .1f, .01f, .01f}, 0}}};
}

TEST(convolutional_steps, raises_labelled_pixels_in_training) {
  const auto truths = two_images();
  for (const char* norm : {"batch_normalize=1", "activation=linear", "activation=normalize_channels_softmax"})
    for (const bool late : {false, true}) {
      CheckOptions options;
      options.pass = [&](Pass& pass) {
        pass.truth = truths;
        pass.progress = late ? 1 : .25;
      };
      const auto raised = [&](const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>> p, const Shape& out, bool training) {
        std::vector<double> y = reference(layer, x, p, out, training);
        if (training && !late) excitation_ref((1 + std::cos(.25 * 3.14159265358979323846)) / 2, truths, out, y);
        return y;
      };
      check_layer(concat("[convolutional]\nfilters=10\nsize=3\npad=1\nassisted_excitation=1\n", norm), {{2, 8, 7, 9}}, raised, options);
    }
}

TEST(convolutional_steps, excitation_fades_out) {
  const auto truths = two_images();
  Pass pass;
  EXPECT_EQ(excitation(1, pass), 0);   // no labels
  pass.truth = truths;
  EXPECT_DOUBLE_EQ(excitation(1, pass), 1);
  pass.progress = .5;
  EXPECT_NEAR(excitation(1, pass), .5, 1e-15);
  pass.progress = 1;
  EXPECT_EQ(excitation(1, pass), 0);
  pass.iteration = 50;
  EXPECT_NEAR(excitation(200, pass), (1 + std::sqrt(.5)) / 2, 1e-12);
  pass.iteration = 200;
  EXPECT_EQ(excitation(200, pass), 0);
  pass.progress = 0, pass.stage = Pass::Stage::estimate;
  EXPECT_EQ(excitation(1, pass), 0);
  const std::vector<unsigned char> inside = box_pixels(std::vector<TruthBox>{{{.5f, .5f, .5f, .25f}, 0}, {{7, 7, 1, 1}, 0}}, 4, 4);
  EXPECT_EQ(inside, (std::vector<unsigned char>{0, 0, 0, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0}));
}

std::string error_of(const std::string& keys) { return testing::layer_error("[convolutional]\n" + keys, {{1, 8, 8, 8}}); }

std::string warning_of(const std::string& keys) {
  ::testing::internal::CaptureStderr();
  testing::parse_layer("[convolutional]\n" + keys, 1);
  return ::testing::internal::GetCapturedStderr();
}

TEST(convolutional_steps, refusals_and_warnings_say_why) {
  EXPECT_NE(error_of("antialiasing=3").find("antialiasing = 3"), std::string::npos);
  EXPECT_NE(error_of("xnor=1\nweight_standardize=1").find("weight_standardize"), std::string::npos);
  EXPECT_NE(error_of("share_index=1").find("share_index = 1: 1 is not an earlier layer"), std::string::npos);
  EXPECT_NE(error_of("coordconv=1").find("to wrong places"), std::string::npos);
  EXPECT_NE(error_of("flipped=1").find("not when it saves one"), std::string::npos);
  EXPECT_EQ(error_of("share_index=-1\ncoordconv=0\nflipped=0"), "");
  for (const char* key : {"bin_output", "sway", "rotate", "stretch", "stretch_sway", "reverse", "dot", "stream", "wait_stream"})
    EXPECT_NE(warning_of(concat("size=3\n", key, "=1")).find(concat(key, " = 1: ignored: ")), std::string::npos) << key;
  EXPECT_EQ(warning_of("stream=-1\nbin_output=0\nangle=15"), "");
}

TEST(convolutional_steps, other_sections_refuse_activations_over_channels) {
  for (const char* section : {"[shortcut]\nfrom=-2\n", "[connected]\n", "[sam]\nfrom=-2\n", "[scale_channels]\nfrom=-2\n"})
    for (const char* name : {"normalize_channels", "normalize_channels_softmax", "normalize_channels_softmax_maxval"}) {
      const std::string error = testing::layer_error(concat(section, "activation=", name), {{1, 8, 4, 4}, {1, 8, 4, 4}});
      EXPECT_NE(error.find(concat("activation = ", name)), std::string::npos) << section << error;
    }
}

}  // namespace
}  // namespace dn
