// Convolutions by definition: a thread computes one element of the result, in a fixed order. See convolution.h.
#include "base/text.h"
#include "device/cuda/convolution.h"
#include "device/cuda/launch.h"
#include "device/cuda/view.h"

namespace dn::cuda {
namespace {

// A value of a dense array of any storage.
DN_HD float value_of(const void* data, DType type, size_t i) {
  if (type == DType::f32) return static_cast<const float*>(data)[i];
  const uint16_t bits = static_cast<const uint16_t*>(data)[i];
  return type == DType::bf16 ? from_bf16(bits) : from_f16(bits);
}

// Numbers of a ConvProblem that kernels need.
struct Numbers {
  int in_h, in_w, in_c, out_h, out_w, out_c;
  int size, stride_x, stride_y, padding, dilation, groups;
  DN_HD int in_group() const { return in_c / groups; }
  DN_HD int out_group() const { return out_c / groups; }
  DN_HD int row(int out, int tap) const { return out * stride_y + (tap - padding) * dilation; }
  DN_HD int column(int out, int tap) const { return out * stride_x + (tap - padding) * dilation; }
  DN_HD size_t weight(int filter, int ky, int kx, int c) const {
    return ((static_cast<size_t>(filter) * static_cast<size_t>(size) + static_cast<size_t>(ky)) * static_cast<size_t>(size) + static_cast<size_t>(kx)) *
               static_cast<size_t>(in_group()) + static_cast<size_t>(c);
  }
  DN_HD size_t x(size_t n, int y, int x_, int c) const {
    return ((n * static_cast<size_t>(in_h) + static_cast<size_t>(y)) * static_cast<size_t>(in_w) + static_cast<size_t>(x_)) * static_cast<size_t>(in_c) +
           static_cast<size_t>(c);
  }
  DN_HD size_t y(size_t n, int y_, int x_, int c) const {
    return ((n * static_cast<size_t>(out_h) + static_cast<size_t>(y_)) * static_cast<size_t>(out_w) + static_cast<size_t>(x_)) * static_cast<size_t>(out_c) +
           static_cast<size_t>(c);
  }
};

Numbers numbers_of(const ConvProblem& p) {
  return {p.in.h, p.in.w, p.in.c, p.out.h, p.out.w, p.out.c, p.size, p.stride_x, p.stride_y, p.padding, p.dilation, p.groups};
}

struct ForwardBody {
  Numbers p;
  const void *x, *w;
  View y;
  DType type;
  DN_HD void operator()(size_t i) const {
    const int o = static_cast<int>(i % static_cast<size_t>(p.out_c)), column = static_cast<int>(i / static_cast<size_t>(p.out_c) % static_cast<size_t>(p.out_w));
    const size_t above = i / static_cast<size_t>(p.out_c) / static_cast<size_t>(p.out_w), n = above / static_cast<size_t>(p.out_h);
    const int row = static_cast<int>(above % static_cast<size_t>(p.out_h)), first = o / p.out_group() * p.in_group();
    float sum = 0;
    for (int ky = 0; ky < p.size; ++ky) {
      const int in_y = p.row(row, ky);
      if (in_y < 0 || in_y >= p.in_h) continue;
      for (int kx = 0; kx < p.size; ++kx) {
        const int in_x = p.column(column, kx);
        if (in_x < 0 || in_x >= p.in_w) continue;
        for (int c = 0; c < p.in_group(); ++c)
          sum += value_of(x, type, p.x(n, in_y, in_x, first + c)) * value_of(w, type, p.weight(o, ky, kx, c));
      }
    }
    y.set(i, sum);
  }
};

struct BackwardDataBody {
  Numbers p;
  const void *dy, *w;
  View dx;
  DType dy_type, type;
  DN_HD void operator()(size_t i) const {
    const int c = static_cast<int>(i % static_cast<size_t>(p.in_c)), column = static_cast<int>(i / static_cast<size_t>(p.in_c) % static_cast<size_t>(p.in_w));
    const size_t above = i / static_cast<size_t>(p.in_c) / static_cast<size_t>(p.in_w), n = above / static_cast<size_t>(p.in_h);
    const int row = static_cast<int>(above % static_cast<size_t>(p.in_h)), group = c / p.in_group();
    float sum = 0;
    for (int ky = 0; ky < p.size; ++ky) {
      const int from_y = row - (ky - p.padding) * p.dilation;
      if (from_y < 0 || from_y % p.stride_y != 0 || from_y / p.stride_y >= p.out_h) continue;
      for (int kx = 0; kx < p.size; ++kx) {
        const int from_x = column - (kx - p.padding) * p.dilation;
        if (from_x < 0 || from_x % p.stride_x != 0 || from_x / p.stride_x >= p.out_w) continue;
        for (int o = group * p.out_group(); o < (group + 1) * p.out_group(); ++o)
          sum += value_of(dy, dy_type, p.y(n, from_y / p.stride_y, from_x / p.stride_x, o)) * value_of(w, type, p.weight(o, ky, kx, c % p.in_group()));
      }
    }
    dx.set(i, sum);
  }
};

struct BackwardWeightsBody {
  Numbers p;
  int images;
  const void *x, *dy;
  float* dw;
  DType type, dy_type;
  DN_HD void operator()(size_t i) const {
    const int c = static_cast<int>(i % static_cast<size_t>(p.in_group())), kx = static_cast<int>(i / static_cast<size_t>(p.in_group()) % static_cast<size_t>(p.size));
    const size_t above = i / static_cast<size_t>(p.in_group()) / static_cast<size_t>(p.size);
    const int ky = static_cast<int>(above % static_cast<size_t>(p.size)), o = static_cast<int>(above / static_cast<size_t>(p.size));
    const int first = o / p.out_group() * p.in_group();
    float all = 0;
    for (int n = 0; n < images; ++n) {
      for (int row = 0; row < p.out_h; ++row) {
        const int in_y = p.row(row, ky);
        if (in_y < 0 || in_y >= p.in_h) continue;
        float sum = 0;
        for (int column = 0; column < p.out_w; ++column) {
          const int in_x = p.column(column, kx);
          if (in_x < 0 || in_x >= p.in_w) continue;
          sum += value_of(x, type, p.x(static_cast<size_t>(n), in_y, in_x, first + c)) * value_of(dy, dy_type, p.y(static_cast<size_t>(n), row, column, o));
        }
        all += sum;
      }
    }
    dw[i] = all;
  }
};

class PlainConvolution : public Convolution {
 public:
  PlainConvolution(const ConvProblem& problem, ConvDirection direction) : problem_(problem), direction_(direction) {}
  std::string implementation() const override { return "plain"; }

  void run(Stream& stream, const void* first, const void* second, void* out, void*) const override {
    const ConvProblem& p = problem_;
    const Numbers numbers = numbers_of(p);
    const DType y_type = p.wide ? DType::f32 : p.dtype;
    switch (direction_) {
      case ConvDirection::forward:
        return for_each(stream, p.y_desc().count(), ForwardBody{numbers, first, second, view({p.y_desc(), static_cast<float*>(out)}), p.dtype});
      case ConvDirection::backward_data:
        return for_each(stream, p.x_desc().count(),
                        BackwardDataBody{numbers, first, second, view({p.x_desc(), static_cast<float*>(out)}), y_type, p.dtype});
      case ConvDirection::backward_weights:
        return for_each(stream, static_cast<size_t>(p.out.c) * static_cast<size_t>(p.weights_per_filter()),
                        BackwardWeightsBody{numbers, p.in.n, first, second, static_cast<float*>(out), p.dtype, y_type});
    }
  }

 private:
  ConvProblem problem_;
  ConvDirection direction_;
};

class PlainEngine : public ConvEngine {
 public:
  std::string description() const override { return "plain convolutions"; }
  std::unique_ptr<Convolution> make(const ConvProblem& problem, ConvDirection direction) override { return plain_convolution(problem, direction); }
};

}  // namespace

TensorDesc ConvProblem::x_desc() const { return {in, in.c, 0, dtype, true}; }
TensorDesc ConvProblem::y_desc() const { return {out, out.c, 0, wide ? DType::f32 : dtype, true}; }

std::string ConvProblem::text() const {
  const auto form = [](const Shape& s) { return concat(s.n, "x", s.h, "x", s.w, "x", s.c); };
  const char* const type = dtype == DType::f32 ? (tensor_cores ? "tf32" : "fp32") : dtype == DType::bf16 ? "bf16" : "fp16";
  return concat(form(in), " ", form(out), " ", size, "x", size, " s", stride_x, stride_y == stride_x ? "" : concat(",", stride_y), " p", padding, " d", dilation, " g",
                groups, " ", type, wide ? " wide" : "");
}

std::unique_ptr<Convolution> plain_convolution(const ConvProblem& problem, ConvDirection direction) {
  return std::make_unique<PlainConvolution>(problem, direction);
}
std::unique_ptr<ConvEngine> plain_conv_engine() { return std::make_unique<PlainEngine>(); }

}  // namespace dn::cuda
