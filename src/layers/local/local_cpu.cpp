// [local] on the CPU: place by place, the patches of all images as a matrix P [N, C size size] in the scratch, and oneDNN's sgemm:
//   Z = P W^T,   dW = dZ^T P,   dP = dZ W
// Every weight is read once, so large mini-batches are what makes it fast.   saved[0]: sums before activation, unless linear.
#include <algorithm>

#include "device/cpu/onednn.h"
#include "device/cpu/parallel.h"
#include "layers/local/local.h"
#include "nn/elementwise.h"
#include "nn/normalize.h"

namespace dn {
namespace {

class LocalCpu : public Kernel {
 public:
  LocalCpu(const Local& layer, cpu::Device& device, const KernelArgs& args)
      : layer_(layer),
        threads_(device.threads()),
        args_(args),
        in_(args.x[0].shape),
        out_(args.y.shape),
        linear_(layer.activation() == Activation::linear) {
    zero_.assign(static_cast<size_t>(args.y.padded_channels()), 0.f);
    one_.assign(zero_.size(), 1.f);
    args_.dx.resize(1, Write::none);
  }

  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    if (args_.training && !linear_) n.saved = {args_.y.bytes()};
    n.forward_scratch = scratch_bytes();
    if (args_.backward) n.backward_scratch = scratch_bytes();
    return n;
  }

  void forward(const Io& io, const Pass&) override {
    float *patches = patch_matrix(io), *sums = place_matrix(io);
    const Tensor z = sums_before_activation(io);
    clear_padding(threads_, z);
    for (size_t place = 0; place < out_.plane(); ++place) {
      gather(io.x[0], place, patches);
      gemm('N', 'T', images(), filters(), fan_in(), patches, fan_in(), io.params[1].value.data() + place * per_place(), fan_in(), 0, sums, filters());
      each_sum(place, [&](int n, int f, int y, int x, size_t at, size_t bias) { z.at(n, f, y, x) = sums[at] + io.params[0].value[bias]; });
    }
    if (!linear_) normalize_activate(threads_, z, identity(), layer_.activation(), io.y);
  }

  void backward(const Io& io, const Pass& pass) override {
    float *patches = patch_matrix(io), *dz = place_matrix(io);
    const bool add = pass.param_grads == Write::accumulate, want_dx = args_.dx[0] != Write::none, train = !args_.frozen;
    if (!linear_) normalize_activate_backward(threads_, sums_before_activation(io), io.dy, identity(), layer_.activation(), {}, io.dy);
    if (args_.dx[0] == Write::overwrite) zero(threads_, io.dx[0].data, io.dx[0].desc.count());
    for (size_t place = 0; place < out_.plane(); ++place) {
      each_sum(place, [&](int n, int f, int y, int x, size_t at, size_t) { dz[at] = io.dy.at(n, f, y, x); });
      const size_t first = place * per_place();
      if (train) {
        bias_gradient(io, place, dz, add);
        gather(io.x[0], place, patches);
        gemm('T', 'N', filters(), fan_in(), images(), dz, filters(), patches, fan_in(), add ? 1 : 0, io.params[1].grad.data() + first, fan_in());
      }
      if (!want_dx) continue;
      gemm('N', 'N', images(), fan_in(), filters(), dz, filters(), io.params[1].value.data() + first, fan_in(), 0, patches, fan_in());
      each_patch_tap(place, [&](int n, int c, int i, int j, size_t at) { io.dx[0].at(n, c, i, j) += patches[at]; });
    }
  }

 private:
  size_t images() const { return static_cast<size_t>(out_.n); }
  size_t filters() const { return static_cast<size_t>(out_.c); }
  size_t taps() const { return static_cast<size_t>(layer_.spec().size) * static_cast<size_t>(layer_.spec().size); }
  size_t fan_in() const { return static_cast<size_t>(in_.c) * taps(); }
  size_t per_place() const { return filters() * fan_in(); }
  size_t patch_floats() const { return round_up(images() * fan_in(), size_t{16}); }
  size_t scratch_bytes() const { return (patch_floats() + images() * filters()) * sizeof(float); }
  float* patch_matrix(const Io& io) const { return reinterpret_cast<float*>(io.scratch); }
  float* place_matrix(const Io& io) const { return patch_matrix(io) + patch_floats(); }
  Tensor sums_before_activation(const Io& io) const {
    return {args_.y, linear_ || !args_.training ? io.y.data : reinterpret_cast<float*>(io.saved[0])};
  }
  ChannelAffine identity() const { return {zero_.data(), one_.data(), zero_.data()}; }

  void gather(const Tensor& x, size_t place, float* patches) const {
    zero(threads_, patches, images() * fan_in());
    each_patch_tap(place, [&](int n, int c, int i, int j, size_t at) { patches[at] = x.at(n, c, i, j); });
  }

  // visit(image, channel, row, column, index in the matrix of patches) for the taps inside the map.
  template <class Visit>
  void each_patch_tap(size_t place, const Visit& visit) const {
    const int size = layer_.spec().size, stride = layer_.spec().stride;
    const int y = static_cast<int>(place) / out_.w * stride - layer_.padding(), x = static_cast<int>(place) % out_.w * stride - layer_.padding();
    const size_t channels = static_cast<size_t>(in_.c);
    cpu::parallel_for(threads_, images() * channels, [&](size_t item) {
      for (int i = std::max(y, 0); i < std::min(y + size, in_.h); ++i)
        for (int j = std::max(x, 0); j < std::min(x + size, in_.w); ++j)
          visit(static_cast<int>(item / channels), static_cast<int>(item % channels), i, j,
                item * taps() + static_cast<size_t>((i - y) * size + j - x));
    });
  }

  // visit(image, filter, row, column, index in the place's matrix, index of the bias)
  template <class Visit>
  void each_sum(size_t place, const Visit& visit) const {
    const int y = static_cast<int>(place) / out_.w, x = static_cast<int>(place) % out_.w;
    for (size_t at = 0; at < images() * filters(); ++at)
      visit(static_cast<int>(at / filters()), static_cast<int>(at % filters()), y, x, at, at % filters() * out_.plane() + place);
  }

  void bias_gradient(const Io& io, size_t place, const float* dz, bool add) const {
    for (size_t f = 0; f < filters(); ++f) {
      double sum = 0;
      for (size_t n = 0; n < images(); ++n) sum += static_cast<double>(dz[n * filters() + f]);
      float& gradient = io.params[0].grad[f * out_.plane() + place];
      gradient = static_cast<float>(sum + (add ? static_cast<double>(gradient) : 0.0));
    }
  }

  // C[m,n] = op(A) op(B) + beta C, row major.
  static void gemm(char a, char b, size_t m, size_t n, size_t k, const float* A, size_t lda, const float* B, size_t ldb, float beta, float* C,
                   size_t ldc) {
    const auto d = [](size_t v) { return static_cast<dnnl_dim_t>(v); };
    ensure(dnnl_sgemm(a, b, d(m), d(n), d(k), 1.0f, A, d(lda), B, d(ldb), beta, C, d(ldc)) == dnnl_success, "sgemm");
  }

  const Local& layer_;
  int threads_;
  KernelArgs args_;
  Shape in_, out_;
  bool linear_;
  std::vector<float> zero_, one_;  // per channel
};

}  // namespace

std::unique_ptr<Kernel> Local::compile_cpu(const Local& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<LocalCpu>(layer, device, args);
}

}  // namespace dn
