// One call checks a layer's kernels, the CPU's and a GPU's: forward against a plain double-precision reference; gradients of inputs and parameters against central
// differences of that same reference; overwrite and accumulate modes (targets start as NaN, or as known values); guard bytes around every buffer;
// what the kernel says it does not need is poisoned before backward; padding lanes stay zero; two runs are bit-equal; both channel blocks; inference
// mode too.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "device/cpu/device.h"
#include "nn/layer.h"

namespace dn::testing {

struct RefTensor {
  Shape shape;
  std::vector<double> v;   // plain [N,C,H,W]
  double& at(int n, int c, int y, int x) { return v[((static_cast<size_t>(n) * shape.c + c) * shape.h + y) * shape.w + x]; }
  double at(int n, int c, int y, int x) const { return v[((static_cast<size_t>(n) * shape.c + c) * shape.h + y) * shape.w + x]; }
};

// y of the layer for these inputs and parameters (order of Layer::params), plain [N,C,H,W].
using Reference = std::function<std::vector<double>(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>> params,
                                                    const Shape& out, bool training)>;

struct CheckOptions {
  double forward_tolerance = 1e-5;    // of the largest |expected| of the tensor
  double gradient_tolerance = 1e-4;
  bool training = true;               // check the training kernel and its gradients
  bool inference = true;              // check the inference kernel
  bool parameter_gradients = true;
  double low = -2, high = 2;          // inputs
  std::function<void(RefTensor&)> prepare;   // last word on an input, for example to separate ties
  std::function<void(Pass&)> pass;           // last word on what the training kernel is called with
  // What is differentiated in place of the reference, made for these inputs and parameters: where a gradient is not, by definition, that of the forward
  // pass (straight through signs).
  std::function<Reference(std::span<const RefTensor> x, std::span<const std::vector<double>> params)> differentiated;
  uint64_t seed = 1;
  cpu::ConvAlgorithm convolution = cpu::ConvAlgorithm::direct;
  int probes = 40;                    // elements per tensor whose derivative is compared
  bool cuda = true;                   // check the kernel for a GPU
  bool bf16 = true;                   // and in 16 bits; not where rounded inputs give another function (ties)
};

// `text`: the section, "[maxpool]\nsize=2\nstride=2"; in front of it there may be keys of [net]. `shapes`: outputs of the layers before it, the last one being layer -1.
void check_layer(const std::string& text, const std::vector<Shape>& shapes, const Reference& reference, const CheckOptions& options = {});

// The layer alone, as check_layer makes it.
std::unique_ptr<Layer> parse_layer(const std::string& text, int index);
// What is said against a section behind layers of these shapes, in parse or for its output; empty: nothing. Without shapes: as the first layer.
std::string layer_error(const std::string& text, const std::vector<Shape>& shapes);
std::unique_ptr<Kernel> compile_layer(const Layer& layer, cpu::Device& device, const KernelArgs& args);

// The input values with all pairwise differences at least `gap`: for layers that compare values (maxpool).
void separate(RefTensor& t, double gap = 1e-2);

// Folder of reference outputs: $DN_GOLDEN or ../shared/golden beside the source tree; empty when absent.
std::string golden_folder();

}  // namespace dn::testing
