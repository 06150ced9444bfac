// Every layer's output at inference, without folding and with it, against the reference outputs recorded from the family
// (golden/forward: net.cfg, net.weights, input.npy, layerNNN.npy). A case whose section is not built is reported by name as skipped.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "device/cpu/device.h"
#include "graph/plan.h"
#include "layers/registry.h"
#include "tests/harness/check_layer.h"
#include "tests/harness/gpu.h"
#include "tests/npy.h"
#include "train/weights_file.h"

namespace dn {
namespace {

std::vector<std::string> cases() {
  std::vector<std::string> names;
  const std::string folder = testing::golden_folder();
  if (folder.empty()) return {"absent"};
  for (const auto& entry : fs::directory_iterator(fs::path(folder) / "forward")) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

// A section type that belongs to a later stage.
std::string not_built(const fs::path& cfg) {
  Problems ignored;
  for (const Section& section : read_sections(cfg, ignored))
    if (section.type != "net" && !find_layer_type(section.type)) return concat("section [", section.type, "] is not built yet");
  return {};
}

// Elements where the recorded program computes something else than it defines; ours follows the definition (compatibility notes 4.3 and 4.5).
struct RecordedDefect {
  std::string_view name;
  int layer, first_channel, last_channel, columns;   // columns 0 .. columns-1
  std::string_view why;
};
constexpr std::string_view kPool =
    "the recording program's 8-wide pooling decides by its first column whether a window column is inside the image, so the first eight outputs of a row "
    "miss what lies left of the window's middle";
constexpr std::string_view kShortcut = "the recording program adds memory behind the narrower source to the channels that the source does not have";
constexpr RecordedDefect kDefects[] = {{"spp", 1, 0, 7, 8, kPool},    {"spp", 3, 0, 7, 8, kPool}, {"spp", 6, 8, 23, 8, kPool},
                                       {"shortcut_channels", 4, 8, 15, 20, kShortcut}};

const RecordedDefect* defect(std::string_view name, int layer, int channel, int column) {
  for (const RecordedDefect& d : kDefects)
    if (d.name == name && d.layer == layer && channel >= d.first_channel && channel <= d.last_channel && column < d.columns) return &d;
  return nullptr;
}

class golden_forward : public ::testing::TestWithParam<std::string> {};

// name: of the case; tolerance: of a layer's largest entry; slices: PlanOptions::slices.
void expect_recorded_outputs(const std::string& name, Device& device, double tolerance, bool slices = true) {
  if (name == "absent") GTEST_SKIP() << "no folder of reference outputs";
  const fs::path folder = fs::path(testing::golden_folder()) / "forward" / name;
  if (const std::string reason = not_built(folder / "net.cfg"); !reason.empty()) GTEST_SKIP() << reason;
  Network network = Network::from_cfg(folder / "net.cfg");
  load_weights(network, folder / "net.weights");
  const testing::Npy input = testing::read_npy(folder / "input.npy");
  Plan plan(network, device, network.input(1), {.slices = slices, .keep_outputs = true});
  plan.set_input(input.data.data());
  plan.forward({});
  for (const auto& layer : network.layers()) {
    if (std::ranges::count(plan.report().summing_layers, layer->index()) > 0) continue;
    std::string number = concat(layer->index());
    testing::Npy expected = testing::read_npy(folder / concat("layer", std::string(3 - number.size(), '0'), number, ".npy"));
    const Tensor got = plan.output(layer->index());
    const Shape& s = got.desc.shape;
    // What is recorded of a blurred layer is the buffer of its own, larger output, at whose beginning the blurred one was put.
    if (layer->section().find("antialiasing") && expected.data.size() > s.per_image()) expected.data.resize(s.per_image());
    ASSERT_EQ(s.per_image(), expected.data.size()) << layer->where();
    double largest = 0;
    for (const float v : expected.data) largest = std::max(largest, std::abs(static_cast<double>(v)));
    size_t at = 0;
    for (int c = 0; c < s.c; ++c)
      for (int y = 0; y < s.h; ++y)
        for (int x = 0; x < s.w; ++x, ++at) {
          if (const RecordedDefect* known = defect(name, layer->index(), c, x)) {
            ::testing::Test::RecordProperty(concat("left_out_of_layer_", layer->index()), std::string(known->why));
            continue;
          }
          ASSERT_NEAR(expected.data[at], got.at(0, c, y, x), tolerance * largest) << layer->where() << " [" << c << "," << y << "," << x << "]";
        }
  }
}

TEST_P(golden_forward, every_layer) {
  cpu::Device device;
  expect_recorded_outputs(GetParam(), device, 1e-5);
}

TEST_P(golden_forward, every_layer_on_a_gpu) {
  cuda::Device device(testing::gpu_options(cuda::Precision::fp32));
  for (const bool slices : {true, false}) expect_recorded_outputs(GetParam(), device, 2e-5, slices);
}

INSTANTIATE_TEST_SUITE_P(reference, golden_forward, ::testing::ValuesIn(cases()), [](const auto& test) { return test.param; });

}  // namespace
}  // namespace dn
