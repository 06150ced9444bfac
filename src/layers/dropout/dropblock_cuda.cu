// Rectangles in three sweeps, forward and backward alike: along rows, the places that the middle of a rectangle reaches within its row; along columns,
// those that such a place reaches, which are dropped, and how many they are; then the values, which grow by what is left of their image. The mask is in
// the scratch, a bit for each channel. The size of rectangles and their share follow from the progress of the training in double, so the host uploads them.
#include "layers/dropout/dropblock_cuda.h"

#include "device/cuda/launch.h"
#include "nn/cuda/eights.h"

namespace dn {
namespace {

using cuda::Eight;
using cuda::kEight;
using cuda::View;

// Of the pass, on the device.
struct Rectangles {
  int width = 1, height = 1;
  uint32_t threshold = 0;
};

constexpr int kBlockThreads = 256, kEights = 4 * kBlockThreads;  // eights of a block

// What the sweeps know of a map. Blocks: x = part of the image, y = image.
struct Map {
  int h, w, c, groups;
  DN_HD size_t eights() const { return static_cast<size_t>(h) * static_cast<size_t>(w) * static_cast<size_t>(groups); }
  // body(eight of the image, row, column, group) for those of the thread.
  template <class Body>
  DN_HD void each_eight(const cuda::Place& place, const Body& body) const {
    const size_t end = eights(), past = static_cast<size_t>(place.x + 1) * kEights;
    for (size_t i = static_cast<size_t>(place.x) * kEights + static_cast<size_t>(place.thread); i < end && i < past; i += kBlockThreads) {
      const int pixel = static_cast<int>(i / static_cast<size_t>(groups));
      body(i, pixel / w, pixel % w, static_cast<int>(i % static_cast<size_t>(groups)));
    }
  }
};

// Place j is reached by middles within [j - after, j + before].
struct Reach {
  int before, after;
  DN_HD explicit Reach(int side) : before(side / 2), after(side - 1 - side / 2) {}
  DN_HD int first(int j) const { return j > after ? j - after : 0; }
  DN_HD int last(int j, int end) const { return j + before < end ? j + before : end - 1; }
};

struct RowsBody {
  static constexpr int kThreads = kBlockThreads, kPhases = 2;
  struct Shared {
    DropoutMask mask;
  };
  struct State {};
  Map map;
  const Rectangles* rectangles;
  const cuda::PassNumbers* numbers;
  int layer;
  uint8_t* rows;
  template <int phase>
  DN_HD void run(const cuda::Place& place, State&, Shared& shared) const {
    if constexpr (phase == 0) {
      if (place.thread == 0)
        shared.mask =
            DropoutMask(numbers->seed, numbers->iteration, layer, numbers->first_image + static_cast<uint64_t>(place.y), rectangles->threshold);
    } else {
      const Reach reach(rectangles->width);
      map.each_eight(place, [&](size_t i, int y, int x, int group) {
        unsigned bits = 0;
        for (int k = 0; k < kEight && group * kEight + k < map.c; ++k) {
          const uint32_t row =
              (static_cast<uint32_t>(group * kEight + k) * static_cast<uint32_t>(map.h) + static_cast<uint32_t>(y)) * static_cast<uint32_t>(map.w);
          for (int u = reach.first(x); u <= reach.last(x, map.w); ++u)
            bits |= static_cast<unsigned>(shared.mask.drops(row + static_cast<uint32_t>(u))) << k;
        }
        rows[static_cast<size_t>(place.y) * map.eights() + i] = static_cast<uint8_t>(bits);
      });
    }
  }
};

struct ColumnsBody {
  static constexpr int kThreads = kBlockThreads, kPhases = 2;
  struct Shared {
    int dropped[kThreads];
  };
  struct State {};
  Map map;
  const Rectangles* rectangles;
  const uint8_t* rows;
  uint8_t* dropped;
  int* counts;  // per image and block
  int blocks;   // of an image
  template <int phase>
  DN_HD void run(const cuda::Place& place, State&, Shared& shared) const {
    if constexpr (phase == 0) {
      const Reach reach(rectangles->height);
      int count = 0;
      const size_t image = static_cast<size_t>(place.y) * map.eights();
      map.each_eight(place, [&](size_t i, int y, int x, int group) {
        unsigned bits = 0;
        for (int v = reach.first(y); v <= reach.last(y, map.h); ++v)
          bits |= rows[image + (static_cast<size_t>(v) * static_cast<size_t>(map.w) + static_cast<size_t>(x)) * static_cast<size_t>(map.groups) +
                       static_cast<size_t>(group)];
        dropped[image + i] = static_cast<uint8_t>(bits);
        for (int k = 0; k < kEight; ++k) count += static_cast<int>(bits >> k & 1u);
      });
      shared.dropped[place.thread] = count;
    } else if (place.thread == 0) {
      int count = 0;
      for (const int of_thread : shared.dropped) count += of_thread;
      counts[place.y * blocks + place.x] = count;
    }
  }
};

struct ApplyBody {
  static constexpr int kThreads = kBlockThreads, kPhases = 3;
  struct Shared {
    int dropped[kThreads];
    float scale;
  };
  struct State {};
  Map map;
  const uint8_t* dropped;
  const int* counts;
  int blocks;
  View from, to;
  bool add;
  template <int phase>
  DN_HD void run(const cuda::Place& place, State&, Shared& shared) const {
    if constexpr (phase == 0) {
      int count = 0;
      for (int b = place.thread; b < blocks; b += kThreads) count += counts[place.y * blocks + b];
      shared.dropped[place.thread] = count;
    } else if constexpr (phase == 1) {
      if (place.thread != 0) return;
      const double all = static_cast<double>(map.h) * map.w * map.c;
      double left = all;
      for (const int count : shared.dropped) left -= count;
      shared.scale = left > 0 ? static_cast<float>(all / left) : 0.f;
    } else {
      map.each_eight(place, [&](size_t i, int y, int x, int group) {
        const unsigned bits = dropped[static_cast<size_t>(place.y) * map.eights() + i];
        Eight value = from.get_eight(from.at(place.y, y, x, group * kEight));
        for (int k = 0; k < kEight; ++k) value.v[k] = bits >> k & 1u ? 0 : value.v[k] * shared.scale;
        cuda::put_eight(to, to.at(place.y, y, x, group * kEight), value, add);
      });
    }
  }
};

struct CopyBody {
  View x, y;
  DN_HD void operator()(size_t i) const {
    const auto [pixel, channel] = cuda::eight_place(y, i);
    y.set_eight(y.at(pixel, channel), x.get_eight(x.at(pixel, channel)));
  }
};

class DropblockCuda : public Kernel {
 public:
  DropblockCuda(const Dropout& layer, cuda::Device& device, const KernelArgs& args)
      : device_(device), args_(args), layer_(layer.index()), spec_(layer.spec()), rectangles_(device.allocate(sizeof(Rectangles))) {
    const Shape& s = args.y.shape;
    map_ = {s.h, s.w, s.c, args.y.padded_channels() / kEight};
    blocks_ = static_cast<int>((map_.eights() + kEights - 1) / kEights);
  }
  Needs needs() const override {
    if (!args_.training) return {};
    const size_t bytes = 2 * mask_bytes() + static_cast<size_t>(args_.y.shape.n) * static_cast<size_t>(blocks_) * sizeof(int);
    return {.forward_scratch = bytes, .backward_scratch = args_.backward ? bytes : 0, .kept = sizeof(Rectangles)};
  }

  void prepare(const Io&, const Pass& pass) override {
    if (!pass.training) return;
    const DropRectangle r = drop_rectangle(spec_, args_.y.shape, pass.progress);
    const Rectangles now{r.width, r.height, DropoutMask::threshold_for(r.seeds)};
    device_.stream().to_device(rectangles_->data(), &now, sizeof now);
  }
  void forward(const Io& io, const Pass& pass) override {
    const View y = cuda::view(io.y);
    if (pass.training)
      apply(io, io.x[0], io.y, false);
    else
      cuda::for_each(device_.stream(), y.eights(), CopyBody{cuda::view(io.x[0]), y});
  }
  void backward(const Io& io, const Pass&) override {
    if (args_.dx[0] != Write::none) apply(io, io.dy, io.dx[0], args_.dx[0] == Write::accumulate);
  }

 private:
  size_t mask_bytes() const { return round_up(static_cast<size_t>(args_.y.shape.n) * map_.eights(), size_t{16}); }

  void apply(const Io& io, const Tensor& from, const Tensor& to, bool add) const {
    uint8_t* const rows = reinterpret_cast<uint8_t*>(io.scratch);
    uint8_t* const dropped = rows + mask_bytes();
    int* const counts = reinterpret_cast<int*>(dropped + mask_bytes());
    const auto* rectangles = reinterpret_cast<const Rectangles*>(rectangles_->data());
    const cuda::Grid grid{blocks_, args_.y.shape.n};
    cuda::launch_blocks(device_.stream(), grid, RowsBody{map_, rectangles, device_.numbers(), layer_, rows});
    cuda::launch_blocks(device_.stream(), grid, ColumnsBody{map_, rectangles, rows, dropped, counts, blocks_});
    cuda::launch_blocks(device_.stream(), grid, ApplyBody{map_, dropped, counts, blocks_, cuda::view(from), cuda::view(to), add});
  }

  cuda::Device& device_;
  KernelArgs args_;
  int layer_;
  DropoutSpec spec_;
  std::unique_ptr<DeviceMemory> rectangles_;
  Map map_{};
  int blocks_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> compile_dropblock(const Dropout& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<DropblockCuda>(layer, device, args);
}

}  // namespace dn
