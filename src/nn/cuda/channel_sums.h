// Sums per channel over the pixels of a channels-last tensor, in two levels and always in the same order.
//
//   first    a block goes over a strip of pixels. Its threads stand in rows of `chunk` groups of eight channels, so that a row reads memory in one go; each
//            adds up its pixels in float, then the rows are put together in double: one result per strip and channel, in scratch
//   second   a block per channel puts the strips together, in double, and hands the sum to `finish`
//
// Over all images at once, or for each image by itself.
#pragma once

#include <algorithm>

#include "device/cuda/launch.h"
#include "device/cuda/view.h"
#include "nn/moments.h"

namespace dn::cuda {

// How a tensor is cut. Depends on its shape only.
struct Strips {
  int images = 1;        // that are summed by themselves; 1: all together
  size_t pixels = 0;     // of one of them
  int count = 1;         // strips of one of them
  size_t each = 0;       // pixels of a strip, but the last
  int groups = 1, chunk = 1, chunks = 1, rows = 1, padded = 0, channels = 0;

  static constexpr int kThreads = 256, kMostBlocks = 1024, kPixelsOfThread = 16;

  Strips(const TensorDesc& desc, bool by_image) {
    const Shape& s = desc.shape;
    images = by_image ? s.n : 1;
    pixels = s.plane() * static_cast<size_t>(by_image ? 1 : s.n);
    padded = desc.padded_channels(), channels = s.c;
    groups = padded / kEight;
    while (chunk < 32 && chunk < groups) chunk *= 2;
    chunks = (groups + chunk - 1) / chunk;
    rows = kThreads / chunk;
    const size_t most = static_cast<size_t>(std::max(1, kMostBlocks / (chunks * images))), least = static_cast<size_t>(rows) * kPixelsOfThread;
    each = std::max((pixels + most - 1) / most, least);
    each = (each + static_cast<size_t>(rows) - 1) / static_cast<size_t>(rows) * static_cast<size_t>(rows);
    count = static_cast<int>((pixels + each - 1) / each);
  }
  size_t scratch_bytes() const { return 2 * sizeof(double) * static_cast<size_t>(images * count) * static_cast<size_t>(padded); }
  DN_HD size_t length(int strip) const {
    const size_t first = static_cast<size_t>(strip) * each;
    return pixels - first < each ? pixels - first : each;
  }
  DN_HD size_t at(int image, int strip, int channel) const {
    return (static_cast<size_t>(image) * static_cast<size_t>(count) + static_cast<size_t>(strip)) * static_cast<size_t>(padded) + static_cast<size_t>(channel);
  }
};

// Two numbers per channel: (mean, M2) of so many values, or two sums.
struct Pair {
  double a = 0, b = 0;
};

// How pairs are put together.
struct MergeMoments {
  DN_HD static void merge(Pair& to, double& count, const Pair& from, double other) {
    Moments sum{count, to.a, to.b};
    sum.merge({other, from.a, from.b});
    to = {sum.mean, sum.m2}, count = sum.count;
  }
};
struct MergeSums {
  DN_HD static void merge(Pair& to, double& count, const Pair& from, double other) { to.a += from.a, to.b += from.b, count += other; }
};

// First level. Source: using Merge = ...; struct Sum { Eight-wise state }; add(sum, pixel of the tensor, channel, image); pairs(sum, count, Pair[8]).
template <class Source>
struct StripBody {
  static constexpr int kThreads = Strips::kThreads, kPhases = 2;
  struct Shared {
    Pair pair[kThreads * kEight];
  };
  struct State {};
  Source source;
  Strips strips;
  Pair* out;

  DN_HD size_t pixels_of_row(size_t length, int row) const {
    const size_t rows = static_cast<size_t>(strips.rows), r = static_cast<size_t>(row);
    return length > r ? (length - r + rows - 1) / rows : 0;
  }

  template <int phase>
  DN_HD void run(const Place& place, State&, Shared& shared) const {
    const int image = place.x / strips.count, strip = place.x % strips.count;
    const size_t length = strips.length(strip);
    if constexpr (phase == 0) {
      const int lane = place.thread % strips.chunk, row = place.thread / strips.chunk, group = place.y * strips.chunk + lane;
      if (group >= strips.groups) return;
      typename Source::Sum sum{};
      const size_t first = static_cast<size_t>(image) * strips.pixels + static_cast<size_t>(strip) * strips.each;
      for (size_t p = static_cast<size_t>(row); p < length; p += static_cast<size_t>(strips.rows)) source.add(sum, first + p, group * kEight, image);
      source.pairs(sum, static_cast<float>(pixels_of_row(length, row)), shared.pair + place.thread * kEight);
    } else {
      const int channel = place.y * strips.chunk * kEight + place.thread;
      if (place.thread >= strips.chunk * kEight || channel >= strips.padded) return;
      const int lane = place.thread / kEight, k = place.thread % kEight;
      Pair all;
      double count = 0;
      for (int row = 0; row < strips.rows; ++row)
        if (const size_t pixels = pixels_of_row(length, row); pixels > 0)
          Source::Merge::merge(all, count, shared.pair[(row * strips.chunk + lane) * kEight + k], static_cast<double>(pixels));
      out[strips.at(image, strip, channel)] = all;
    }
  }
};

// Second level. finish(channel, image, pair, count) is called once per channel and image, channels without padding.
template <class Merge, class Finish>
struct ChannelBody {
  static constexpr int kThreads = 64, kPhases = 3, kPart = 8;
  struct Shared {
    Pair pair[kThreads];
    double count[kThreads];
  };
  struct State {};
  Strips strips;
  const Pair* in;
  Finish finish;

  template <int phase>
  DN_HD void run(const Place& place, State&, Shared& shared) const {
    const int t = place.thread;
    Pair all;
    double count = 0;
    if constexpr (phase == 0) {
      for (int strip = t; strip < strips.count; strip += kThreads)
        Merge::merge(all, count, in[strips.at(place.y, strip, place.x)], static_cast<double>(strips.length(strip)));
      shared.pair[t] = all, shared.count[t] = count;
    } else if constexpr (phase == 1) {
      if (t % kPart != 0) return;
      for (int i = t; i < t + kPart; ++i)
        if (shared.count[i] > 0) Merge::merge(all, count, shared.pair[i], shared.count[i]);
      shared.pair[t] = all, shared.count[t] = count;
    } else {
      if (t != 0) return;
      for (int i = 0; i < kThreads; i += kPart)
        if (shared.count[i] > 0) Merge::merge(all, count, shared.pair[i], shared.count[i]);
      finish(place.x, place.y, all, count);
    }
  }
};

// scratch: Strips::scratch_bytes().
template <class Source, class Finish>
void sum_channels(Stream& stream, const Strips& strips, const Source& source, std::byte* scratch, const Finish& finish) {
  Pair* const partial = reinterpret_cast<Pair*>(scratch);
  launch_blocks(stream, {strips.images * strips.count, strips.chunks}, StripBody<Source>{source, strips, partial});
  launch_blocks(stream, {strips.channels, strips.images}, ChannelBody<typename Source::Merge, Finish>{strips, partial, finish});
}

// Mean and M2 of x. Squares are taken of distances from a thread's first value, so that float sums of a few hundred of them lose nothing.
struct MomentsSource {
  using Merge = MergeMoments;
  struct Sum {
    bool begun;
    Eight first, sum, squares;
  };
  View x;
  DN_HD void add(Sum& sum, size_t pixel, int channel, int) const {
    const Eight v = x.get_eight(x.at(pixel, channel));
    if (!sum.begun) sum.begun = true, sum.first = v;
    for (int k = 0; k < kEight; ++k) {
      const float d = v.v[k] - sum.first.v[k];
      sum.sum.v[k] += d;
      sum.squares.v[k] += d * d;
    }
  }
  DN_HD void pairs(const Sum& sum, float count, Pair* out) const {
    for (int k = 0; k < kEight; ++k) {
      const double mean = count > 0 ? static_cast<double>(sum.sum.v[k]) / count : 0;
      const double m2 = static_cast<double>(sum.squares.v[k]) - mean * sum.sum.v[k];
      out[k] = {sum.first.v[k] + mean, m2 < 0 ? 0 : m2};
    }
  }
};

}  // namespace dn::cuda
