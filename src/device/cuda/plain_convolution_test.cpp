// Plain convolutions against the naive one in double: forward by its values, backward because they are its adjoints,
//   <conv(x, w), dy> = <x, backward_data(dy, w)> = <w, backward_weights(x, dy)>   for all x, or w.
#include <gtest/gtest.h>

#include <cmath>

#include "layers/convolutional/convolutional_ref.h"
#include "tests/harness/convolutions.h"

namespace dn::cuda {
namespace {

using Values = std::vector<double>;

// [N,H,W,C] to [N,C,H,W].
Values planar(const std::vector<float>& from, const Shape& s) {
  Values out(from.size());
  for (size_t n = 0; n < static_cast<size_t>(s.n); ++n)
    for (size_t i = 0; i < s.plane(); ++i)
      for (size_t c = 0; c < static_cast<size_t>(s.c); ++c)
        out[n * s.per_image() + c * s.plane() + i] = from[n * s.per_image() + i * static_cast<size_t>(s.c) + c];
  return out;
}

Shape weight_shape(const ConvProblem& p) { return {p.out.c, p.in.c / p.groups, p.size, p.size}; }

Values reference(const ConvProblem& p, const Values& x, const Values& w) {
  ConvolutionalSpec spec;
  spec.size = p.size, spec.stride_x = p.stride_x, spec.stride_y = p.stride_y, spec.padding = p.padding, spec.dilation = p.dilation,
  spec.groups = p.groups;
  return convolution_ref(spec, p.in, p.out, x, w);
}

double dot(const Values& a, const Values& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// The share of a value that its storage may lose, and room for float sums.
double tolerance(DType type) { return type == DType::f32 ? 1e-5 : type == DType::bf16 ? 0x1p-8 : 0x1p-11; }

struct Case {
  std::string name;
  ConvProblem problem;
};

Shape out_shape(const ConvProblem& p, int filters) {
  const int reach = p.dilation * (p.size - 1) + 1, padding = 2 * p.padding * p.dilation;
  return {p.in.n, filters, (p.in.h + padding - reach) / p.stride_y + 1, (p.in.w + padding - reach) / p.stride_x + 1};
}

ConvProblem problem(const Shape& in, int filters, int size, int stride_x, int stride_y, int padding, int dilation, int groups) {
  ConvProblem p{in, {}, size, stride_x, stride_y, padding, dilation, groups};
  p.out = out_shape(p, filters);
  return p;
}

std::vector<Case> cases() {
  std::vector<Case> out{{"size3", problem({2, 8, 9, 7}, 16, 3, 1, 1, 1, 1, 1)},
                        {"size1", problem({2, 16, 5, 6}, 8, 1, 1, 1, 0, 1, 1)},
                        {"stride2", problem({1, 8, 10, 11}, 8, 3, 2, 2, 1, 1, 1)},
                        {"strides_differ", problem({2, 8, 9, 12}, 8, 3, 1, 2, 1, 1, 1)},
                        {"strides_differ_more", problem({1, 8, 9, 13}, 8, 5, 3, 1, 2, 1, 1)},
                        {"no_padding", problem({1, 8, 6, 8}, 8, 3, 2, 2, 0, 1, 1)},
                        {"dilated", problem({1, 8, 12, 11}, 8, 3, 1, 1, 1, 2, 1)},
                        {"dilated_strided", problem({2, 8, 13, 11}, 16, 3, 2, 2, 1, 3, 1)},
                        {"even_size", problem({1, 8, 8, 7}, 8, 2, 2, 2, 1, 1, 1)},
                        {"padded_beyond", problem({1, 8, 4, 5}, 8, 3, 1, 1, 4, 1, 1)},
                        {"groups", problem({2, 16, 7, 6}, 32, 3, 1, 1, 1, 1, 2)},
                        {"groups_strided_dilated", problem({1, 32, 9, 10}, 16, 3, 2, 1, 1, 2, 4)},
                        {"depthwise", problem({2, 8, 8, 6}, 8, 3, 2, 2, 1, 1, 8)}};
  const size_t shapes = out.size();
  for (const DType type : {DType::bf16, DType::f16})
    for (size_t i = 0; i < shapes; ++i) {
      out.push_back(out[i]);
      out.back().name += type == DType::bf16 ? "_bf16" : "_fp16";
      out.back().problem.dtype = type;
    }
  for (const char* name : {"size1_bf16", "size3_bf16", "groups_fp16"}) {
    Case wide = *std::find_if(out.begin(), out.end(), [&](const Case& c) { return c.name == name; });
    wide.name += "_wide";
    wide.problem.wide = true;
    out.push_back(wide);
  }
  return out;
}

class PlainConvolution : public ::testing::TestWithParam<Case> {
 protected:
  std::vector<float> run(ConvDirection direction, const std::vector<float>& first, const std::vector<float>& second) {
    const auto convolution = plain_convolution(p_, direction);
    return testing::run_convolution(*stream_, *convolution, p_, direction, first, second);
  }
  std::vector<float> x(uint64_t seed) const { return testing::random_values(p_.in.count(), p_.dtype, seed); }
  std::vector<float> w(uint64_t seed) const { return testing::random_values(testing::weight_count(p_), p_.dtype, seed); }
  std::vector<float> dy(uint64_t seed) const { return testing::random_values(p_.out.count(), testing::type_of_y(p_), seed); }

  ConvProblem p_ = GetParam().problem;
  std::unique_ptr<Stream> stream_ = emulated_stream();
};

TEST_P(PlainConvolution, ForwardIsTheNaiveOne) {
  const auto input = x(1), weights = w(2);
  const Values expected = reference(p_, planar(input, p_.in), planar(weights, weight_shape(p_)));
  const Values y = planar(run(ConvDirection::forward, input, weights), p_.out);
  ASSERT_EQ(y.size(), expected.size());
  for (size_t i = 0; i < y.size(); ++i)
    ASSERT_NEAR(y[i], expected[i], tolerance(testing::type_of_y(p_)) * std::max(1.0, std::abs(expected[i]))) << p_.text() << " at " << i;
}

TEST_P(PlainConvolution, BackwardDataIsTheAdjointInTheInput) {
  const auto gradient = dy(3), weights = w(4);
  const Values dx = planar(run(ConvDirection::backward_data, gradient, weights), p_.in), dy_planar = planar(gradient, p_.out);
  const Values w_planar = planar(weights, weight_shape(p_));
  for (uint64_t probe = 10; probe < 18; ++probe) {
    const Values input = planar(x(probe), p_.in);
    const double room = tolerance(p_.dtype) * std::sqrt(dot(input, input) * dot(dx, dx));
    EXPECT_NEAR(dot(dx, input), dot(reference(p_, input, w_planar), dy_planar), room) << p_.text();
  }
}

TEST_P(PlainConvolution, BackwardWeightsIsTheAdjointInTheWeights) {
  const auto gradient = dy(5), input = x(6);
  const Values dw = planar(run(ConvDirection::backward_weights, input, gradient), weight_shape(p_)), dy_planar = planar(gradient, p_.out);
  const Values x_planar = planar(input, p_.in);
  for (uint64_t probe = 20; probe < 28; ++probe) {
    const Values weights = planar(w(probe), weight_shape(p_));
    const double room = tolerance(DType::f32) * std::sqrt(dot(weights, weights) * dot(dw, dw));
    EXPECT_NEAR(dot(dw, weights), dot(reference(p_, x_planar, weights), dy_planar), room) << p_.text();
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, PlainConvolution, ::testing::ValuesIn(cases()), [](const auto& tested) { return tested.param.name; });

}  // namespace
}  // namespace dn::cuda
