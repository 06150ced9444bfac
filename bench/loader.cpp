// Images per second of the training loader: 640x480 JPEGs of about 119 KiB to 416x416 with jitter, flip and colour distortion, and the cost of its
// stages on one thread.
//
//   bench_loader [--threads N] [--runs SECONDS] [--json]
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <functional>

#include "base/aligned.h"
#include "base/error.h"
#include "base/rng.h"
#include "bench/common.h"
#include "data/loader.h"
#include "image/decode.h"

namespace {

using namespace dn;
using Clock = std::chrono::steady_clock;

constexpr int kWidth = 640, kHeight = 480, kSide = 416, kImages = 48, kBatch = 64;
constexpr uint64_t kTargetBytes = 119 << 10;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Smooth shapes and colours under grain of the given strength: like a photograph in what it asks of a decoder.
Image textured(uint64_t seed, double grain) {
  Rng rng(seed, RandomUse::test);
  double phase[3][4];
  for (auto& row : phase)
    for (double& p : row) p = rng.uniform(0, 6.28);
  Image image{kWidth, kHeight, 3, std::vector<uint8_t>(static_cast<size_t>(kWidth) * kHeight * 3)};
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x) {
      const double light = grain * (rng.uniform() + rng.uniform() - 1);
      for (int c = 0; c < 3; ++c) {
        const double* p = phase[c];
        double v = 128 + 50 * std::sin(x * .011 + p[0]) * std::cos(y * .017 + p[1]) + 25 * std::sin((x + 2 * y) * .06 + p[2]);
        v += std::sin(x * .03 + p[3]) + std::cos(y * .04 + p[3]) > 0.8 ? 40 : 0;
        image.pixels[static_cast<size_t>((y * kWidth + x) * 3 + c)] = static_cast<uint8_t>(std::clamp(v + light, 0.0, 255.0));
      }
    }
  return image;
}

// The grain that makes files of the target size, by bisection.
double find_grain(const fs::path& trial) {
  double low = 0, high = 200;
  for (int i = 0; i < 12; ++i) {
    const double middle = (low + high) / 2;
    save_image(trial, textured(1, middle), 85);
    (dn::file_size(trial) < kTargetBytes ? low : high) = middle;
  }
  return low;
}

struct Folder {
  fs::path path = fs::temp_directory_path() / concat("darknet_bench_loader_", static_cast<int>(::getpid()));
  Folder() { make_directories(path); }
  ~Folder() {
    std::error_code code;
    fs::remove_all(path, code);
  }
};

fs::path make_images(const fs::path& folder) {
  const double grain = find_grain(folder / "trial.jpg");
  std::string list;
  uint64_t bytes = 0;
  for (int i = 0; i < kImages; ++i) {
    const fs::path path = folder / concat("photo", i, ".jpg");
    save_image(path, textured(static_cast<uint64_t>(i + 1), grain), 85);
    write_file(folder / concat("photo", i, ".txt"), "0 .5 .5 .3 .4\n1 .2 .3 .1 .1\n2 .8 .7 .2 .2\n");
    list += path.string() + "\n";
    bytes += dn::file_size(path);
  }
  write_file(folder / "list.txt", list);
  std::cerr << concat(kImages, " images of ", kWidth, "x", kHeight, ", ", bytes_text(static_cast<double>(bytes) / kImages), " each\n");
  return folder / "list.txt";
}

// One result, as a line of text or of JSON.
void show(bool json, const std::string& name, const char* unit, double value, int threads) {
  if (json)
    std::cout << nlohmann::json{{"name", name}, {"value", value}, {"unit", unit}, {"threads", threads}} << std::endl;
  else
    std::cout << concat(name, ": ", fixed(value, 3), " ", unit, ", ", threads, threads == 1 ? " thread" : " threads") << std::endl;
}

void stage(bool json, const char* name, double seconds, const std::function<void(int)>& body) {
  double best = 1e9;
  const auto start = Clock::now();
  for (int i = 0; i < 20 || seconds_since(start) < seconds; ++i) {
    const auto begin = Clock::now();
    body(i);
    best = std::min(best, seconds_since(begin));
  }
  show(json, name, "ms", best * 1e3, 1);
}

void stages(bool json, const Dataset& dataset, double seconds) {
  std::vector<std::vector<std::byte>> files;
  for (size_t i = 0; i < dataset.size(); ++i) files.push_back(read_bytes(dataset.image(i), kMaxImageFile));
  std::vector<Image> images;
  for (const auto& file : files) images.push_back(decode_image(file, "photo"));
  const auto pick = [](int i) { return static_cast<size_t>(i) % kImages; };
  AlignedFloats out(static_cast<size_t>(3) * kSide * kSide);
  Sampling plain;
  plain.window = {-20, 30, 600, 470};
  Sampling distorted = plain;
  distorted.flip = true;
  distorted.distortion = {.05f, 1.3f, .8f};
  stage(json, "decode", seconds, [&](int i) { decode_image(files[pick(i)], "photo"); });
  stage(json, "decode at half size", seconds, [&](int i) { decode_image_shrunk(files[pick(i)], "photo", 3, 2); });
  stage(json, "mean colour", seconds, [&](int i) { mean_colour(images[pick(i)]); });
  stage(json, "crop + resize + pack", seconds, [&](int i) { sample_image(images[pick(i)], plain, planar(out.data(), kSide, kSide)); });
  stage(json, "crop + resize + flip + HSV + pack", seconds, [&](int i) { sample_image(images[pick(i)], distorted, planar(out.data(), kSide, kSide)); });
}

double loader_rate(const Dataset& dataset, int threads, double seconds, Mix mix, int blur, int noise, bool recipes) {
  LoaderOptions options;
  options.recipes = recipes;
  options.threads = threads;
  options.sample.batch = kBatch;
  options.sample.classes = 3;
  options.sample.augmentation = {.jitter = .3, .hue = .1, .saturation = 1.5, .exposure = 1.5, .blur = blur, .noise = noise, .mix = mix};
  Loader loader(dataset, options);
  loader.next(0, kSide, kSide);
  int64_t images = 0;
  const auto start = Clock::now();
  for (uint64_t i = 1; seconds_since(start) < seconds; ++i) images += loader.next(i, kSide, kSide).images;
  return static_cast<double>(images) / seconds_since(start);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const bench::Arguments arguments = bench::parse_arguments(argc, argv, kBatch);
    const int threads = arguments.threads > 0 ? arguments.threads : cpu::Device().threads();
    const Folder folder;
    const Dataset dataset(make_images(folder.path));
    stages(arguments.json, dataset, .5);
    const auto loader = [&](const char* name, Mix mix, int blur, int noise, bool recipes = false) {
      show(arguments.json, name, "images/s", loader_rate(dataset, threads, arguments.runs, mix, blur, noise, recipes), threads);
    };
    loader("loader with jitter, flip and HSV", Mix::none, 0, 0);
    loader("the same with mosaic", Mix::mosaic, 0, 0);
    loader("the same with mixup", Mix::mixup, 0, 0);
    loader("the same with blur 9", Mix::none, 9, 0);
    loader("the same with noise", Mix::none, 0, 10);
    loader("decoding only, for a device that draws", Mix::none, 0, 10, true);
    loader("the same with mosaic", Mix::mosaic, 0, 10, true);
  } catch (const Error& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
  return 0;
}
