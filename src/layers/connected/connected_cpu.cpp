// [connected] on the CPU: oneDNN's sgemm between plain matrices; x and dx pass through a plain copy [N, C*H*W] in the scratch.
//   saved[0]  z = W x, [N, outputs padded]     saved[1]  vectors of the normalization (or 0, 1, bias)
#include <algorithm>

#include "device/cpu/onednn.h"
#include "device/cpu/parallel.h"
#include "layers/connected/connected.h"
#include "nn/norm.h"

namespace dn {
namespace {

class ConnectedKernel : public Kernel {
 public:
  ConnectedKernel(const Connected& layer, cpu::Device& device, const KernelArgs& args)
      : layer_(layer), device_(device), args_(args), norm_(make_norm(layer.norm(), args.y, layer.activation(), device.threads(), !args.training || args.frozen)) {
    if (args.training && !args.frozen && layer.norm().wants_jacobian()) square_.resize(inputs() * outputs()), mean_.resize(inputs());
  }

  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    if (args_.training) n.saved = {args_.y.bytes(), norm_->saved_bytes()};
    if (args_.training) n.saved_once = 1;
    n.forward_scratch = plain_bytes() + (args_.training ? 0 : norm_->saved_bytes());
    n.backward_scratch = plain_bytes() + norm_->backward_scratch_bytes();
    return n;
  }

  void forward(const Io& io, const Pass& pass) override {
    const size_t n = images(), k = inputs(), o = outputs(), row = static_cast<size_t>(args_.y.padded_channels());
    float* x = reinterpret_cast<float*>(io.scratch);
    unblock(io.x[0], x);
    float* z = args_.training ? reinterpret_cast<float*>(io.saved[0]) : io.y.data;
    std::fill_n(z, args_.y.count(), 0.0f);
    gemm('N', 'T', n, o, k, x, k, io.params[1].value.data(), k, 0, z, row);
    std::byte* vectors = args_.training ? io.saved[1] : io.scratch + plain_bytes();
    const Tensor sums{args_.y, z};
    NormParams params = norm_params(layer_.norm(), io.params[0], io.params.subspan(2), io.norm);
    WeightJacobian jacobian;
    if (!square_.empty() && !pass.again) {
      differentiate(x, z);
      jacobian = {io.params[1].value, mean_, square_};
      params.jacobian = &jacobian;
    }
    norm_->collect(sums, params, vectors, pass);
    norm_->apply(sums, params, vectors, io.y);
  }

  void backward(const Io& io, const Pass& pass) override {
    const size_t n = images(), k = inputs(), o = outputs(), row = static_cast<size_t>(args_.y.padded_channels());
    const Tensor sums{args_.y, reinterpret_cast<float*>(io.saved[0])};
    std::byte* vectors_scratch = io.scratch + plain_bytes();
    const NormParams params = norm_params(layer_.norm(), io.params[0], io.params.subspan(2), io.norm);
    norm_->backward(sums, io.dy, params, io.saved[1], vectors_scratch, pass, io.dy);
    float* plain = reinterpret_cast<float*>(io.scratch);
    unblock(io.x[0], plain);
    gemm('T', 'N', o, k, n, io.dy.data, row, plain, k, pass.param_grads == Write::accumulate ? 1 : 0, io.params[1].grad.data(), k);
    if (args_.dx[0] == Write::none) return;
    gemm('N', 'N', n, k, o, io.dy.data, row, io.params[1].value.data(), k, 0, plain, k);
    block(plain, io.dx[0], args_.dx[0]);
  }

 private:
  size_t images() const { return static_cast<size_t>(args_.y.shape.n); }
  size_t inputs() const { return args_.x[0].shape.per_image(); }
  size_t outputs() const { return static_cast<size_t>(args_.y.shape.c); }
  size_t plain_bytes() const { return round_up(images() * inputs() * sizeof(float), size_t{64}); }

  // Derivatives of the mean and the mean square of each output by the weights: E[x] and 2 E[z x].
  void differentiate(const float* x, const float* z) {
    const size_t n = images(), k = inputs(), o = outputs(), row = static_cast<size_t>(args_.y.padded_channels());
    std::fill(mean_.begin(), mean_.end(), 0.0f);
    for (size_t i = 0; i < n; ++i)
      for (size_t j = 0; j < k; ++j) mean_[j] += x[i * k + j] / static_cast<float>(n);
    gemm('T', 'N', o, k, n, z, row, x, k, 0, square_.data(), k);
    for (float& v : square_) v *= 2 / static_cast<float>(n);
  }

  // C[m,n] = op(A) op(B) + beta C, row major.
  static void gemm(char a, char b, size_t m, size_t n, size_t k, const float* A, size_t lda, const float* B, size_t ldb, float beta, float* C, size_t ldc) {
    const auto d = [](size_t v) { return static_cast<dnnl_dim_t>(v); };
    ensure(dnnl_sgemm(a, b, d(m), d(n), d(k), 1.0f, A, d(lda), B, d(ldb), beta, C, d(ldc)) == dnnl_success, "sgemm");
  }

  void unblock(const Tensor& from, float* to) const {
    const Shape& s = from.desc.shape;
    cpu::parallel_for(device_.threads(), images() * static_cast<size_t>(s.c), [&](size_t i) {
      const float* channel = &from.at(static_cast<int>(i) / s.c, static_cast<int>(i) % s.c, 0, 0);
      for (size_t p = 0; p < s.plane(); ++p) to[i * s.plane() + p] = channel[p * static_cast<size_t>(from.desc.block)];
    });
  }

  void block(const float* from, const Tensor& to, Write mode) const {
    const Shape& s = to.desc.shape;
    if (mode == Write::overwrite) clear_padding(device_.threads(), to);
    cpu::parallel_for(device_.threads(), images() * static_cast<size_t>(s.c), [&](size_t i) {
      float* channel = &to.at(static_cast<int>(i) / s.c, static_cast<int>(i) % s.c, 0, 0);
      for (size_t p = 0; p < s.plane(); ++p) {
        float& target = channel[p * static_cast<size_t>(to.desc.block)];
        target = from[i * s.plane() + p] + (mode == Write::accumulate ? target : 0.0f);
      }
    });
  }

  const Connected& layer_;
  cpu::Device& device_;
  KernelArgs args_;
  std::unique_ptr<Norm> norm_;
  std::vector<float> mean_, square_;   // WeightJacobian, where the normalization wants it
};

}  // namespace

std::unique_ptr<Kernel> Connected::compile_cpu(const Connected& layer, cpu::Device& device, const KernelArgs& args) {
  if (layer.norm().batch_statistics() && args.training && !args.frozen) check_statistics(layer, args.y.shape);
  return std::make_unique<ConnectedKernel>(layer, device, args);
}

}  // namespace dn
