// [connected] on the CPU: oneDNN's sgemm between plain matrices; x and dx pass through a plain copy [N, C*H*W] in the scratch.
//   saved[0]  z = W x, [N, outputs padded]     saved[1]  vectors of the normalization (or 0, 1, bias)
#include <algorithm>

#include "device/cpu/onednn.h"
#include "device/cpu/parallel.h"
#include "layers/connected/connected.h"
#include "nn/batch_norm.h"

namespace dn {
namespace {

class ConnectedKernel : public Kernel {
 public:
  ConnectedKernel(const Connected& layer, cpu::Device& device, const KernelArgs& args)
      : layer_(layer), device_(device), args_(args), norm_(layer.norm(), args.y, layer.activation(), device.threads()) {}

  Needs needs() const override {
    Needs n;
    n.x_in_backward = args_.backward;
    if (args_.training) n.saved = {args_.y.bytes(), norm_.saved_bytes()};
    if (args_.training) n.saved_once = 1;
    n.forward_scratch = plain_bytes() + (args_.training ? 0 : norm_.saved_bytes());
    n.backward_scratch = plain_bytes() + norm_.backward_scratch_bytes();
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
    if (!layer_.normalized())
      norm_.use_bias(io.params[0].value, vectors);
    else if (args_.training && !args_.frozen)
      norm_.collect(sums, norm_params(io), vectors, pass);
    else
      norm_.use_running(norm_params(io), vectors);
    norm_.apply(sums, vectors, io.y);
  }

  void backward(const Io& io, const Pass& pass) override {
    const size_t n = images(), k = inputs(), o = outputs(), row = static_cast<size_t>(args_.y.padded_channels());
    const Tensor sums{args_.y, reinterpret_cast<float*>(io.saved[0])};
    std::byte* vectors_scratch = io.scratch + plain_bytes();
    if (layer_.normalized())
      norm_.backward(sums, io.dy, norm_params(io), io.saved[1], vectors_scratch, pass.param_grads, io.dy);
    else
      norm_.backward_bias(sums, io.dy, io.params[0].grad, io.saved[1], pass.param_grads, io.dy);
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
  static NormParams norm_params(const Io& io) { return {io.params[0], io.params[2], io.params[3], io.params[4], io.norm_updates}; }

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
  BatchNorm norm_;
};

}  // namespace

std::unique_ptr<Kernel> Connected::compile_cpu(const Connected& layer, cpu::Device& device, const KernelArgs& args) {
  if (layer.normalized()) check_statistics(layer, args);
  return std::make_unique<ConnectedKernel>(layer, device, args);
}

}  // namespace dn
