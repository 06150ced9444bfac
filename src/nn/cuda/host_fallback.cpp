#include "nn/cuda/host_fallback.h"

#include "base/aligned.h"
#include "nn/cuda/layout.h"
#include "nn/norm_history.h"

namespace dn::cuda {
namespace {

// A tensor's twin on the host, in the CPU's form.
struct Twin {
  TensorDesc desc;
  AlignedFloats memory;
  explicit Twin(const TensorDesc& d) : desc(d), memory(d.count(), 0.0f) {}
  Tensor tensor() { return {desc, memory.data()}; }
};

class HostFallback : public Kernel {
 public:
  HostFallback(const Layer& layer, CpuCompiler compile, cpu::Device& host, Device& device, const KernelArgs& args)
      : device_(device), args_(args) {
    KernelArgs on_host = args;
    for (TensorDesc& x : on_host.x) x = {x.shape, host.block()};
    on_host.y = {args.y.shape, layer.writes_plain() ? 1 : host.block()};
    for (Write& dx : on_host.dx) dx = dx == Write::accumulate ? Write::overwrite : dx;   // added on the device
    kernel_ = compile(layer, host, on_host);
    needs_ = kernel_->needs();
    x_descs_ = on_host.x;
    y_desc_ = on_host.y;
  }

  Needs needs() const override {
    Needs n = needs_;
    n.forward_scratch = n.backward_scratch = 0;
    return n;
  }
  int forward_phases() const override { return kernel_->forward_phases(); }
  int backward_phases() const override { return kernel_->backward_phases(); }
  bool recordable() const override { return false; }

  void forward(const Io& io, const Pass& pass) override {
    if (!staging_) take_memory();
    begin(io);
    // Where the output has phases of its own, they have no x, and those before have no y.
    const bool reads = needs_.output_phase == 0 || pass.phase < needs_.output_phase, writes = pass.phase >= needs_.output_phase;
    for (size_t i = 0; i < x_.size() && reads; ++i) bring(io.x[i], x_[i]);
    if (pass.phase > needs_.output_phase) bring(io.y, y_[0]);   // what an earlier phase wrote
    fetch_saved(io);
    const Io host = host_io(io, pass);
    kernel_->forward(host, pass);
    if (writes) send(y_[0], io.y, false);
    send_saved(io);
    end(io, false);
  }

  void backward(const Io& io, const Pass& pass) override {
    begin(io);
    if (needs_.x_in_backward)
      for (size_t i = 0; i < x_.size(); ++i) bring(io.x[i], x_[i]);
    if (needs_.y_in_backward) bring(io.y, y_[0]);
    if (io.dy.data) bring(io.dy, y_[1]);
    fetch_saved(io);
    const Io host = host_io(io, pass);
    kernel_->backward(host, pass);
    for (size_t i = 0; i < dx_.size(); ++i)
      if (io.dx[i].data) send(dx_[i], io.dx[i], args_.dx[i] == Write::accumulate);
    end(io, true);
    sum_ += last_;
  }

  bool keeps_losses() const override { return true; }
  void fetch_losses(LossReport& last, LossReport& sum) override {
    last = last_;
    sum += std::exchange(sum_, {});
  }

 private:
  // With the first call: a plan that is only looked at needs none.
  void take_memory() {
    for (const TensorDesc& x : x_descs_) x_.emplace_back(x), dx_.emplace_back(x);
    y_.emplace_back(y_desc_), y_.emplace_back(y_desc_);
    size_t largest = y_desc_.shape.count();
    for (const TensorDesc& x : x_descs_) largest = std::max(largest, x.shape.count());
    planar_.resize(largest);
    staging_ = device_.allocate(2 * round_up(largest * sizeof(float), size_t{256}));
    for (const size_t bytes : needs_.saved) saved_.emplace_back((bytes + 3) / 4 + 16);
    scratch_.resize(std::max(needs_.forward_scratch, needs_.backward_scratch) / 4 + 16);
  }

  float* staging(int which) const {
    return reinterpret_cast<float*>(staging_->data() + static_cast<size_t>(which) * (staging_->bytes() / 2));
  }

  void bring(const Tensor& from, Twin& to) {
    const Shape& s = to.desc.shape;
    if (from.desc.channels_last) {
      channels_last_to_planar(device_.stream(), from, staging(0));
      device_.stream().to_host(planar_.data(), staging(0), s.count() * sizeof(float));
    } else {
      device_.stream().to_host(planar_.data(), from.data, s.count() * sizeof(float));
    }
    device_.synchronize();
    std::ranges::fill(to.memory, 0.0f);
    move_planar(to, [&](float& value, size_t i) { value = planar_[i]; });
  }

  void send(Twin& from, const Tensor& to, bool add) {
    const Shape& s = from.desc.shape;
    move_planar(from, [&](const float& value, size_t i) { planar_[i] = value; });
    if (!to.desc.channels_last) {
      ensure(!add, "plain tensors are not added to");
      device_.stream().to_device(to.data, planar_.data(), s.count() * sizeof(float));
      return;
    }
    if (add) {
      std::vector<float> there(s.count());
      channels_last_to_planar(device_.stream(), to, staging(1));
      device_.stream().to_host(there.data(), staging(1), s.count() * sizeof(float));
      device_.synchronize();
      for (size_t i = 0; i < there.size(); ++i) planar_[i] += there[i];
    }
    device_.stream().to_device(staging(0), planar_.data(), s.count() * sizeof(float));
    planar_to_channels_last(device_.stream(), staging(0), to);
  }

  // body(value, index in planar order)
  template <class Body>
  static void move_planar(Twin& twin, const Body& body) {
    const Tensor t = twin.tensor();
    const Shape& s = twin.desc.shape;
    size_t i = 0;
    for (int n = 0; n < s.n; ++n)
      for (int c = 0; c < s.c; ++c)
        for (int y = 0; y < s.h; ++y)
          for (int x = 0; x < s.w; ++x, ++i) body(t.at(n, c, y, x), i);
  }

  // Parameters, on the host for this call.
  void begin(const Io& io) {
    values_.resize(io.params.size());
    grads_.resize(io.params.size());
    for (size_t i = 0; i < io.params.size(); ++i) {
      values_[i].resize(io.params[i].value.size());
      grads_[i].resize(io.params[i].grad.size());
      device_.stream().to_host(values_[i].data(), io.params[i].value.data(), values_[i].size() * sizeof(float));
      device_.stream().to_host(grads_[i].data(), io.params[i].grad.data(), grads_[i].size() * sizeof(float));
    }
    if (io.norm_updates && io.norm) device_.stream().to_host(&io.norm->updates, io.norm_updates, sizeof io.norm->updates);
    device_.synchronize();
    before_ = values_;
  }

  // What the kernel changed goes back: running statistics, gradients.
  void end(const Io& io, bool backward) {
    for (size_t i = 0; i < io.params.size(); ++i) {
      if (values_[i] != before_[i]) device_.stream().to_device(io.params[i].value.data(), values_[i].data(), values_[i].size() * sizeof(float));
      if (backward) device_.stream().to_device(io.params[i].grad.data(), grads_[i].data(), grads_[i].size() * sizeof(float));
    }
    if (io.norm_updates && io.norm) device_.stream().to_device(io.norm_updates, &io.norm->updates, sizeof io.norm->updates);
    device_.synchronize();
  }

  void fetch_saved(const Io& io) {
    for (size_t i = 0; i < saved_.size(); ++i)
      if (io.saved[i]) device_.stream().to_host(saved_[i].data(), io.saved[i], needs_.saved[i]);
    device_.synchronize();
  }
  void send_saved(const Io& io) {
    for (size_t i = 0; i < saved_.size(); ++i)
      if (io.saved[i]) device_.stream().to_device(io.saved[i], saved_[i].data(), needs_.saved[i]);
  }

  Io host_io(const Io& io, const Pass&) {
    tensors_.clear(), gradients_.clear(), saved_views_.clear(), params_.clear();
    for (size_t i = 0; i < x_.size(); ++i) {
      tensors_.push_back(x_[i].tensor());
      gradients_.push_back({dx_[i].desc, !io.dx.empty() && io.dx[i].data ? dx_[i].memory.data() : nullptr});
    }
    for (AlignedFloats& saved : saved_) saved_views_.push_back(reinterpret_cast<std::byte*>(saved.data()));
    for (size_t i = 0; i < io.params.size(); ++i) params_.push_back({values_[i], grads_[i]});
    Io host = io;
    host.x = tensors_, host.dx = gradients_, host.saved = saved_views_, host.params = params_;
    host.y = y_[0].tensor(), host.dy = io.dy.data ? y_[1].tensor() : Tensor{y_[1].desc, nullptr};
    host.loss = io.loss ? &last_ : nullptr;
    host.scratch = reinterpret_cast<std::byte*>(scratch_.data());
    return host;
  }

  Device& device_;
  KernelArgs args_;
  std::unique_ptr<Kernel> kernel_;
  Needs needs_;
  std::vector<TensorDesc> x_descs_;
  TensorDesc y_desc_;
  std::vector<Twin> x_, dx_, y_;   // y_: y, dy
  std::vector<float> planar_;
  std::unique_ptr<DeviceMemory> staging_;
  std::vector<AlignedFloats> saved_;
  AlignedFloats scratch_;
  std::vector<std::vector<float>> values_, grads_, before_;   // of the parameters
  std::vector<Tensor> tensors_, gradients_;
  std::vector<std::byte*> saved_views_;
  std::vector<ParamView> params_;
  LossReport last_, sum_;
};

}  // namespace

std::unique_ptr<Kernel> host_fallback(const Layer& layer, CpuCompiler compile, cpu::Device& host, Device& device, const KernelArgs& args) {
  return std::make_unique<HostFallback>(layer, compile, host, device, args);
}

}  // namespace dn::cuda
