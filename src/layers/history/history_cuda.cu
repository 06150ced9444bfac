// [history] on a GPU: a thread makes eight channels of a pixel. The frames in front of a call are kept on the device, at one address, so that recorded
// passes find them.
#include "device/cuda/launch.h"
#include "layers/history/history.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::kEight;
using cuda::View;

// The frames in front of a call and those of a call, as one row of images: number -past.n .. x.n - 1.
struct Frames {
  View past, x;
  DN_HD float get(int frame, size_t pixel, int channel) const {
    const size_t plane = cuda::plane_of(x);
    return frame >= 0 ? x.get(x.at(static_cast<size_t>(frame) * plane + pixel, channel))
                      : past.get(past.at(static_cast<size_t>(past.n + frame) * plane + pixel, channel));
  }
  DN_HD Eight get_eight(int frame, size_t pixel, int channel) const {
    const size_t plane = cuda::plane_of(x);
    return frame >= 0 ? x.get_eight(x.at(static_cast<size_t>(frame) * plane + pixel, channel))
                      : past.get_eight(past.at(static_cast<size_t>(past.n + frame) * plane + pixel, channel));
  }
};

struct HistoryBody {
  Frames frames;
  View y;
  int sequences;
  DN_HD void operator()(size_t i) const {
    const auto [place, channel] = cuda::eight_place(y, i);
    const size_t plane = cuda::plane_of(y), pixel = place % plane;
    const int image = static_cast<int>(place / plane), channels = frames.x.c;
    Eight value{};
    if (channels % kEight == 0)
      value = frames.get_eight(image - channel / channels * sequences, pixel, channel % channels);
    else
      for (int k = 0; k < kEight && channel + k < y.c; ++k)
        value.v[k] = frames.get(image - (channel + k) / channels * sequences, pixel, (channel + k) % channels);
    y.set_eight(y.at(place, channel), value);
  }
};

struct HistoryBackwardBody {
  View dy, dx;
  int sequences, size;
  bool add;
  DN_HD void operator()(size_t i) const {
    const auto [place, channel] = cuda::eight_place(dx, i);
    const size_t plane = cuda::plane_of(dx);
    const int image = static_cast<int>(place / plane);
    Eight sum{};
    for (int back = 0; back < size && image + back * sequences < dx.n; ++back) {
      const size_t at = dy.at(place + static_cast<size_t>(back * sequences) * plane, back * dx.c + channel);
      if (dx.c % kEight == 0) {
        const Eight one = dy.get_eight(at);
        for (int k = 0; k < kEight; ++k) sum.v[k] += one.v[k];
      } else {
        for (int k = 0; k < kEight && channel + k < dx.c; ++k) sum.v[k] += dy.get(at + static_cast<size_t>(k));
      }
    }
    cuda::put_eight(dx, dx.at(place, channel), sum, add);
  }
};

// next = the last next.n of the frames.
struct RememberBody {
  Frames frames;
  View next;
  DN_HD void operator()(size_t i) const {
    const auto [place, channel] = cuda::eight_place(next, i);
    const size_t plane = cuda::plane_of(next);
    next.set_eight(next.at(place, channel), frames.get_eight(static_cast<int>(place / plane) - next.n + frames.x.n, place % plane, channel));
  }
};

class HistoryCuda : public Kernel {
 public:
  HistoryCuda(const History& layer, cuda::Device& device, const KernelArgs& args)
      : device_(device),
        args_(args),
        size_(layer.spec().history_size),
        steps_(args.training ? layer.spec().time_steps : 1),
        past_(args.x[0].dense()) {
    past_.shape.n = past_.shape.n / steps_ * (size_ - 1);
    begin_ = device.allocate(past_.bytes());
    end_ = device.allocate(past_.bytes());
  }
  Needs needs() const override {
    Needs n;
    n.kept = begin_->bytes() + end_->bytes();
    return n;
  }

  // A pass that is computed again finds the frames in front of it as they were.
  void forward(const Io& io, const Pass& pass) override {
    if (!pass.again) {
      if (pass.continues)
        device_.stream().on_device(begin_->data(), end_->data(), begin_->bytes());
      else
        device_.stream().fill(begin_->data(), 0, begin_->bytes());
    }
    const View y = cuda::view(io.y), next = view_of(*end_);
    const Frames frames{view_of(*begin_), cuda::view(io.x[0])};
    cuda::for_each(device_.stream(), y.eights(), HistoryBody{frames, y, sequences()});
    if (!pass.again) cuda::for_each(device_.stream(), next.eights(), RememberBody{frames, next});
  }
  void backward(const Io& io, const Pass&) override {
    if (args_.dx[0] == Write::none) return;
    const View dx = cuda::view(io.dx[0]);
    cuda::for_each(device_.stream(), dx.eights(), HistoryBackwardBody{cuda::view(io.dy), dx, sequences(), size_, args_.dx[0] == Write::accumulate});
  }

 private:
  int sequences() const { return args_.y.shape.n / steps_; }
  View view_of(const DeviceMemory& memory) const { return cuda::view({past_, reinterpret_cast<float*>(memory.data())}); }

  cuda::Device& device_;
  KernelArgs args_;
  int size_, steps_;
  TensorDesc past_;  // the frames in front of a call, time outermost, the newest last
  std::unique_ptr<DeviceMemory> begin_, end_;
};

}  // namespace

std::unique_ptr<Kernel> History::compile_cuda(const History& layer, cuda::Device& device, const KernelArgs& args) {
  if (args.training && args.x[0].shape.n % layer.spec().time_steps != 0) return nullptr;  // refused in one place, by the CPU's kernel
  return std::make_unique<HistoryCuda>(layer, device, args);
}

}  // namespace dn
