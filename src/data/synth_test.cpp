#include "data/synth.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <map>

#include "base/error.h"
#include "data/labels.h"
#include "data/synth/photo.h"
#include "data/synth/scene.h"
#include "data/synth/shapes.h"
#include "data/synth/texture.h"

namespace dn {
namespace {

class Synth : public ::testing::Test {
 protected:
  fs::path folder_ =
      fs::path(::testing::TempDir()) / concat("synth_", ::testing::UnitTest::GetInstance()->current_test_info()->name(), "_", ::getpid());
  void SetUp() override { fs::remove_all(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path set(const char* name) const { return folder_ / name; }
};

SynthOptions small(uint64_t seed = 1, int threads = 2) { return {.images = 12, .seed = seed, .width = 128, .height = 96, .threads = threads}; }

std::map<std::string, std::string> contents(const fs::path& root) {
  std::map<std::string, std::string> out;
  for (const auto& entry : fs::recursive_directory_iterator(root))
    if (entry.is_regular_file()) out[fs::relative(entry.path(), root).string()] = read_text(entry.path());
  return out;
}

std::string message_of(const fs::path& out, const SynthOptions& options) {
  try {
    make_synthetic_dataset(out, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(Synth, SameSeedGivesSameBytesWithAnyThreads) {
  make_synthetic_dataset(set("a"), small(7, 1));
  make_synthetic_dataset(set("b"), small(7, 3));
  const auto a = contents(set("a")), b = contents(set("b"));
  EXPECT_EQ(a.size(), 12u * 2 + 6);
  EXPECT_EQ(a, b);
}

TEST_F(Synth, ImageDependsOnSeedAndIndexAlone) {
  const synth::Scene a = synth::render_scene(3, 5, 128, 96), again = synth::render_scene(3, 5, 128, 96);
  const synth::Scene other_seed = synth::render_scene(4, 5, 128, 96), other_index = synth::render_scene(3, 6, 128, 96);
  EXPECT_EQ(a.image.pixels, again.image.pixels);
  EXPECT_EQ(a.truth, again.truth);
  EXPECT_NE(a.image.pixels, other_seed.image.pixels);
  EXPECT_NE(a.image.pixels, other_index.image.pixels);
  make_synthetic_dataset(set("twelve"), small(3));
  SynthOptions more = small(3);
  more.images = 14;
  make_synthetic_dataset(set("fourteen"), more);
  EXPECT_EQ(read_text(set("twelve") / "images/train/000009.jpg"), read_text(set("fourteen") / "images/train/000009.jpg"));
}

TEST_F(Synth, LayoutListsAndLabelsAreRead) {
  make_synthetic_dataset(set("a"), small());
  const std::vector<std::string> train = read_lines(set("a") / "train.txt"), valid = read_lines(set("a") / "valid.txt");
  EXPECT_EQ(train.size(), 10u);
  EXPECT_EQ(valid.size(), 2u);
  EXPECT_EQ(train.front(), "images/train/000000.jpg");
  EXPECT_EQ(valid.front(), "images/valid/000010.jpg");
  EXPECT_EQ(read_lines(set("a") / "synth.names").size(), synth::kNames.size());
  for (const auto* list : {&train, &valid})
    for (const std::string& line : *list) {
      const Image image = load_image(set("a") / line);
      EXPECT_EQ(image.width, 128);
      EXPECT_EQ(image.height, 96);
      const Labels labels = load_labels((set("a") / line).string(), static_cast<int>(synth::kNames.size()));
      EXPECT_FALSE(labels.file.empty()) << line;
      EXPECT_EQ(labels.bad_rows, 0) << line;
      EXPECT_EQ(labels.clipped, 0) << line;
      EXPECT_GE(labels.boxes.size(), 1u) << line;
      EXPECT_LE(labels.boxes.size(), 7u) << line;
    }
}

TEST_F(Synth, KeepsAWholeSetAndMendsABrokenOne) {
  make_synthetic_dataset(set("a"), small());
  const auto before = contents(set("a"));
  const auto time = fs::last_write_time(set("a") / "images/train/000000.jpg");
  make_synthetic_dataset(set("a"), small());
  EXPECT_EQ(fs::last_write_time(set("a") / "images/train/000000.jpg"), time);
  fs::remove(set("a") / "labels/train/000003.txt");
  make_synthetic_dataset(set("a"), small());
  EXPECT_EQ(contents(set("a")), before);
}

TEST_F(Synth, RefusesWrongOptionsAndForeignFolders) {
  const auto with = [](auto change) {
    SynthOptions o = small();
    change(o);
    return o;
  };
  EXPECT_NE(message_of(set("x"), with([](auto& o) { o.images = 9; })).find("images = 9: expected 10..100000"), std::string::npos);
  EXPECT_NE(message_of(set("x"), with([](auto& o) { o.images = 100001; })).find("expected 10..100000"), std::string::npos);
  EXPECT_NE(message_of(set("x"), with([](auto& o) { o.width = 4000; })).find("width"), std::string::npos);
  EXPECT_NE(message_of(set("x"), with([](auto& o) { o.valid_share = std::nan(""); })).find("share"), std::string::npos);
  EXPECT_FALSE(fs::exists(set("x")));

  make_directories(set("mine") / "images");
  EXPECT_NE(message_of(set("mine"), small()).find("holds images"), std::string::npos);
  make_synthetic_dataset(set("a"), small(1));
  EXPECT_NE(message_of(set("a"), small(2)).find("seed = 1, not 2"), std::string::npos);
  write_file(set("a") / "synth.json", "{ not json");
  EXPECT_NE(message_of(set("a"), small(1)).find("synth.json"), std::string::npos);

  write_file(folder_ / "file", "x");
  EXPECT_NE(message_of(folder_ / "file" / "sub", small()).find("cannot create the folder"), std::string::npos);
}

TEST_F(Synth, ScenesHoldEveryClassInManySizes) {
  std::array<int, synth::kNames.size()> count{};
  double smallest = 1, largest = 0;
  for (uint64_t i = 0; i < 60; ++i) {
    const synth::Scene scene = synth::render_scene(11, i, 208, 160);
    EXPECT_FALSE(scene.truth.empty());
    for (const TruthBox& t : scene.truth) {
      ++count[static_cast<size_t>(t.class_id)];
      EXPECT_GE(t.box.x - t.box.w / 2, -1e-6);
      EXPECT_LE(t.box.x + t.box.w / 2, 1 + 1e-6);
      EXPECT_GE(t.box.y - t.box.h / 2, -1e-6);
      EXPECT_LE(t.box.y + t.box.h / 2, 1 + 1e-6);
      EXPECT_GE(std::min(t.box.w, t.box.h), 5.0f / 192);
      smallest = std::min<double>(smallest, std::max(t.box.w, t.box.h));
      largest = std::max<double>(largest, std::max(t.box.w, t.box.h));
    }
  }
  for (int c : count) EXPECT_GE(c, 12);
  EXPECT_LT(smallest, 0.13);
  EXPECT_GT(largest, 0.5);
}

TEST_F(Synth, ThingsStayWithinTheirFrame) {
  // Drawn on a canvas of twice the size, nothing may touch the edge: otherwise a layer would cut a thing and its box would be wrong.
  for (size_t k = 0; k < synth::kNames.size(); ++k)
    for (uint64_t seed = 0; seed < 40; ++seed) {
      Rng rng(seed, RandomUse::test, k);
      Canvas canvas(160, 160);
      canvas.push(Affine::translation(80, 80 + 0.45 * 80) * Affine::scaling(80, 80));
      synth::draw_kind(static_cast<synth::Kind>(k), canvas, rng, {.light = 0.5, .pixels = 80, .aloft = seed % 2 == 0});
      canvas.pop();
      const std::span<uint32_t> p = canvas.pixels();
      size_t drawn = 0;
      bool edge = false;
      for (size_t i = 0; i < p.size(); ++i) {
        const size_t x = i % 160, y = i / 160;
        drawn += p[i] >> 24 > 127;
        edge |= p[i] != 0 && (x == 0 || y == 0 || x == 159 || y == 159);
      }
      EXPECT_FALSE(edge) << synth::kNames[k] << " " << seed;
      EXPECT_GT(drawn, 80u) << synth::kNames[k] << " " << seed;
    }
}

TEST_F(Synth, BlurKeepsFlatAreasAndMass) {
  Canvas canvas(40, 30);
  for (uint32_t& p : canvas.pixels()) p = 0xFF404040u;
  synth::blur(canvas, 3.0);
  for (uint32_t p : canvas.pixels()) ASSERT_EQ(p, 0xFF404040u);
  canvas.pixels()[15 * 40 + 20] = 0xFFFFFFFFu;
  synth::blur(canvas, 1.0);
  const auto red = [&](size_t x, size_t y) { return static_cast<int>(canvas.pixels()[y * 40 + x] >> 16 & 255); };
  EXPECT_GT(red(20, 15), red(21, 15));
  EXPECT_GT(red(21, 15), 64);
  EXPECT_EQ(red(21, 15), red(19, 15));
  EXPECT_EQ(red(20, 14), red(20, 16));
  EXPECT_EQ(red(30, 15), 64);
}

TEST_F(Synth, NoiseIsSmoothAndBounded) {
  const synth::Noise noise(5);
  double sum = 0, squares = 0, step = 0;
  const int count = 4000;
  for (int i = 0; i < count; ++i) {
    const float x = static_cast<float>(i) * 0.37f - 700, y = static_cast<float>(i) * 0.21f - 300, v = noise.at(x, y);
    EXPECT_LT(std::abs(v), 1.6f);
    sum += v, squares += v * v;
    step = std::max<double>(step, std::abs(noise.at(x + 0.001f, y) - v));
  }
  EXPECT_NEAR(sum / count, 0, 0.06);
  EXPECT_GT(squares / count, 0.05);
  EXPECT_LT(step, 0.01);
}

}  // namespace
}  // namespace dn
