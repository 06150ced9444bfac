// .weights files: the byte layout, round trip, prefixes, and every kind of file that must be refused without touching the network.
#include "train/weights_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "data/test_folder.h"
#include "tests/harness/weights.h"

namespace dn {
namespace {

using testing::refusal;
using testing::values;

// Layer 0: 4 biases, 4 scales, 4 means, 4 variances, 4*3*9 weights = 124 floats; layer 1: none; layer 2: 2 + 2*4 = 10; layer 3: 3 + 3*2*9 = 57.
constexpr const char* kCfg =
    "[net]\nbatch=1\nsubdivisions=1\nwidth=32\nheight=32\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=4\nsize=3\nstride=1\npad=1\nactivation=leaky\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=2\nsize=1\nactivation=linear\n"
    "[convolutional]\nfilters=3\nsize=3\npad=1\nactivation=linear\n";
constexpr size_t kHeader = 20, kLayer0 = 124, kLayer2 = 10, kLayer3 = 57;

std::string with(const char* key, size_t section) {  // kCfg with one more key in the section'th [convolutional]
  std::string text = kCfg;
  size_t at = 0;
  for (size_t i = 0; i <= section; ++i) at = text.find("[convolutional]", at) + 16;
  return text.insert(at, concat(key, "\n"));
}

Network random_network(const std::string& text = kCfg, uint64_t seed = 5) { return testing::random_network(text, seed); }

void resize(const fs::path& path, size_t bytes) { fs::resize_file(path, bytes); }

TEST(weights_file, round_trip_and_byte_layout) {
  const test::TestFolder folder("weights");
  const Network from = random_network();
  save_weights(from, folder / "a.weights", 123456789012345ull);
  const std::vector<std::byte> bytes = read_bytes(folder / "a.weights", 1 << 20);
  ASSERT_EQ(bytes.size(), kHeader + 4 * (kLayer0 + kLayer2 + kLayer3));
  int32_t version[3];
  std::memcpy(version, bytes.data(), sizeof version);
  EXPECT_EQ(version[0] * 100 + version[1] * 10 + version[2], 25);
  float third_bias = 0;
  std::memcpy(&third_bias, bytes.data() + kHeader + 8, 4);
  EXPECT_EQ(third_bias, values(from)[2]);
  Network to = random_network(kCfg, 6);
  const uint64_t version_before = to.params().version();
  const WeightsInfo info = load_weights(to, folder / "a.weights");
  EXPECT_EQ(values(to), values(from));
  EXPECT_EQ(info.seen, 123456789012345ull);
  EXPECT_TRUE(info.complete());
  EXPECT_EQ(info.loaded, 4);
  EXPECT_GT(to.params().version(), version_before);
  EXPECT_GE(to.params().norm_state(0).updates, ParamStore::kWarm);   // running statistics of a file are not replaced by the first mini-batch
}

TEST(weights_file, reads_the_short_header) {
  const test::TestFolder folder("weights");
  const Network from = random_network();
  std::string bytes(16, '\0');
  const int32_t head[4] = {0, 1, 0, -6};  // seen is unsigned: 4294967290
  std::memcpy(bytes.data(), head, 16);
  const std::vector<float> all = values(from);
  bytes.append(reinterpret_cast<const char*>(all.data()), all.size() * 4);
  write_file(folder / "a.weights", bytes);
  Network to = random_network(kCfg, 6);
  const WeightsInfo info = load_weights(to, folder / "a.weights");
  EXPECT_EQ(info.seen, 4294967290ull);
  EXPECT_EQ(values(to), values(from));
}

TEST(weights_file, a_prefix_that_ends_between_layers_loads) {
  const test::TestFolder folder("weights");
  const Network from = random_network();
  save_weights(from, folder / "a.weights", 0, 2);
  Network to = random_network(kCfg, 6);
  const std::vector<float> before = values(to);
  const WeightsInfo info = load_weights(to, folder / "a.weights");
  EXPECT_EQ(info.loaded, 2);
  EXPECT_EQ(info.layers, 4);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(values(to)[i], i < kLayer0 ? values(from)[i] : before[i]) << i;
}

TEST(weights_file, cutoff_takes_the_first_layers_only) {
  const test::TestFolder folder("weights");
  const Network from = random_network();
  save_weights(from, folder / "a.weights", 0);
  Network to = random_network(kCfg, 6);
  const std::vector<float> before = values(to);
  EXPECT_EQ(load_weights(to, folder / "a.weights", 3).loaded, 3);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(values(to)[i], i < kLayer0 + kLayer2 ? values(from)[i] : before[i]) << i;
}

TEST(weights_file, truncation_names_layer_byte_and_what_is_there) {
  const test::TestFolder folder("weights");
  const fs::path file = folder / "y.weights";
  save_weights(random_network(), file, 0);
  resize(file, kHeader + 4 * (kLayer0 + kLayer2 + 7));
  Network to = random_network(kCfg, 6);
  const std::string message = refusal(to, file);
  EXPECT_NE(message.find(
                concat("y.weights: layer 3 [convolutional] needs 57 floats at byte ", kHeader + 4 * (kLayer0 + kLayer2), "; the file ends after 7")),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("7 of 57"), std::string::npos) << message;
  resize(file, kHeader + 4 * kLayer0 + 2);  // two bytes into a float
  EXPECT_NE(refusal(to, file).find("layer 2 [convolutional] needs 10 floats"), std::string::npos);
}

TEST(weights_file, refuses_files_without_weights) {
  const test::TestFolder folder("weights");
  const fs::path file = folder / "a.weights";
  Network to = random_network();
  save_weights(to, file, 0);
  for (const size_t size : {size_t{kHeader}, size_t{19}, size_t{3}, size_t{0}}) {
    resize(file, size);
    EXPECT_NE(refusal(to, file), "") << size;
  }
  EXPECT_NE(refusal(to, folder / "missing.weights"), "");
  EXPECT_NE(refusal(to, folder.path), "");
}

TEST(weights_file, refuses_trailing_bytes) {
  const test::TestFolder folder("weights");
  const fs::path file = folder / "a.weights";
  save_weights(random_network(), file, 0);
  Network to = random_network(kCfg, 6);
  for (const size_t extra : {1u, 4u, 100000u}) {
    resize(file, kHeader + 4 * (kLayer0 + kLayer2 + kLayer3) + extra);
    EXPECT_NE(refusal(to, file).find(concat(extra, " bytes are left over")), std::string::npos);
  }
}

TEST(weights_file, refuses_absurd_versions) {
  const test::TestFolder folder("weights");
  const fs::path file = folder / "a.weights";
  save_weights(random_network(), file, 0);
  std::string bytes = read_text(file);
  Network to = random_network(kCfg, 6);
  for (const int32_t major : {-1, 1001, 0x46494C45}) {
    std::memcpy(bytes.data(), &major, 4);
    write_file(file, bytes);
    EXPECT_NE(refusal(to, file).find("version"), std::string::npos);
  }
}

TEST(weights_file, refuses_values_that_cannot_be) {
  const test::TestFolder folder("weights");
  const fs::path file = folder / "a.weights";
  save_weights(random_network(), file, 0);
  const std::string good = read_text(file);
  Network to = random_network(kCfg, 6);
  const auto write_value = [&](size_t at, float value) {
    std::string bytes = good;
    std::memcpy(bytes.data() + kHeader + 4 * at, &value, 4);
    write_file(file, bytes);
  };
  const auto with_value = [&](size_t at, float value) {
    write_value(at, value);
    return refusal(to, file);
  };
  EXPECT_NE(with_value(kLayer0 + 1, std::numeric_limits<float>::quiet_NaN()).find("layer 2 [convolutional] biases[1] = nan"), std::string::npos);
  EXPECT_NE(with_value(20, std::numeric_limits<float>::infinity()).find("layer 0 [convolutional] weights[4] = inf"), std::string::npos);
  EXPECT_NE(with_value(13, -.5f).find("rolling_variance[1] = -0.5"), std::string::npos);
  write_value(13, 0.f);
  EXPECT_TRUE(load_weights(to, file).complete());
}

TEST(weights_file, dontload_keys_consume_nothing) {
  const test::TestFolder folder("weights");
  const Network from = random_network();
  std::string bytes(kHeader, '\0');
  const int32_t version[3] = {0, 2, 5};
  std::memcpy(bytes.data(), version, 12);
  const std::vector<float> all = values(from);
  const char* floats = reinterpret_cast<const char*>(all.data());
  // A file without layer 2, for a cfg that says so.
  write_file(folder / "a.weights", bytes + std::string(floats, 4 * kLayer0) + std::string(floats + 4 * (kLayer0 + kLayer2), 4 * kLayer3));
  Network to = random_network(with("dontload=1", 1), 6);
  const std::vector<float> before = values(to);
  EXPECT_TRUE(load_weights(to, folder / "a.weights").complete());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(values(to)[i], i >= kLayer0 && i < kLayer0 + kLayer2 ? before[i] : values(from)[i]) << i;
  // Without scales and statistics of layer 0.
  write_file(folder / "b.weights", bytes + std::string(floats, 16) + std::string(floats + 64, 4 * (kLayer0 - 16 + kLayer2 + kLayer3)));
  Network other = random_network(with("dontloadscales=1", 0), 7);
  const std::vector<float> other_before = values(other);
  EXPECT_TRUE(load_weights(other, folder / "b.weights").complete());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(values(other)[i], i >= 4 && i < 16 ? other_before[i] : values(from)[i]) << i;
  // A snapshot of such a network holds everything, and resuming takes everything.
  save_weights(from, folder / "c.weights", 64);
  EXPECT_TRUE(load_weights(to, folder / "c.weights").complete());
  EXPECT_EQ(values(to), values(from));
}

TEST(weights_file, never_writes_broken_weights) {
  const test::TestFolder folder("weights");
  const fs::path file = folder / "a.weights";
  Network network = random_network();
  save_weights(network, file, 1);
  const std::string before = read_text(file);
  network.params().values()[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(save_weights(network, file, 2), Error);
  EXPECT_EQ(read_text(file), before);
}

}  // namespace
}  // namespace dn
