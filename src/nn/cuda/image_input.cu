#include "nn/cuda/image_input.h"

#include <algorithm>
#include <cstring>

#include "base/log.h"
#include "device/cuda/launch.h"
#include "device/cuda/view.h"
#include "image/blur.h"
#include "image/noise.h"
#include "image/pixel.h"

namespace dn::cuda {
namespace {

constexpr int kMostChannels = 3;
constexpr size_t kMostPictures = 4;       // of a sample
constexpr size_t kMostTable = 1024;       // bytes of a picture's row, window and boxes, about
constexpr size_t kUnlimited = SIZE_MAX;

size_t with_more(size_t bytes) { return bytes + bytes / 8; }

// A Picture as kernels see it. Addresses are the device's.
struct Drawn {
  const uint8_t* pixels = nullptr;  // of `part`
  PixelRect part;
  SampledAxis columns, rows;
  PixelDistortion distortion;
  float fill[kMostChannels] = {};
  int x = 0, y = 0, width = 0, height = 0;
  bool mean = false;
  int radius = 0;  // of the blur; 0: none
  const float* weights = nullptr;
  const PixelRect* sharp = nullptr;
  int sharp_count = 0;
  size_t plane = 0;  // of a blurred picture: its first float in Scene::sampled and in Scene::swept, [channels,height,width]
  float noise = 0;
  NoiseKeys keys;
};

// What a pixel of the mini-batch is looked up by. Loops over the channels of a pixel have a fixed length, so that its values can stay in registers.
struct Scene {
  const Drawn* pictures = nullptr;
  const int* first = nullptr;  // per sample its first picture, then the number of all
  const Tap* taps = nullptr;   // [pictures,w + h of the sample]: columns, then rows
  float* sampled = nullptr;
  float* swept = nullptr;  // downwards
  View to;

  // body(picture, its number, column and row in it) for those that cover pixel i, in order
  template <class Body>
  DN_HD void at_pixel(size_t i, const Body& body) const {
    const size_t width = static_cast<size_t>(to.w), row = i / width, n = row / static_cast<size_t>(to.h);
    const int x = static_cast<int>(i % width), y = static_cast<int>(row % static_cast<size_t>(to.h));
    for (int k = first[n]; k < first[n + 1]; ++k) {
      const Drawn& p = pictures[k];
      if (x >= p.x && y >= p.y && x - p.x < p.width && y - p.y < p.height) body(p, k, x - p.x, y - p.y);
    }
  }

  DN_HD size_t in_plane(const Drawn& p, int c, int x, int y) const {
    return p.plane + (static_cast<size_t>(c) * static_cast<size_t>(p.height) + static_cast<size_t>(y)) * static_cast<size_t>(p.width) +
           static_cast<size_t>(x);
  }

  // image/resize.h for one pixel of a picture, in 0..1.
  DN_HD void sample(const Drawn& p, int k, int x, int y, float* value) const {
    const Tap* of_picture = taps + static_cast<size_t>(k) * static_cast<size_t>(to.w + to.h);
    const Tap column = of_picture[x], row = of_picture[to.w + y];
    if (column.outside || row.outside) {
      for (int c = 0; c < kMostChannels; ++c) value[c] = p.fill[c];
    } else {
      const size_t pitch = static_cast<size_t>(p.part.right - p.part.left) * static_cast<size_t>(to.c);
      const uint8_t* upper = p.pixels + static_cast<size_t>(row.low - p.part.top) * pitch + static_cast<size_t>((column.low - p.part.left) * to.c);
      const uint8_t* lower = row.low + 1 < p.rows.side ? upper + pitch : upper;
      const int right = column.low + 1 < p.columns.side ? to.c : 0;
      for (int c = 0; c < kMostChannels; ++c) {
        if (c >= to.c) break;
        const float a = upper[c], b = upper[c + right];
        const float left_mix = a + row.weight * (lower[c] - a), right_mix = b + row.weight * (lower[c + right] - b);
        value[c] = left_mix + column.weight * (right_mix - left_mix);
      }
    }
    constexpr float kFull = 255.0f, kScale = 1.0f / kFull;
    if (!p.distortion.neutral) {
      if (to.c == 3) {
        distort_pixel(value, p.distortion, kFull);
      } else {
        const float bright = value[0] * p.distortion.exposure;
        value[0] = bright < kFull ? bright : kFull;
      }
    }
    for (int c = 0; c < kMostChannels; ++c) value[c] *= kScale;
  }
};

struct TapsBody {
  Scene scene;
  Tap* taps;
  DN_HD void operator()(size_t i) const {
    const size_t each = static_cast<size_t>(scene.to.w + scene.to.h);
    const Drawn& p = scene.pictures[i / each];
    const int at = static_cast<int>(i % each), row = at - scene.to.w;
    if (at < p.width)
      taps[i] = p.columns.tap(at);
    else if (row >= 0 && row < p.height)
      taps[i] = p.rows.tap(row);
  }
};

struct SampleBody {
  Scene scene;
  DN_HD void operator()(size_t i) const {
    scene.at_pixel(i, [&](const Drawn& p, int k, int x, int y) {
      if (p.radius == 0) return;
      float value[kMostChannels] = {};
      scene.sample(p, k, x, y, value);
      for (int c = 0; c < kMostChannels; ++c)
        if (c < scene.to.c) scene.sampled[scene.in_plane(p, c, x, y)] = value[c];
    });
  }
};

DN_HD inline int inside(int at, int side) { return at < 0 ? 0 : at < side ? at : side - 1; }
DN_HD inline float at_most_one(float value) { return value < 1.0f ? value : 1.0f; }

struct SweepBody {
  Scene scene;
  DN_HD void operator()(size_t i) const {
    scene.at_pixel(i, [&](const Drawn& p, int, int x, int y) {
      if (p.radius == 0) return;
      for (int c = 0; c < kMostChannels; ++c) {
        if (c >= scene.to.c) break;
        float sum = 0;
        for (int j = -p.radius; j <= p.radius; ++j) sum += p.weights[j + p.radius] * scene.sampled[scene.in_plane(p, c, x, inside(y + j, p.height))];
        scene.swept[scene.in_plane(p, c, x, y)] = at_most_one(sum);
      }
    });
  }
};

struct ComposeBody {
  Scene scene;

  DN_HD void blurred(const Drawn& p, int x, int y, float* value) const {
    bool sharp = false;
    for (int k = 0; k < p.sharp_count; ++k)
      sharp = sharp || (x >= p.sharp[k].left && x < p.sharp[k].right && y >= p.sharp[k].top && y < p.sharp[k].bottom);
    for (int c = 0; c < kMostChannels; ++c) {
      if (c >= scene.to.c) break;
      if (sharp) {
        value[c] = scene.sampled[scene.in_plane(p, c, x, y)];
        continue;
      }
      const float* row = scene.swept + scene.in_plane(p, c, 0, y);
      float sum = 0;
      for (int j = -p.radius; j <= p.radius; ++j) sum += p.weights[j + p.radius] * row[inside(x + j, p.width)];
      value[c] = at_most_one(sum);
    }
  }

  DN_HD void operator()(size_t i) const {
    Eight out{};
    scene.at_pixel(i, [&](const Drawn& p, int k, int x, int y) {
      float value[kMostChannels] = {};
      if (p.radius > 0)
        blurred(p, x, y, value);
      else
        scene.sample(p, k, x, y, value);
      for (int c = 0; c < kMostChannels; ++c) {
        if (c >= scene.to.c) break;
        if (p.noise > 0) {
          const size_t number = scene.in_plane(p, c, x, y) - p.plane;
          const float sum = value[c] + p.noise * noise_at(p.keys, static_cast<uint32_t>(number));
          value[c] = at_most_one(sum > 0.0f ? sum : 0.0f);
        }
        out.v[c] = p.mean ? (out.v[c] + value[c]) / 2 : value[c];
      }
    });
    scene.to.set_eight(scene.to.at(i, 0), out);
  }
};

// Grows, never shrinks; its contents are lost when it grows. Mini-batches differ, so some more is taken, but not for that beyond `most`.
std::byte* room(Device& device, std::unique_ptr<DeviceMemory>& memory, size_t bytes, size_t most) {
  if (!memory || memory->bytes() < bytes) {
    memory.reset();
    try {
      memory = device.allocate(std::max(bytes, std::min(with_more(bytes), most)));
    } catch (const OutOfMemory& e) {
      throw OutOfMemory(concat("drawing images: ", e.what()));
    }
  }
  return memory->data();
}

// Tables that go to the device as one block; offsets are known before the block is.
class Tables {
 public:
  template <class T>
  size_t add(const T* rows, size_t count) {
    const size_t at = round_up(bytes_.size(), size_t{16});
    bytes_.resize(at + count * sizeof(T));
    if (count > 0) std::memcpy(bytes_.data() + at, rows, count * sizeof(T));
    return at;
  }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

constexpr size_t kPixelAlignment = 64;

size_t pixel_bytes(const Picture& p, int channels) {
  return static_cast<size_t>(p.part.right - p.part.left) * static_cast<size_t>(p.part.bottom - p.part.top) * static_cast<size_t>(channels);
}

Drawn drawn(const Picture& p) {
  Drawn d;
  d.part = p.part;
  d.columns = sampled_columns(p.image_width, p.sampling, p.width);
  d.rows = sampled_rows(p.image_height, p.sampling, p.height);
  d.distortion = pixel_distortion(p.sampling.distortion);
  for (size_t c = 0; c < kMostChannels; ++c) d.fill[c] = p.sampling.fill[c];
  d.x = p.x, d.y = p.y, d.width = p.width, d.height = p.height;
  d.mean = p.mean;
  d.radius = p.blur / 2;
  d.noise = p.noise;
  d.keys = noise_keys(p.noise_key);
  return d;
}

// Bytes of pixels and of planes.
struct Taken {
  size_t pixels = 0, planes = 0;
  Taken& operator+=(const Taken& other) {
    pixels += other.pixels, planes += other.planes;
    return *this;
  }
  bool within(const Taken& most) const { return pixels <= most.pixels && planes <= most.planes; }
};

Taken taken_by(const SampleRecipe& sample, int channels) {
  Taken taken;
  for (const Picture& p : sample) {
    taken.pixels += round_up(pixel_bytes(p, channels), kPixelAlignment);
    if (p.blur > 1) taken.planes += 2 * sizeof(float) * static_cast<size_t>(channels) * static_cast<size_t>(p.width) * static_cast<size_t>(p.height);
  }
  return taken;
}

// Images that are drawn at a time. JPEG decoders leave less than twice the pixels that are asked for in either direction, so all of a mini-batch is, but
// where other files are much larger. Planes are for all images, and for the two pictures of a mixup.
Taken most_taken(const Shape& input) {
  const size_t floats = sizeof(float) * input.count();
  return {floats, 2 * std::max(floats, 2 * sizeof(float) * input.per_image())};
}

// A mini-batch as it goes to the device: offsets into its blocks, until these are there.
struct Layout {
  std::vector<const Picture*> pictures;
  std::vector<Drawn> rows;
  Tables tables;
  size_t first_at = 0;
  std::vector<size_t> pixels_at, weights_at, sharp_at;
  size_t pixels = 0;  // bytes
  size_t planes = 0;  // floats

  Layout(std::span<const SampleRecipe> samples, int channels) {
    std::vector<int> first = {0};
    for (const SampleRecipe& sample : samples) {
      for (const Picture& p : sample) add(p, channels);
      first.push_back(static_cast<int>(pictures.size()));
    }
    first_at = tables.add(first.data(), first.size());
  }

  void add(const Picture& p, int channels) {
    pictures.push_back(&p);
    Drawn& d = rows.emplace_back(drawn(p));
    pixels_at.push_back(pixels);
    pixels += round_up(pixel_bytes(p, channels), kPixelAlignment);
    const std::vector<float> weights = d.radius > 0 ? gaussian_window(p.blur) : std::vector<float>();
    weights_at.push_back(tables.add(weights.data(), weights.size()));
    sharp_at.push_back(tables.add(p.sharp.data(), p.sharp.size()));
    d.sharp_count = static_cast<int>(p.sharp.size());
    d.plane = planes;
    if (d.radius > 0) planes += static_cast<size_t>(channels) * static_cast<size_t>(d.width) * static_cast<size_t>(d.height);
  }

  // With the addresses of the blocks, which hold what the tables hold and the rows behind them.
  size_t table_bytes() const { return round_up(tables.bytes().size(), size_t{16}) + rows.size() * sizeof(Drawn); }
  size_t add_rows(const std::byte* pixel_block, const std::byte* table_block) {
    for (size_t k = 0; k < rows.size(); ++k) {
      rows[k].pixels = reinterpret_cast<const uint8_t*>(pixel_block + pixels_at[k]);
      rows[k].weights = reinterpret_cast<const float*>(table_block + weights_at[k]);
      rows[k].sharp = reinterpret_cast<const PixelRect*>(table_block + sharp_at[k]);
    }
    return tables.add(rows.data(), rows.size());
  }
};

}  // namespace

size_t ImageInput::most_bytes(const Shape& input, bool blurred) {
  const Taken most = most_taken(input);
  const size_t pictures = kMostPictures * static_cast<size_t>(input.n), taps = static_cast<size_t>(input.w + input.h) * sizeof(Tap);
  return most.pixels + (blurred ? most.planes : 0) + with_more(pictures * (taps + kMostTable));
}

size_t ImageInput::bytes() const {
  size_t sum = 0;
  for (const auto* memory : {&pixels_, &tables_, &taps_, &planes_})
    if (*memory) sum += (*memory)->bytes();
  return sum;
}

void ImageInput::draw(std::span<const SampleRecipe> samples, const Tensor& to) {
  const Shape& shape = to.desc.shape;
  ensure(samples.size() == static_cast<size_t>(shape.n) && (shape.c == 1 || shape.c == 3), "an input of as many images as are drawn");
  const Taken most = most_taken(shape);
  for (size_t first = 0, end = 0; first < samples.size(); first = end) {
    Taken taken = taken_by(samples[end++], shape.c);
    for (; end < samples.size(); ++end)
      if (taken += taken_by(samples[end], shape.c); !taken.within(most)) break;
    Tensor part = to;
    part.desc.shape.n = static_cast<int>(end - first);
    part.data = reinterpret_cast<float*>(reinterpret_cast<std::byte*>(to.data) + first * to.desc.image_stride() * bytes_of(to.desc.dtype));
    draw_at_once(samples.subspan(first, end - first), part, shape);
  }
}

void ImageInput::draw_at_once(std::span<const SampleRecipe> samples, const Tensor& to, const Shape& input) {
  const Taken most = most_taken(input);
  Scene scene;
  scene.to = view(to);
  Layout layout(samples, scene.to.c);
  Stream& stream = device_.stream();
  std::byte* const pixels = room(device_, pixels_, layout.pixels, most.pixels);
  for (size_t k = 0; k < layout.pictures.size(); ++k)
    stream.to_device(pixels + layout.pixels_at[k], layout.pictures[k]->pixels, pixel_bytes(*layout.pictures[k], scene.to.c));
  std::byte* const tables = room(device_, tables_, layout.table_bytes(), kUnlimited);
  const size_t rows_at = layout.add_rows(pixels, tables);
  stream.to_device(tables, layout.tables.bytes().data(), layout.tables.bytes().size());

  const size_t tap_count = layout.rows.size() * static_cast<size_t>(scene.to.w + scene.to.h);
  auto* const taps = reinterpret_cast<Tap*>(room(device_, taps_, tap_count * sizeof(Tap), kUnlimited));
  scene.pictures = reinterpret_cast<const Drawn*>(tables + rows_at);
  scene.first = reinterpret_cast<const int*>(tables + layout.first_at);
  scene.taps = taps;
  for_each(stream, tap_count, TapsBody{scene, taps});
  if (layout.planes > 0) {
    scene.sampled = reinterpret_cast<float*>(room(device_, planes_, 2 * layout.planes * sizeof(float), most.planes));
    scene.swept = scene.sampled + layout.planes;
    for_each(stream, scene.to.pixels(), SampleBody{scene});
    for_each(stream, scene.to.pixels(), SweepBody{scene});
  }
  for_each(stream, scene.to.pixels(), ComposeBody{scene});
}

HostMemory pinned_memory(Device& device) {
  return [&device](size_t bytes) {
    try {
      const std::shared_ptr<DeviceMemory> block = device.stream().allocate_pinned(bytes);
      return std::shared_ptr<std::byte>(block, block->data());
    } catch (const Error& e) {
      log::warn(concat(e.what(), "; images are copied to the GPU from other memory, which is slower"));
      return plain_memory(bytes);
    }
  };
}

}  // namespace dn::cuda
