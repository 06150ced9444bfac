// The sweep of resize.h. Per output row: the two source rows are mixed into one row of interleaved floats (contiguous loads), then each output
// pixel gathers its two neighbours from that row, is distorted and stored; everything in between stays in the first-level cache.
#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "image/pixel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/resize.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "image/colour-inl.h"

#ifndef DN_IMAGE_RESIZE_ONCE_
#define DN_IMAGE_RESIZE_ONCE_
namespace dn::resize_detail {

constexpr size_t kPad = 64;  // floats after the end of work rows and tables: at least one vector of any instruction set

struct Columns {
  std::vector<int32_t> first, second;  // offset in the work row of channel 0 of the left and the right neighbour
  std::vector<float> weight;
  int from = 0, to = 0;  // source columns [from, to) are needed
  bool fills = false;    // some column is outside
};

}  // namespace dn::resize_detail
#endif

HWY_BEFORE_NAMESPACE();
namespace dn::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using resize_detail::Columns;

// out[i] = a[i] + weight (b[i] - a[i]); `out` has room for a whole vector beyond count.
void mix_rows(const uint8_t* a, const uint8_t* b, float weight, size_t count, float* out) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<uint8_t, decltype(d)> d8;
  const hn::RebindToSigned<decltype(d)> d32;
  const size_t lanes = hn::Lanes(d);
  const auto w = hn::Set(d, weight);
  const auto mix = [&](const uint8_t* pa, const uint8_t* pb, float* to) HWY_ATTR {
    const auto va = hn::ConvertTo(d, hn::PromoteTo(d32, hn::LoadU(d8, pa))), vb = hn::ConvertTo(d, hn::PromoteTo(d32, hn::LoadU(d8, pb)));
    hn::StoreU(hn::MulAdd(w, hn::Sub(vb, va), va), d, to);
  };
  size_t i = 0;
  for (; i + lanes <= count; i += lanes) mix(a + i, b + i, out + i);
  if (i == count) return;
  uint8_t rest_a[resize_detail::kPad] = {}, rest_b[resize_detail::kPad] = {};
  std::memcpy(rest_a, a + i, count - i);
  std::memcpy(rest_b, b + i, count - i);
  mix(rest_a, rest_b, out + i);
}

// One output row of `width` pixels from the work row; planes are `plane` floats apart.
template <int kChannels, bool kDistort>
HWY_INLINE void emit(const float* row, const Columns& columns, const PixelDistortion& colour, size_t width, float* out, size_t plane) {
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> d32;
  using V = hn::Vec<decltype(d)>;
  const size_t lanes = hn::Lanes(d);
  const V scale = hn::Set(d, 1.0f / 255.0f), full = hn::Set(d, 255.0f);
  const V shift = hn::Set(d, colour.shift), saturation = hn::Set(d, colour.saturation), exposure = hn::Set(d, colour.exposure);
  HWY_ALIGN float rest[3][resize_detail::kPad];
  for (size_t x = 0; x < width; x += lanes) {
    const auto first = hn::LoadU(d32, &columns.first[x]), second = hn::LoadU(d32, &columns.second[x]);
    const V w = hn::LoadU(d, &columns.weight[x]);
    const auto sample = [&](int c) HWY_ATTR {
      const V a = hn::GatherIndex(d, row + c, first), b = hn::GatherIndex(d, row + c, second);
      return hn::MulAdd(w, hn::Sub(b, a), a);
    };
    Rgb<V> value{sample(0), hn::Zero(d), hn::Zero(d)};
    if constexpr (kChannels == 3) {
      value.g = sample(1);
      value.b = sample(2);
      if constexpr (kDistort) value = distort(d, value, shift, saturation, exposure, full);
    } else if constexpr (kDistort) {
      value.r = hn::Min(hn::Mul(value.r, exposure), full);
    }
    const bool whole = x + lanes <= width;
    const auto store = [&](V v, size_t c) HWY_ATTR {
      v = hn::Mul(v, scale);
      if (whole) {
        hn::StoreU(v, d, out + c * plane + x);
      } else {
        hn::StoreU(v, d, rest[c]);
        std::memcpy(out + c * plane + x, rest[c], (width - x) * sizeof(float));
      }
    };
    store(value.r, 0);
    if constexpr (kChannels == 3) {
      store(value.g, 1);
      store(value.b, 2);
    }
  }
}

void emit_row(const float* row, const Columns& columns, const PixelDistortion& colour, int channels, size_t width, float* out, size_t plane) {
  if (channels == 3 && colour.neutral) return emit<3, false>(row, columns, colour, width, out, plane);
  if (channels == 3) return emit<3, true>(row, columns, colour, width, out, plane);
  if (colour.neutral) return emit<1, false>(row, columns, colour, width, out, plane);
  emit<1, true>(row, columns, colour, width, out, plane);
}

}  // namespace dn::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace dn {

HWY_EXPORT(mix_rows);
HWY_EXPORT(emit_row);

namespace {

using resize_detail::Columns;
using resize_detail::kPad;

std::vector<Tap> taps_of(const SampledAxis& axis, int count) {
  std::vector<Tap> taps;
  for (int i = 0; i < count; ++i) taps.push_back(axis.tap(i));
  return taps;
}

// The source pixels [from, to) of an axis that are needed.
struct Range {
  int from = 0, to = 0;
};
Range needed(const std::vector<Tap>& taps, int side) {
  Range range{side, 0};
  for (const Tap& t : taps) {
    if (t.outside) continue;
    range.from = std::min(range.from, t.low);
    range.to = std::max(range.to, std::min(t.low + 2, side));
  }
  range.from = std::min(range.from, range.to);
  return range;
}

// The work row holds `channels` floats of fill colour, then the source columns [from, to).
Columns make_columns(const Image& image, const Sampling& sampling, int width) {
  Columns columns;
  const std::vector<Tap> taps = taps_of(sampled_columns(image.width, sampling, width), width);
  const Range range = needed(taps, image.width);
  columns.from = range.from, columns.to = range.to;
  const size_t padded = taps.size() + kPad;
  columns.first.assign(padded, 0);
  columns.second.assign(padded, 0);
  columns.weight.assign(padded, 0);
  for (size_t i = 0; i < taps.size(); ++i) {
    if (taps[i].outside) continue;
    const int position = (taps[i].low - columns.from + 1) * image.channels;
    columns.first[i] = position;
    columns.second[i] = taps[i].low + 1 < image.width ? position + image.channels : position;
    columns.weight[i] = taps[i].weight;
  }
  return columns;
}

void check(const Image& image, const Sampling& sampling, const PlanarView& to) {
  ensure(image.channels == 1 || image.channels == 3, "images have 1 or 3 channels");
  ensure(image.width > 0 && image.height > 0 && image.pixels.size() == image.row() * static_cast<size_t>(image.height),
         "an image's size and pixels agree");
  ensure(sampling.window.width > 0 && sampling.window.height > 0 && sampling.shrink >= 1, "a sampling window has a size");
  ensure(to.width > 0 && to.height > 0 && to.row_stride >= static_cast<size_t>(to.width), "a planar view has a size");
  ensure(sampling.x >= 0 && sampling.y >= 0 && (sampling.outputs_x == 0 || sampling.x + to.width <= sampling.outputs_x) &&
             (sampling.outputs_y == 0 || sampling.y + to.height <= sampling.outputs_y),
         "a part lies within the whole");
}

}  // namespace

PlanarView planar(float* data, int width, int height) {
  return {data, width, height, static_cast<size_t>(width), static_cast<size_t>(width) * static_cast<size_t>(height)};
}

SampledAxis sampled_columns(int image_width, const Sampling& sampling, int width) {
  const int outputs = sampling.outputs_x > 0 ? sampling.outputs_x : width;
  return {sampling.window.left, sampling.window.width, sampling.shrink, outputs, sampling.x, image_width, sampling.flip};
}

SampledAxis sampled_rows(int image_height, const Sampling& sampling, int height) {
  const int outputs = sampling.outputs_y > 0 ? sampling.outputs_y : height;
  return {sampling.window.top, sampling.window.height, sampling.shrink, outputs, sampling.y, image_height, false};
}

PixelRect sampled_part(int image_width, int image_height, const Sampling& sampling, int width, int height) {
  const Range x = needed(taps_of(sampled_columns(image_width, sampling, width), width), image_width);
  const Range y = needed(taps_of(sampled_rows(image_height, sampling, height), height), image_height);
  if (x.from == x.to || y.from == y.to) return {};
  return {x.from, y.from, x.to, y.to};
}

void sample_image(const Image& image, const Sampling& sampling, const PlanarView& to) {
  check(image, sampling, to);
  const Columns columns = make_columns(image, sampling, to.width);
  const PixelDistortion colour = pixel_distortion(sampling.distortion);
  const size_t channels = static_cast<size_t>(image.channels), count = static_cast<size_t>(columns.to - columns.from) * channels;
  const auto mix_rows = HWY_DYNAMIC_DISPATCH(mix_rows);
  const auto emit_row = HWY_DYNAMIC_DISPATCH(emit_row);
  std::vector<float> row(channels + count + kPad), filled(channels + count + kPad);
  for (size_t i = 0; i < channels + count; ++i) filled[i] = sampling.fill[i % channels];
  std::copy_n(filled.begin(), channels, row.begin());
  const SampledAxis rows = sampled_rows(image.height, sampling, to.height);
  for (int y = 0; y < to.height; ++y) {
    const Tap t = rows.tap(y);
    const float* from = filled.data();
    if (!t.outside && count > 0) {
      const uint8_t* upper = image.pixels.data() + static_cast<size_t>(t.low) * image.row() + static_cast<size_t>(columns.from) * channels;
      const uint8_t* lower = t.low + 1 < image.height ? upper + image.row() : upper;
      mix_rows(upper, lower, t.weight, count, row.data() + channels);
      from = row.data();
    }
    emit_row(from, columns, colour, image.channels, static_cast<size_t>(to.width), to.data + static_cast<size_t>(y) * to.row_stride, to.plane_stride);
  }
}

void sample_image_reference(const Image& image, const Sampling& sampling, const PlanarView& to) {
  check(image, sampling, to);
  const auto pixel = [&](int x, int y, int c) {
    x = std::clamp(x, 0, image.width - 1), y = std::clamp(y, 0, image.height - 1);
    return static_cast<double>(image.pixels[static_cast<size_t>(y) * image.row() + static_cast<size_t>(x * image.channels + c)]) / 255;
  };
  const int columns = sampling.outputs_x > 0 ? sampling.outputs_x : to.width, rows = sampling.outputs_y > 0 ? sampling.outputs_y : to.height;
  for (int y = 0; y < to.height; ++y)
    for (int x = 0; x < to.width; ++x) {
      const Window& window = sampling.window;
      const int column = sampling.flip ? columns - 1 - sampling.x - x : sampling.x + x;
      double sx = source_coordinate(window.left, window.width, columns, sampling.shrink, column);
      double sy = source_coordinate(window.top, window.height, rows, sampling.shrink, sampling.y + y);
      std::array<double, 3> value{};
      if (sx < -0.5 || sy < -0.5 || sx >= image.width - 0.5 || sy >= image.height - 0.5) {
        for (size_t c = 0; c < 3; ++c) value[c] = static_cast<double>(sampling.fill[c]) / 255;
      } else {
        sx = std::clamp(sx, 0.0, image.width - 1.0), sy = std::clamp(sy, 0.0, image.height - 1.0);
        const int ix = static_cast<int>(sx), iy = static_cast<int>(sy);
        const double fx = sx - ix, fy = sy - iy;
        for (int c = 0; c < image.channels; ++c)
          value[static_cast<size_t>(c)] = (1 - fy) * ((1 - fx) * pixel(ix, iy, c) + fx * pixel(ix + 1, iy, c)) +
                                          fy * ((1 - fx) * pixel(ix, iy + 1, c) + fx * pixel(ix + 1, iy + 1, c));
      }
      if (image.channels == 3 && !sampling.distortion.neutral()) value = distort_reference(value, sampling.distortion);
      if (image.channels == 1) value[0] = std::min(value[0] * static_cast<double>(sampling.distortion.exposure), 1.0);
      for (int c = 0; c < image.channels; ++c)
        to.data[static_cast<size_t>(c) * to.plane_stride + static_cast<size_t>(y) * to.row_stride + static_cast<size_t>(x)] =
            static_cast<float>(value[static_cast<size_t>(c)]);
    }
}

Placement place_image(int image_width, int image_height, int net_width, int net_height, bool letter_box) {
  Placement place{0, 0, net_width, net_height};
  if (!letter_box) return place;
  if (static_cast<int64_t>(net_width) * image_height < static_cast<int64_t>(net_height) * image_width)
    place.height = std::max(1, static_cast<int>(static_cast<int64_t>(image_height) * net_width / image_width));
  else
    place.width = std::max(1, static_cast<int>(static_cast<int64_t>(image_width) * net_height / image_height));
  place.left = (net_width - place.width) / 2;
  place.top = (net_height - place.height) / 2;
  return place;
}

void fill_network_input(const Image& image, int net_width, int net_height, bool letter_box, float* out) {
  const Placement place = place_image(image.width, image.height, net_width, net_height, letter_box);
  PlanarView view = planar(out, net_width, net_height);
  if (letter_box) std::fill_n(out, view.plane_stride * static_cast<size_t>(image.channels), kLetterboxGray);
  view.data += static_cast<size_t>(place.top) * view.row_stride + static_cast<size_t>(place.left);
  view.width = place.width;
  view.height = place.height;
  Sampling sampling;
  sampling.window = {0, 0, image.width, image.height};
  sample_image(image, sampling, view);
}

}  // namespace dn
#endif
