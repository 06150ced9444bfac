// The weights of a network as safetensors: round trips, parts, and every kind of file that must be refused without touching the network.
#include "train/tensor_weights.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <limits>

#include "base/rng.h"
#include "data/test_folder.h"
#include "train/safetensors.h"
#include "train/structure.h"
#include "tests/harness/weights.h"

namespace dn {
namespace {

using testing::values;

// Layer 0: 2 biases, 2 scales, 2 means, 2 variances, 2*3*1 weights = 14 floats; layer 1: none; layer 2: 2 + 2*2 = 6; layer 3: 3 + 3*2*9 = 57.
constexpr std::string_view kCfg =
    "[net]\nbatch=1\nsubdivisions=1\nwidth=16\nheight=16\nchannels=3\n"
    "[convolutional]\nbatch_normalize=1\nfilters=2\nsize=1\nactivation=leaky\n"
    "[maxpool]\nsize=2\nstride=2\n"
    "[convolutional]\nfilters=2\nsize=1\nactivation=linear\n"
    "[convolutional]\nfilters=3\nsize=3\npad=1\nactivation=linear\n";
constexpr size_t kLayer0 = 14, kLayer2 = 6, kLayer3 = 57;

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}
std::string cfg(std::string_view from = "batch=1", std::string_view to = "batch=1") { return replaced(std::string(kCfg), from, to); }

Network random_network(const std::string& text = std::string(kCfg), uint64_t seed = 5) { return testing::random_network(text, seed); }

class tensor_weights : public ::testing::Test {
 public:
  fs::path file(const std::string& name) const { return folder_.path / name; }
  // Without the syncing of write_file.
  fs::path put(const std::string& bytes, const std::string& name = "t.safetensors") const {
    std::ofstream(file(name), std::ios::binary) << bytes;
    return file(name);
  }
  std::string saved(const Network& network, uint64_t seen = 64, int layers = INT_MAX) const {
    save_weights(network, file("saved.safetensors"), seen, layers);
    return read_text(file("saved.safetensors"));
  }
  // A file of a header and random floats.
  fs::path put(const SafetensorsHeader& header) const {
    Rng rng(9, RandomUse::test);
    std::string bytes = safetensors_header_bytes(header);
    for (uint64_t i = 0; !header.tensors.empty() && i < header.tensors.back().end / 4; ++i) {
      const auto value = static_cast<float>(rng.uniform(.1, 1));
      bytes.append(reinterpret_cast<const char*>(&value), 4);
    }
    return put(bytes);
  }

 private:
  test::TestFolder folder_{"tensors"};
};

// The tensors of a network's own file but those whose names `drop` is the beginning of.
SafetensorsHeader header_without(const std::string& bytes, std::string_view drop) {
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  const SafetensorsHeader whole = parse_safetensors_header(std::string_view(bytes).substr(8, length), bytes.size() - 8 - length, "whole");
  SafetensorsHeader kept;
  kept.metadata = whole.metadata;
  for (const TensorEntry& tensor : whole.tensors)
    if (!tensor.name.starts_with(drop)) kept.add(tensor.name, tensor.shape);
  return kept;
}

std::string refusal(Network& network, const fs::path& path, int cutoff = INT_MAX) {
  const std::vector<float> before = values(network);
  const uint64_t version = network.params().version();
  std::string message;
  try {
    load_weights(network, path, cutoff);
  } catch (const Error& e) {
    message = e.what();
    EXPECT_TRUE(message.starts_with(path.string())) << message;
  }
  if (!message.empty()) {
    EXPECT_EQ(values(network), before) << "a refused file must leave the network alone";
    EXPECT_EQ(network.params().version(), version);
  }
  return message;
}

std::string warnings_of(Network& network, const fs::path& path, int cutoff = INT_MAX) {
  ::testing::internal::CaptureStderr();
  load_weights(network, path, cutoff);
  return ::testing::internal::GetCapturedStderr();
}

TEST_F(tensor_weights, round_trip) {
  Network from = random_network();
  from.params().norm_state(0).updates = 123;
  const std::string bytes = saved(from, 123456789012345ull);
  Network to = random_network(std::string(kCfg), 6);
  const uint64_t version = to.params().version();
  const WeightsInfo info = load_weights(to, file("saved.safetensors"));
  EXPECT_EQ(values(to), values(from));
  EXPECT_EQ(info.seen, 123456789012345ull);
  EXPECT_TRUE(info.complete());
  EXPECT_EQ(to.params().norm_updates(0), 123);
  EXPECT_GT(to.params().version(), version);
  EXPECT_EQ(saved(to, info.seen), bytes);
  EXPECT_EQ(warnings_of(to, file("saved.safetensors")), "");
}

TEST_F(tensor_weights, names_shapes_and_metadata) {
  saved(random_network(), 64);
  const SafetensorsHeader header = read_safetensors_header(InputFile(file("saved.safetensors")));
  std::string text;
  for (const TensorEntry& tensor : header.tensors) text += concat(tensor.name, shape_text(tensor.shape), " ");
  EXPECT_EQ(text,
            "0.convolutional.biases[2] 0.convolutional.scales[2] 0.convolutional.rolling_mean[2] 0.convolutional.rolling_variance[2] "
            "0.convolutional.weights[2, 3, 1, 1] 2.convolutional.biases[2] 2.convolutional.weights[2, 2, 1, 1] 3.convolutional.biases[3] "
            "3.convolutional.weights[3, 2, 3, 3] ");
  EXPECT_EQ(header.metadata.at("darknet_format"), "1");
  EXPECT_EQ(header.metadata.at("seen"), "64");
  EXPECT_EQ(header.metadata.at("layers"), "4");
  EXPECT_EQ(header.metadata.at("structure_fnv1a64"), hex_text(structure_hash(random_network()), 16));
  EXPECT_EQ(header.metadata.at("0.convolutional.norm_updates"), "0");
  saved(random_network(cfg("[maxpool]\nsize=2\nstride=2\n[convolutional]\nfilters=2\nsize=1\n",
                           "[connected]\noutput=12\nbatch_normalize=1\n[convolutional]\nfilters=2\nsize=1\n")));
  for (const TensorEntry& tensor : read_safetensors_header(InputFile(file("saved.safetensors"))).tensors)
    if (tensor.name == "1.connected.weights") {
      EXPECT_EQ(tensor.shape, (std::vector<size_t>{12, 2 * 16 * 16}));
    }
}

TEST_F(tensor_weights, both_formats_hold_the_same) {
  const Network from = random_network();
  save_weights(from, file("a.weights"), 640);
  Network middle = random_network(std::string(kCfg), 6), to = random_network(std::string(kCfg), 7);
  const uint64_t seen = load_weights(middle, file("a.weights")).seen;
  save_weights(middle, file("b.SafeTensors"), seen);
  save_weights(to, file("c.weights"), load_weights(to, file("b.SafeTensors")).seen);
  EXPECT_EQ(read_text(file("c.weights")), read_text(file("a.weights")));
  EXPECT_EQ(to.params().norm_updates(0), ParamStore::kWarm);
}

TEST_F(tensor_weights, a_file_of_another_program_needs_no_metadata) {
  SafetensorsHeader header = header_without(saved(random_network()), "none");
  header.metadata.clear();
  std::reverse(header.tensors.begin(), header.tensors.end());
  SafetensorsHeader turned;
  for (const TensorEntry& tensor : header.tensors) turned.add(tensor.name, tensor.shape);
  Network to = random_network(std::string(kCfg), 6);
  const WeightsInfo info = load_weights(to, put(turned));
  EXPECT_TRUE(info.complete());
  EXPECT_EQ(info.seen, 0u);
  EXPECT_EQ(to.params().norm_updates(0), ParamStore::kWarm);
}

TEST_F(tensor_weights, the_last_layers_may_be_missing) {
  const Network from = random_network();
  saved(from, 64, 2);
  Network to = random_network(std::string(kCfg), 6);
  const std::vector<float> before = values(to);
  const WeightsInfo info = load_weights(to, file("saved.safetensors"));
  EXPECT_EQ(info.loaded, 2);
  EXPECT_EQ(info.layers, 4);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(values(to)[i], i < kLayer0 ? values(from)[i] : before[i]) << i;
  // A part says nothing of the layers behind it, so they may be others, and it is not warned of them.
  saved(from, 64, 3);
  Network other = random_network(cfg("filters=3\nsize=3\npad=1\nactivation=linear", "filters=5\nsize=3\npad=1\nactivation=leaky"), 6);
  EXPECT_EQ(warnings_of(other, file("saved.safetensors")), "");
  EXPECT_EQ(load_weights(other, file("saved.safetensors")).loaded, 3);
}

TEST_F(tensor_weights, cutoff_looks_at_the_first_layers_only) {
  const Network from = random_network();
  saved(from);
  Network to = random_network(cfg("filters=3\nsize=3", "filters=5\nsize=1"), 6);
  const std::vector<float> before = values(to);
  EXPECT_NE(refusal(to, file("saved.safetensors")), "");
  EXPECT_EQ(load_weights(to, file("saved.safetensors"), 3).loaded, 3);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(values(to)[i], i < kLayer0 + kLayer2 ? values(from)[i] : before[i]) << i;
}

TEST_F(tensor_weights, a_tensor_missing_before_others_is_named) {
  const std::string whole = saved(random_network());
  Network to = random_network(std::string(kCfg), 6);
  const auto message = [&](std::string_view drop) { return refusal(to, put(header_without(whole, drop))); };
  EXPECT_NE(message("2.convolutional.biases").find("layer 2 [convolutional] biases is missing; expected it, for 2.convolutional.weights is there"),
            std::string::npos);
  EXPECT_NE(message("2.").find("layer 2 [convolutional] biases is missing; expected it, for 3.convolutional.biases is there"), std::string::npos);
  EXPECT_NE(message("0.convolutional.rolling").find("layer 0 [convolutional] rolling_mean is missing"), std::string::npos);
  EXPECT_NE(message("").find("and so is all else"), std::string::npos);
}

TEST_F(tensor_weights, tensors_that_the_cfg_does_not_know_are_refused) {
  const SafetensorsHeader whole = header_without(saved(random_network()), "none");
  Network to = random_network(std::string(kCfg), 6);
  const auto message = [&](const std::string& name, int cutoff = INT_MAX) {
    SafetensorsHeader more = whole;
    more.add(name, {1});
    more.add("9.convolutional.biases", {1});
    return refusal(to, put(more), cutoff);
  };
  EXPECT_NE(message("1.maxpool.weights").find("tensor 1.maxpool.weights and 1 more: not in net.cfg: that layer of the cfg has no tensors"),
            std::string::npos);
  EXPECT_NE(message("2.convolutional.scales").find("has biases, weights"), std::string::npos);
  EXPECT_NE(message("2.connected.biases").find("layer 2 of the cfg is [convolutional]"), std::string::npos);
  EXPECT_NE(message("8.yolo.biases").find("tensor 8.yolo.biases and 1 more: not in net.cfg: the cfg has 4 layers, 0 to 3"), std::string::npos);
  for (const char* name : {"weights", "02.convolutional.weights", "-1.convolutional.weights", "2.convolutional", "2.a.b.c", "", "x.y.z"})
    EXPECT_NE(message(name).find("expected a name like"), std::string::npos) << name;
  EXPECT_EQ(message("8.yolo.biases", 3), "");
}

TEST_F(tensor_weights, another_shape_is_refused_with_both) {
  saved(random_network());
  for (const auto& [from, to] :
       {std::pair{"filters=3\nsize=3\npad=1", "filters=4\nsize=3\npad=1"}, {"filters=3\nsize=3\npad=1", "filters=3\nsize=1"}}) {
    Network network = random_network(cfg(from, to), 6);
    const std::string message = refusal(network, file("saved.safetensors"));
    EXPECT_NE(message.find(": layer 3 [convolutional] "), std::string::npos) << message;
    EXPECT_NE(message.find("; expected ["), std::string::npos) << message;
  }
  Network turned = random_network(cfg("filters=2\nsize=1\nactivation=linear\n[convolutional]\nfilters=3\nsize=3\npad=1",
                                      "filters=2\nsize=1\nactivation=linear\n[convolutional]\nfilters=27\nsize=1"),
                                  6);
  EXPECT_NE(refusal(turned, file("saved.safetensors")).find("biases is [3]; expected [27]"), std::string::npos);
}

TEST_F(tensor_weights, another_structure_is_a_warning) {
  saved(random_network());
  Network other = random_network(cfg("activation=leaky", "activation=mish"), 6);
  const std::string said = warnings_of(other, file("saved.safetensors"));
  EXPECT_NE(said.find("was written for another structure than that of net.cfg"), std::string::npos) << said;
  EXPECT_EQ(values(other), values(random_network()));
  Network trained = random_network(cfg("batch=1", "max_batches=77\nlearning_rate=.5\nbatch=1"), 6);
  EXPECT_EQ(warnings_of(trained, file("saved.safetensors")), "");
}

TEST_F(tensor_weights, values_that_cannot_be_are_refused) {
  const std::string good = saved(random_network());
  const size_t data = good.size() - 4 * (kLayer0 + kLayer2 + kLayer3);
  Network to = random_network(std::string(kCfg), 6);
  const auto with_value = [&](size_t at, float value) {
    std::string bytes = good;
    std::memcpy(bytes.data() + data + 4 * at, &value, 4);
    return refusal(to, put(bytes));
  };
  EXPECT_NE(with_value(kLayer0 + 1, std::numeric_limits<float>::quiet_NaN()).find("layer 2 [convolutional] biases[1] = nan"), std::string::npos);
  EXPECT_NE(with_value(9, -std::numeric_limits<float>::infinity()).find("layer 0 [convolutional] weights[1] = inf"), std::string::npos);
  EXPECT_NE(with_value(7, -.5f).find("rolling_variance[1] = -0.5"), std::string::npos);
  EXPECT_EQ(with_value(7, 0.f), "");
}

TEST_F(tensor_weights, metadata_that_cannot_be_is_refused) {
  const SafetensorsHeader whole = header_without(saved(random_network()), "none");
  Network to = random_network(std::string(kCfg), 6);
  const auto with = [&](const char* key, const char* value) {
    SafetensorsHeader header = whole;
    header.metadata[key] = value;
    return refusal(to, put(header));
  };
  EXPECT_NE(with("darknet_format", "2").find("darknet_format = 2; expected 1"), std::string::npos);
  for (const char* key : {"seen", "0.convolutional.norm_updates", "layers"})
    for (const char* value : {"", "-1", "x", "1.5", "99999999999999999999"}) EXPECT_NE(with(key, value).find(key), std::string::npos) << key << value;
  EXPECT_EQ(with("seen", "9223372036854775807"), "");
  EXPECT_EQ(with("0.convolutional.norm_updates", "9223372036854775807"), "");
  EXPECT_EQ(to.params().norm_updates(0), ParamStore::kWarm);
  EXPECT_EQ(with("anything", "else"), "");
}

TEST_F(tensor_weights, dontload_keys) {
  const Network from = random_network();
  const std::string whole = saved(from);
  Network to = random_network(cfg("filters=2\nsize=1\nactivation=linear", "filters=2\nsize=1\nactivation=linear\ndontload=1"), 6);
  const std::vector<float> before = values(to);
  EXPECT_TRUE(load_weights(to, put(header_without(whole, "2."))).complete());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(values(to)[i] == before[i], i >= kLayer0 && i < kLayer0 + kLayer2) << i;
  Network bare = random_network(cfg("batch_normalize=1", "batch_normalize=1\ndontloadscales=1"), 7);
  const std::vector<float> bare_before = values(bare);
  for (const char* missing : {"0.convolutional.rolling", "3."}) {  // a file without some of what is left out; a part that has it
    load_weights(bare, put(header_without(whole, missing)));
    for (size_t i = 2; i < 8; ++i) EXPECT_EQ(values(bare)[i], bare_before[i]) << i;
    EXPECT_EQ(bare.params().norm_updates(0), 0);
    EXPECT_NE(values(bare)[0], bare_before[0]);
  }
  // A snapshot holds everything, and resuming takes everything.
  for (Network* network : {&to, &bare}) {
    EXPECT_TRUE(load_weights(*network, file("saved.safetensors")).complete());
    EXPECT_EQ(values(*network), values(from));
  }
}

TEST_F(tensor_weights, every_truncation_is_refused) {
  const std::string good = saved(random_network());
  Network to = random_network(std::string(kCfg), 6);
  EXPECT_NE(refusal(to, put(good + '\0')), "");
  for (size_t size = good.size(); size-- > 0;) {
    fs::resize_file(file("saved.safetensors"), size);
    ASSERT_NE(refusal(to, file("saved.safetensors")), "") << size;
  }
  EXPECT_NE(refusal(to, file("missing.safetensors")), "");
}

TEST_F(tensor_weights, flipped_bits_of_the_header_are_refused_or_harmless) {
  const Network from = random_network();
  const std::string good = saved(from);
  const size_t header = good.size() - 4 * (kLayer0 + kLayer2 + kLayer3);
  Network to = random_network(std::string(kCfg), 6);
  size_t taken = 0;
  std::fstream stream(file("saved.safetensors"), std::ios::binary | std::ios::in | std::ios::out);
  const auto overwrite = [&](size_t at, char value) { stream.seekp(static_cast<std::streamoff>(at)).put(value).flush(); };
  ::testing::internal::CaptureStderr();  // where the structure's number was hit
  for (size_t i = 0; i < 8 * header; ++i) {
    overwrite(i / 8, static_cast<char>(good[i / 8] ^ (1 << i % 8)));
    const bool refused = !refusal(to, file("saved.safetensors")).empty();
    overwrite(i / 8, good[i / 8]);
    if (refused) continue;
    ++taken;
    ASSERT_EQ(values(to), values(from)) << i;
  }
  ::testing::internal::GetCapturedStderr();
  EXPECT_GT(taken, 0u);
  EXPECT_LT(taken, 8 * header / 4);
}

TEST_F(tensor_weights, a_huge_header_length_takes_no_memory) {
  std::string bytes = saved(random_network());
  Network to = random_network(std::string(kCfg), 6);
  for (const uint64_t length :
       {uint64_t{bytes.size() - 7}, kMaxSafetensorsHeader + 1, uint64_t{1} << 40, uint64_t{1} << 63, UINT64_MAX, UINT64_MAX - 7}) {
    std::memcpy(bytes.data(), &length, 8);
    EXPECT_NE(refusal(to, put(bytes)).find(concat("a header of ", length, " bytes")), std::string::npos);
  }
}

TEST_F(tensor_weights, never_writes_broken_weights) {
  Network network = random_network();
  const std::string before = saved(network);
  network.params().values()[1] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(saved(network), Error);
  EXPECT_EQ(read_text(file("saved.safetensors")), before);
}

}  // namespace
}  // namespace dn
