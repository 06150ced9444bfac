// [softmax] on a GPU: some threads, the lanes, share one softmax: a whole block where one is long, fewer where every pixel has its own. What lanes have
// is put together in two steps, in one order.
#include <cmath>

#include "device/cuda/launch.h"
#include "device/cuda/view.h"
#include "layers/softmax/softmax.h"
#include "nn/cuda/padding.h"

namespace dn {
namespace {

using cuda::Place;
using cuda::View;

constexpr int kBlockThreads = 256, kShares = 16;  // lanes are put together by so many of them

struct Layout {
  int groups, length, lanes;  // of an image; values of a softmax; threads of one
  bool spatial;
  DN_HD size_t items(const View& v) const {
    return static_cast<size_t>(v.n) * static_cast<size_t>(groups) * (spatial ? static_cast<size_t>(v.h) * static_cast<size_t>(v.w) : 1);
  }
  // The softmax of a thread.
  DN_HD size_t item(const Place& place) const {
    return static_cast<size_t>(place.x) * static_cast<size_t>(kBlockThreads / lanes) + static_cast<size_t>(place.thread / lanes);
  }
  // Its value k. An item is an image's group, or (image, group, pixel) with spatial.
  DN_HD size_t offset(const View& v, size_t item, int k) const {
    const size_t plane = static_cast<size_t>(v.h) * static_cast<size_t>(v.w);
    size_t pixel = 0, flat = 0;
    if (spatial) {
      pixel = item % plane, item /= plane;
      flat = (item % static_cast<size_t>(groups)) * static_cast<size_t>(length) + static_cast<size_t>(k);  // the channel
    } else {
      flat = (item % static_cast<size_t>(groups)) * static_cast<size_t>(length) + static_cast<size_t>(k);  // in [C,H,W]
      pixel = flat % plane, flat /= plane;
    }
    return v.at(item / static_cast<size_t>(groups) * plane + pixel, static_cast<int>(flat));
  }
};

// What a lane found; then what the first kShares lanes of a softmax put together.
struct Shares {
  float of_lane[kBlockThreads];
  float of_some[kBlockThreads];
  template <class Join>
  DN_HD void join(const Place& place, int lanes, const Join& with) {
    const int lane = place.thread % lanes, first = place.thread - lane;
    if (lane >= kShares) return;
    float value = of_lane[place.thread];
    for (int k = lane + kShares; k < lanes; k += kShares) value = with(value, of_lane[first + k]);
    of_some[place.thread] = value;
  }
  DN_HD float largest(const Place& place, int lanes) const {
    const float* some = of_some + (place.thread - place.thread % lanes);
    float value = some[0];
    for (int k = 1; k < kShares; ++k) value = value < some[k] ? some[k] : value;
    return value;
  }
  DN_HD float sum(const Place& place, int lanes) const {
    const float* some = of_some + (place.thread - place.thread % lanes);
    float value = 0;
    for (int k = 0; k < kShares; ++k) value += some[k];
    return value;
  }
};

struct SoftmaxBody {
  static constexpr int kThreads = kBlockThreads, kPhases = 5;
  struct Shared {
    Shares top, sum;
  };
  struct State {
    float top;
  };
  View x, y;
  Layout layout;
  float temperature;
  template <int phase>
  DN_HD void run(const Place& place, State& state, Shared& shared) const {
    const size_t item = layout.item(place);
    const int lane = place.thread % layout.lanes;
    if (item >= layout.items(x)) return;
    if constexpr (phase == 0) {
      float top = -INFINITY;
      for (int k = lane; k < layout.length; k += layout.lanes) {
        const float value = x.get(layout.offset(x, item, k));
        top = top < value ? value : top;
      }
      shared.top.of_lane[place.thread] = top;
    } else if constexpr (phase == 1) {
      shared.top.join(place, layout.lanes, [](float a, float b) { return a < b ? b : a; });
    } else if constexpr (phase == 2) {
      state.top = shared.top.largest(place, layout.lanes);
      float sum = 0;
      for (int k = lane; k < layout.length; k += layout.lanes) sum += power(x.get(layout.offset(x, item, k)), state.top);
      shared.sum.of_lane[place.thread] = sum;
    } else if constexpr (phase == 3) {
      shared.sum.join(place, layout.lanes, [](float a, float b) { return a + b; });
    } else {
      const float sum = shared.sum.sum(place, layout.lanes);
      for (int k = lane; k < layout.length; k += layout.lanes)
        y.set(layout.offset(y, item, k), power(x.get(layout.offset(x, item, k)), state.top) / sum);
    }
  }
  DN_HD float power(float value, float top) const { return std::exp((value - top) / temperature); }
};

struct SoftmaxBackwardBody {
  static constexpr int kThreads = kBlockThreads, kPhases = 3;
  struct Shared {
    Shares sum;
  };
  struct State {};
  View y, dy, dx;
  Layout layout;
  float temperature;
  bool add;
  template <int phase>
  DN_HD void run(const Place& place, State&, Shared& shared) const {
    const size_t item = layout.item(place);
    const int lane = place.thread % layout.lanes;
    if (item >= layout.items(y)) return;
    if constexpr (phase == 0) {
      float sum = 0;
      for (int k = lane; k < layout.length; k += layout.lanes) sum += dy.get(layout.offset(dy, item, k)) * y.get(layout.offset(y, item, k));
      shared.sum.of_lane[place.thread] = sum;
    } else if constexpr (phase == 1) {
      shared.sum.join(place, layout.lanes, [](float a, float b) { return a + b; });
    } else {
      const float mean = shared.sum.sum(place, layout.lanes);
      for (int k = lane; k < layout.length; k += layout.lanes) {
        const float gradient = y.get(layout.offset(y, item, k)) * (dy.get(layout.offset(dy, item, k)) - mean) / temperature;
        const size_t at = layout.offset(dx, item, k);
        dx.set(at, add ? dx.get(at) + gradient : gradient);
      }
    }
  }
};

class SoftmaxCuda : public Kernel {
 public:
  SoftmaxCuda(const Softmax& layer, cuda::Device& device, const KernelArgs& args)
      : device_(device), args_(args), temperature_(layer.spec().temperature) {
    const int groups = layer.spec().groups;
    const size_t values = layer.spec().spatial ? static_cast<size_t>(args.y.shape.c) : args.y.shape.per_image();
    layout_ = {groups, static_cast<int>(values / static_cast<size_t>(groups)), layer.spec().spatial ? kShares : kBlockThreads, layer.spec().spatial};
  }
  Needs needs() const override {
    Needs needs;
    needs.y_in_backward = args_.backward;
    return needs;
  }

  void forward(const Io& io, const Pass&) override {
    cuda::zero_padding(device_.stream(), io.y);
    const View x = cuda::view(io.x[0]);
    cuda::launch_blocks(device_.stream(), grid(x), SoftmaxBody{x, cuda::view(io.y), layout_, temperature_});
  }
  void backward(const Io& io, const Pass&) override {
    if (args_.dx[0] == Write::none) return;
    const bool add = args_.dx[0] == Write::accumulate;
    if (!add) cuda::zero_padding(device_.stream(), io.dx[0]);
    const View y = cuda::view(io.y);
    cuda::launch_blocks(device_.stream(), grid(y), SoftmaxBackwardBody{y, cuda::view(io.dy), cuda::view(io.dx[0]), layout_, temperature_, add});
  }

 private:
  cuda::Grid grid(const View& v) const {
    const size_t of_block = static_cast<size_t>(kBlockThreads / layout_.lanes);
    return {static_cast<int>((layout_.items(v) + of_block - 1) / of_block), 1};
  }

  cuda::Device& device_;
  KernelArgs args_;
  float temperature_;
  Layout layout_{};
};

}  // namespace

std::unique_ptr<Kernel> Softmax::compile_cuda(const Softmax& layer, cuda::Device& device, const KernelArgs& args) {
  layer.warn_of_training(args);
  return std::make_unique<SoftmaxCuda>(layer, device, args);
}

}  // namespace dn
