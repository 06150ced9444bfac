#include "tests/harness/layer_case.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "layers/registry.h"
#include "tensor/half.h"

namespace dn::testing {
namespace {

double random_parameter(const ParamSpec& spec, Rng& rng) {
  switch (spec.role) {
    case ParamRole::scale: return rng.uniform(.5, 1.5);
    case ParamRole::running_variance: return rng.uniform(.5, 2);
    case ParamRole::weight: return spec.init == Init::uniform ? rng.uniform(-spec.init_range, spec.init_range) : rng.uniform(.2, 1.5);
    default: return rng.uniform(-.5, .5);
  }
}

// Where 16-bit kernels are judged too, inputs are what 16 bits can hold, so that all see the same ones.
double exact(double value, const CheckOptions& options) {
  const auto rounded = static_cast<float>(value);
  return options.bf16 ? from_bf16(to_bf16(rounded)) : rounded;
}

double loss_of(const Case& c, const Reference& reference, std::span<const RefTensor> x, std::span<const std::vector<double>> params) {
  const std::vector<double> y = reference(*c.layer, x, params, c.out, true);
  double sum = 0;
  for (size_t i = 0; i < y.size(); ++i) sum += y[i] * c.r.v[i];
  return sum;
}

std::vector<size_t> probe_places(size_t count, int probes, Rng& rng) {
  std::vector<size_t> places;
  if (count <= static_cast<size_t>(probes)) {
    places.resize(count);
    std::iota(places.begin(), places.end(), size_t{0});
    return places;
  }
  for (int i = 0; i < probes; ++i) places.push_back(rng.below(static_cast<uint32_t>(count)));
  return places;
}

// Central differences of the reference at some elements; `target` is one of the case's own vectors.
std::vector<double> differences(Case& c, const Reference& reference, std::vector<double>& target, const std::vector<size_t>& places) {
  std::vector<double> out;
  for (const size_t i : places) {
    const double value = target[i], h = 1e-6 * std::max(1.0, std::abs(value));
    target[i] = value + h;
    const double above = loss_of(c, reference, c.x, c.params);
    target[i] = value - h;
    const double below = loss_of(c, reference, c.x, c.params);
    target[i] = value;
    out.push_back((above - below) / (2 * h));
  }
  return out;
}

}  // namespace

std::string place(const Shape& s, size_t i) {
  const size_t plane = s.plane(), per = s.per_image();
  return concat("[", i / per, ",", i % per / plane, ",", i % plane / static_cast<size_t>(s.w), ",", i % static_cast<size_t>(s.w), "]");
}

double largest(std::span<const double> v) {
  double m = 0;
  for (const double x : v) m = std::max(m, std::abs(x));
  return m;
}

void expect_close(const std::string& what, const Shape& shape, std::span<const double> expected, std::span<const double> got, double tolerance) {
  ASSERT_EQ(expected.size(), got.size()) << what;
  const double bound = tolerance * std::max(largest(expected), 1e-3);
  for (size_t i = 0; i < expected.size(); ++i)
    if (!(std::abs(expected[i] - got[i]) <= bound)) {
      ADD_FAILURE() << what << " at " << place(shape, i) << ": expected " << expected[i] << ", got " << got[i] << ", tolerance " << bound;
      return;
    }
}

std::vector<Shape> inputs_of(const Layer& layer, const std::vector<Shape>& shapes) {
  std::vector<Shape> in;
  for (const int source : layer.sources()) in.push_back(shapes.at(static_cast<size_t>(std::max(source, kNetworkInput + 1))));
  return in;
}

Case make_case(const std::string& text, const std::vector<Shape>& shapes, const CheckOptions& options) {
  Case c;
  c.layer = parse_layer(text, static_cast<int>(shapes.size()));
  const std::vector<Shape> in = inputs_of(*c.layer, shapes);
  c.out = c.layer->output_shape(in);
  Rng rng(options.seed, RandomUse::test);
  for (const Shape& shape : in) {
    RefTensor t{shape, std::vector<double>(shape.count())};
    for (double& v : t.v) v = static_cast<float>(rng.uniform(options.low, options.high));
    if (options.prepare) options.prepare(t);
    for (double& v : t.v) v = exact(v, options);
    c.x.push_back(std::move(t));
  }
  c.specs = c.layer->params(in);
  for (const ParamSpec& spec : c.specs) {
    c.params.emplace_back(spec.count);
    for (double& v : c.params.back()) v = static_cast<float>(random_parameter(spec, rng));
  }
  c.r = {c.out, std::vector<double>(c.out.count())};
  for (double& v : c.r.v) v = exact(rng.uniform(-1, 1), options);
  return c;
}

Expected expected_gradients(Case& c, const Reference& reference, const CheckOptions& options) {
  Expected e;
  Rng rng(options.seed, RandomUse::test, 7);
  const std::vector<RefTensor> x = c.x;
  const std::vector<std::vector<double>> params = c.params;
  const Reference differentiated = options.differentiated ? options.differentiated(x, params) : reference;
  for (RefTensor& in : c.x) {
    e.x_places.push_back(probe_places(in.v.size(), options.probes, rng));
    e.dx.push_back(differences(c, differentiated, in.v, e.x_places.back()));
  }
  for (size_t i = 0; i < c.params.size(); ++i) {
    const bool running = c.specs[i].role == ParamRole::running_mean || c.specs[i].role == ParamRole::running_variance;
    e.param_places.push_back(running || !options.parameter_gradients ? std::vector<size_t>{} : probe_places(c.params[i].size(), options.probes, rng));
    e.dparams.push_back(differences(c, differentiated, c.params[i], e.param_places.back()));
  }
  return e;
}

void compare_probes(const std::string& what, const Shape& shape, const std::vector<size_t>& places, const std::vector<double>& expected,
                    const std::function<double(size_t)>& got, double base, double tolerance) {
  const double bound = tolerance * std::max(largest(expected), 1e-2) + 2e-6 * std::abs(base);
  for (size_t k = 0; k < places.size(); ++k) {
    const double value = got(places[k]) - base;
    if (!(std::abs(value - expected[k]) <= bound)) {
      ADD_FAILURE() << what << " at " << place(shape, places[k]) << ": expected " << expected[k] << ", got " << value << ", tolerance " << bound;
      return;
    }
  }
}

}  // namespace dn::testing
