// Convolutions on channels-last tensors, and who computes them: cuDNN, or our own plain kernels, which the emulation and shapes that cuDNN refuses use.
//   x [N,H,W,C']   w [K',R,S,C'/groups]   y [N,H',W',K']      C', K': channels with their padding; groups > 1 has none
//   forward            y  = x * w
//   backward_data      dx = dy * w turned
//   backward_weights   dw = x * dy, of w's form
// Sums are in FP32. Numbers on both sides have the precision of the problem, but y (and dy) of a wide one is FP32.
#pragma once

#include <memory>
#include <string>

#include "device/cuda/stream.h"
#include "tensor/tensor.h"

namespace dn::cuda {

enum class ConvDirection { forward, backward_data, backward_weights };

struct ConvProblem {
  Shape in, out;   // with padded channels
  int size = 1, stride_x = 1, stride_y = 1, padding = 0, dilation = 1, groups = 1;   // padding is before dilation, as in the family
  DType dtype = DType::f32;
  bool wide = false;      // y, or dy, is FP32
  bool tensor_cores = true;   // FP32 may be rounded to TF32 on the way in
  std::string text() const;   // "64x608x608x32 64x304x304x64 3x3 s2 p1 d1 g1 bf16", the key of what is remembered about it
  int weights_per_filter() const { return size * size * in.c / groups; }
  TensorDesc x_desc() const;
  TensorDesc y_desc() const;
};

// One direction of one problem. An object keeps nothing between calls.
class Convolution {
 public:
  virtual ~Convolution() = default;
  virtual size_t workspace_bytes() const { return 0; }
  // DType of dw; FP32 where the engine can.
  virtual DType weights_gradient_type() const { return DType::f32; }
  // forward: x, w -> y; backward_data: dy, w -> dx; backward_weights: x, dy -> dw. All overwritten. workspace: 256-byte aligned.
  virtual void run(Stream& stream, const void* first, const void* second, void* out, void* workspace) const = 0;
  virtual std::string implementation() const = 0;   // for people
};

struct ConvRules {
  bool deterministic = false;   // only engines that give the same bits every time
  bool measure = false;         // the fastest of several, by time on this device; else the one its heuristics name
  size_t workspace_limit = size_t{1} << 30;
};

// Who makes convolutions on a stream.
class ConvEngine {
 public:
  virtual ~ConvEngine() = default;
  virtual std::string description() const = 0;   // "cuDNN 9.19.0"
  virtual std::unique_ptr<Convolution> make(const ConvProblem& problem, ConvDirection direction) = 0;
  virtual void save() {}   // what was chosen, to its cache file
};

// Our own kernels: one output element a thread. Right everywhere, quick nowhere.
std::unique_ptr<Convolution> plain_convolution(const ConvProblem& problem, ConvDirection direction);
std::unique_ptr<ConvEngine> plain_conv_engine();

// cuDNN of this machine for the GPU that the stream is on. cache: the file that keeps what was chosen; empty: none. Throws Error when there is no
// usable cuDNN: one line that says where it was looked for.
std::unique_ptr<ConvEngine> cudnn_conv_engine(Stream& stream, const ConvRules& rules, const std::string& cache);

}  // namespace dn::cuda
