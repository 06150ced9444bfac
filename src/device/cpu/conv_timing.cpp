// Which algorithm: measured once per shape and direction, then remembered (conv_choice.h).
#include <hwy/cache_control.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "device/cpu/arena.h"
#include "device/cpu/conv_choice.h"
#include "device/cpu/onednn.h"
#include "device/cpu/parallel.h"

namespace dn::cpu {
namespace {

using dnnl::memory;

std::string key_of(const Device& device, const ConvShape& shape, ConvDirection direction, const ConvOptions& options) {
  const char* names[] = {"forward", "backward-data", "backward-weights"};
  const std::string what = options.inference ? concat("inference ", options.post_ops_name) : names[static_cast<int>(direction)];
  return concat(what, " ", shape.text(), " t", device.threads());
}

// Winograd F(4x4,3x3) exists for 3x3, stride 1, one group; asking oneDNN for anything else only costs time.
bool winograd_possible(const ConvShape& s) { return s.size == 3 && s.stride_x == 1 && s.stride_y == 1 && s.groups == 1 && s.dilation == 1; }

// Above this a scratchpad is most of what a small network needs at all; the last quarter of a layer's time is not worth it.
constexpr size_t kMaxWinogradScratch = size_t{128} << 20;

// Buffers of one timed convolution. They come from the system and go back to it: this happens before the plan's own memory is taken.
class TimingBuffers {
 public:
  TimingBuffers(Device& device, const ConvShape& shape, const ConvPrimitive& conv) : threads_(device.threads()) {
    const size_t sizes[] = {conv.src.get_size(), conv.weights.get_size(), conv.dst.get_size(), bias_desc(shape).get_size(), conv.scratch_bytes};
    size_t total = 0;
    for (const size_t size : sizes) total += round_up(size, size_t{4096});
    arena_ = Arena(total);
    memory* const views[] = {&src, &weights, &dst, &bias, &scratchpad};
    const memory::desc descs[] = {conv.src, conv.weights, conv.dst, bias_desc(shape), scratch_desc(conv.scratch_bytes)};
    size_t at = 0;
    for (int i = 0; i < 5; ++i) {
      *views[i] = view(device, descs[i], arena_.data() + at);
      if (i < 4) std::fill_n(reinterpret_cast<float*>(arena_.data() + at), sizes[i] / sizeof(float), i == 1 ? .01f : .5f);
      at += round_up(sizes[i], size_t{4096});
    }
    bytes_ = at;
  }

  void flush() const {
    parallel_pieces(threads_, bytes_, size_t{1} << 20, [this](size_t first, size_t last) {
      for (; first < last; first += 64) hwy::FlushCacheline(arena_.data() + first);
    });
  }

  memory src, weights, dst, bias, scratchpad;

 private:
  int threads_;
  Arena arena_;
  size_t bytes_ = 0;
};

}  // namespace

double time_convolution(Device& device, const ConvShape& shape, ConvDirection direction, const ConvPrimitive& conv, Caches caches,
                        const std::function<void(float*)>& sweep) {
  const TimingBuffers b(device, shape, conv);
  std::unordered_map<int, memory> args{{DNNL_ARG_SCRATCHPAD, b.scratchpad}, {DNNL_ARG_BIAS, b.bias}};
  if (direction == ConvDirection::forward)
    args.insert({{DNNL_ARG_SRC, b.src}, {DNNL_ARG_WEIGHTS, b.weights}, {DNNL_ARG_DST, b.dst}});
  else if (direction == ConvDirection::backward_data)
    args.insert({{DNNL_ARG_DIFF_SRC, b.src}, {DNNL_ARG_WEIGHTS, b.weights}, {DNNL_ARG_DIFF_DST, b.dst}});
  else
    args.insert({{DNNL_ARG_SRC, b.src}, {DNNL_ARG_DIFF_WEIGHTS, b.weights}, {DNNL_ARG_DIFF_DST, b.dst}});
  constexpr int kRuns = 5;
  std::vector<double> seconds;
  for (int run = 0; run <= kRuns; ++run) {
    if (caches == Caches::cold) b.flush();
    const auto start = std::chrono::steady_clock::now();
    conv.primitive.execute(device.onednn().stream, args);
    device.onednn().stream.wait();
    if (sweep) sweep(static_cast<float*>(b.dst.get_data_handle()));
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin() + 1, seconds.end());  // the first run meets fresh pages
  return seconds[1 + kRuns / 2];
}

ConvPrimitive make_convolution(Device& device, const ConvShape& shape, ConvDirection direction, const ConvOptions& options) {
  const bool allowed = device.convolution() != ConvAlgorithm::direct && winograd_possible(shape);
  ConvPrimitive winograd = allowed ? try_convolution(device, shape, direction, true, options) : ConvPrimitive{};
  if (allowed && !winograd.primitive && options.sweep) {
    ConvOptions bare = options;
    bare.attributes = {};
    winograd = try_convolution(device, shape, direction, true, bare);
    winograd.post_ops = false;
  }
  if (winograd.primitive && device.convolution() == ConvAlgorithm::winograd) return winograd;
  if (winograd.scratch_bytes > kMaxWinogradScratch) winograd = {};
  ConvPrimitive direct = try_convolution(device, shape, direction, false, options);
  if (!direct.primitive) fail("oneDNN has no convolution for ", shape.text());
  if (!winograd.primitive) return direct;
  const std::string key = key_of(device, shape, direction, options);
  std::optional<bool> choice = remembered_choice(key);
  if (!choice) {
    const double with = time_convolution(device, shape, direction, winograd, Caches::cold, winograd.post_ops ? nullptr : options.sweep);
    choice = with < time_convolution(device, shape, direction, direct);
    remember_choice(key, *choice);
  }
  return *choice ? winograd : direct;
}

}  // namespace dn::cpu
