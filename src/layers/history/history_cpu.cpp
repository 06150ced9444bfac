// [history] on the CPU: copies between channel-blocked tensors. Keeps the last frames of a call for the next.
#include "device/cpu/device.h"
#include "layers/history/history.h"
#include "nn/channels.h"
#include "nn/normalize.h"
#include "nn/part_kernel.h"

namespace dn {
namespace {

class HistoryCpu : public Kernel {
 public:
  HistoryCpu(const History& layer, cpu::Device& device, const KernelArgs& args)
      : threads_(device.threads()),
        args_(args),
        size_(layer.spec().history_size),
        steps_(args.training ? layer.spec().time_steps : 1),
        past_(args.x[0].dense()) {
    past_.shape.n = past_.shape.n / steps_ * (size_ - 1);
    before_.resize(past_.count());
  }

  Needs needs() const override {
    Needs n;
    n.kept = before_.bytes() + past_.bytes();
    return n;
  }

  void forward(const Io& io, const Pass& pass) override {
    const Tensor& x = io.x[0];
    const Tensor past{past_, before_.begin(pass)};
    const int sequences = x.desc.shape.n / steps_, channels = x.desc.shape.c;
    for (int n = 0; n < x.desc.shape.n; ++n)
      for (int back = 0; back < size_; ++back) {
        const int from = n - back * sequences;  // below 0: so many images before the begin of the call
        if (from >= 0)
          copy_channels(threads_, x, from, 0, io.y, n, back * channels, channels, false);
        else
          copy_channels(threads_, past, past_.shape.n + from, 0, io.y, n, back * channels, channels, false);
      }
    clear_padding(threads_, io.y);
    remember(x, past, pass);
  }

  void backward(const Io& io, const Pass&) override {
    const Tensor& dx = io.dx[0];
    if (!dx) return;
    const int images = dx.desc.shape.n, sequences = images / steps_, channels = dx.desc.shape.c;
    for (int n = 0; n < images; ++n)
      for (int back = 0; back < size_ && n + back * sequences < images; ++back) {
        const bool add = back > 0 || args_.dx[0] == Write::accumulate;
        copy_channels(threads_, io.dy, n + back * sequences, back * channels, dx, n, 0, channels, add);
      }
    if (args_.dx[0] == Write::overwrite) clear_padding(threads_, dx);
  }

 private:
  // The last size - 1 frames of each sequence, those in front of this call included, oldest first.
  void remember(const Tensor& x, const Tensor& past, const Pass& pass) {
    next_.resize(past_.count());
    const size_t image = past_.image_stride();
    const int frames = x.desc.shape.n + past_.shape.n;
    for (int k = 0; k < past_.shape.n; ++k) {
      const int from = frames - past_.shape.n + k - past_.shape.n;  // in x; below 0: in the past
      const float* source =
          from >= 0 ? x.data + static_cast<size_t>(from) * x.desc.image_stride() : past.data + static_cast<size_t>(past_.shape.n + from) * image;
      copy_to(threads_, next_.data() + static_cast<size_t>(k) * image, source, image);
    }
    before_.end(threads_, next_.data(), pass);
  }

  int threads_;
  KernelArgs args_;
  int size_, steps_;
  TensorDesc past_;  // the frames in front of a call, time outermost, the newest last
  CarriedState before_;
  AlignedFloats next_;
};

}  // namespace

std::unique_ptr<Kernel> History::compile_cpu(const History& layer, cpu::Device& device, const KernelArgs& args) {
  check_whole_sequences(layer, args, layer.spec().time_steps);
  return std::make_unique<HistoryCpu>(layer, device, args);
}

}  // namespace dn
