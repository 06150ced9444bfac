// See blur.h. Two sweeps in one: a row is mixed from the rows around it, into a work row whose ends are then continued by r pixels, and that row is
// mixed from its own neighbours.
#include "image/blur.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/blur.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace dn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// out[x] = sum_i weights[i] rows[i][x], not above 1 (rounded weights may add up to a little more); sources and `out` have room for a whole vector beyond `width`.
void mix_taps(const float* const* rows, const float* weights, size_t taps, size_t width, float* out) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  for (size_t x = 0; x < width; x += lanes) {
    auto sum = hn::Zero(d);
    for (size_t i = 0; i < taps; ++i) sum = hn::MulAdd(hn::Set(d, weights[i]), hn::LoadU(d, rows[i] + x), sum);
    hn::StoreU(hn::Min(sum, hn::Set(d, 1.0f)), d, out + x);
  }
}

}  // namespace dn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {

HWY_EXPORT(mix_taps);

namespace {

constexpr size_t kVector = 64;  // floats: at least one vector of any instruction set

PixelRect cut(const PixelRect& r, const PlanarView& view) {
  return {std::max(r.left, 0), std::max(r.top, 0), std::min(r.right, view.width), std::min(r.bottom, view.height)};
}

// One plane: `plane` to itself through a copy of it, `copy`, whose rows are `pitch` floats apart.
void blur_plane(float* plane, const PlanarView& view, const std::vector<float>& weights, std::vector<float>& copy, size_t pitch) {
  const size_t width = static_cast<size_t>(view.width), radius = weights.size() / 2;
  const auto mix_taps = HWY_DYNAMIC_DISPATCH(mix_taps);
  for (int y = 0; y < view.height; ++y)
    std::copy_n(plane + static_cast<size_t>(y) * view.row_stride, width, copy.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(y) * pitch));
  std::vector<float> row(width + 2 * radius + kVector), out(width + kVector);
  std::vector<const float*> rows(weights.size()), shifted(weights.size());
  for (size_t i = 0; i < shifted.size(); ++i) shifted[i] = row.data() + i;
  for (int y = 0; y < view.height; ++y) {
    for (size_t i = 0; i < rows.size(); ++i) {
      const int source = std::clamp(y + static_cast<int>(i) - static_cast<int>(radius), 0, view.height - 1);
      rows[i] = copy.data() + static_cast<size_t>(source) * pitch;
    }
    mix_taps(rows.data(), weights.data(), weights.size(), width, row.data() + radius);
    std::fill_n(row.begin(), radius, row[radius]);
    std::fill_n(row.begin() + static_cast<std::ptrdiff_t>(radius + width), radius, row[radius + width - 1]);
    mix_taps(shifted.data(), weights.data(), weights.size(), width, out.data());
    std::copy_n(out.begin(), width, plane + static_cast<size_t>(y) * view.row_stride);
  }
}

}  // namespace

std::vector<float> gaussian_window(int size) {
  ensure(size > 0 && size % 2 == 1, "a blur's window is odd");
  const int radius = size / 2;
  const double sigma = .3 * (radius - 1) + .8;
  std::vector<double> exact;
  double sum = 0;
  for (int i = -radius; i <= radius; ++i) sum += exact.emplace_back(std::exp(-i * i / (2 * sigma * sigma)));
  std::vector<float> window;
  for (const double w : exact) window.push_back(static_cast<float>(w / sum));
  return window;
}

void blur(const PlanarView& view, int channels, int size, std::span<const PixelRect> sharp) {
  const std::vector<float> weights = gaussian_window(size);
  const size_t pitch = static_cast<size_t>(view.width) + kVector;
  std::vector<float> copy(pitch * static_cast<size_t>(view.height));
  for (int c = 0; c < channels; ++c) {
    float* plane = view.data + static_cast<size_t>(c) * view.plane_stride;
    blur_plane(plane, view, weights, copy, pitch);
    for (const PixelRect& whole : sharp) {
      const PixelRect r = cut(whole, view);
      for (int y = r.top; y < r.bottom && r.left < r.right; ++y)
        std::copy_n(copy.data() + static_cast<size_t>(y) * pitch + r.left, r.right - r.left,
                    plane + static_cast<size_t>(y) * view.row_stride + r.left);
    }
  }
}

void blur_reference(const PlanarView& view, int channels, int size, std::span<const PixelRect> sharp) {
  const std::vector<float> weights = gaussian_window(size);
  const int radius = size / 2;
  for (int c = 0; c < channels; ++c) {
    float* plane = view.data + static_cast<size_t>(c) * view.plane_stride;
    const auto at = [&](int x, int y) -> float& { return plane[static_cast<size_t>(y) * view.row_stride + static_cast<size_t>(x)]; };
    std::vector<double> out;
    for (int y = 0; y < view.height; ++y)
      for (int x = 0; x < view.width; ++x) {
        double sum = 0;
        for (int j = -radius; j <= radius; ++j)
          for (int i = -radius; i <= radius; ++i)
            sum += static_cast<double>(weights[static_cast<size_t>(i + radius)]) * static_cast<double>(weights[static_cast<size_t>(j + radius)]) *
                   static_cast<double>(at(std::clamp(x + i, 0, view.width - 1), std::clamp(y + j, 0, view.height - 1)));
        out.push_back(std::ranges::any_of(sharp, [&](const PixelRect& r) { return x >= r.left && x < r.right && y >= r.top && y < r.bottom; })
                          ? static_cast<double>(at(x, y))
                          : std::min(sum, 1.0));
      }
    for (int y = 0; y < view.height; ++y)
      for (int x = 0; x < view.width; ++x) at(x, y) = static_cast<float>(out[static_cast<size_t>(y * view.width + x)]);
  }
}

}  // namespace dn
#endif
