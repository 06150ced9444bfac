// What the checks of a layer on the CPU and on a GPU share: the case, made from the cfg text, and what the reference says about it.
#pragma once

#include "tests/harness/check_layer.h"

namespace dn::testing {

// One parsed layer with its inputs and parameters.
struct Case {
  std::unique_ptr<Layer> layer;
  std::vector<RefTensor> x;
  Shape out;
  std::vector<ParamSpec> specs;
  std::vector<std::vector<double>> params;
  RefTensor r;   // weights of the scalar loss sum(r * y), which is dy
};

struct Expected {
  std::vector<std::vector<size_t>> x_places, param_places;
  std::vector<std::vector<double>> dx, dparams;
};

// Of `shapes`, the outputs of the layers before, those that the layer reads; the first stands for the network's input.
std::vector<Shape> inputs_of(const Layer& layer, const std::vector<Shape>& shapes);
Case make_case(const std::string& text, const std::vector<Shape>& shapes, const CheckOptions& options);
// Central differences of the reference at some places of every input and parameter.
Expected expected_gradients(Case& c, const Reference& reference, const CheckOptions& options);

std::string place(const Shape& s, size_t i);   // "[n,c,y,x]"
double largest(std::span<const double> v);
// tolerance: of the largest expected value.
void expect_close(const std::string& what, const Shape& shape, std::span<const double> expected, std::span<const double> got, double tolerance);
// got(place) - base against the differences.
void compare_probes(const std::string& what, const Shape& shape, const std::vector<size_t>& places, const std::vector<double>& expected,
                    const std::function<double(size_t)>& got, double base, double tolerance);

// The layer on a GPU: the emulated one, or GPU number $DN_GPU; in FP32 as tight as on the CPU, in bf16 by the mean square of the error.
void check_on_cuda(Case& c, const Reference& reference, const Expected& expected, const CheckOptions& options, const std::string& text);

}  // namespace dn::testing
