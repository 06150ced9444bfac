// Every network in cfg/ at work, at a small input: weights written by another program load to the last byte, the network infers, and one iteration of
// training moves what it is to move.
#include <gtest/gtest.h>

#include <cmath>

#include "data/test_folder.h"
#include "device/cpu/device.h"
#include "graph/plan.h"
#include "nn/detection.h"
#include "tests/harness/program.h"
#include "train/optimizer.h"
#include "train/weights_file.h"

namespace dn {
namespace {

using testing::replaced;

const fs::path kCfgs = fs::path(DN_SOURCE_DIR) / "cfg";
const fs::path kGenerator = fs::path(DN_SOURCE_DIR) / "../shared/tools/dkweights.py";

std::vector<std::string> cfg_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kCfgs))
    if (entry.path().extension() == ".cfg") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string with(const std::string& text, const char* key, int value) {
  return replaced(text, concat("(^|\n)(", key, " = )[0-9]+"), concat("$01$02", value));
}

// The coarsest grid has two cells in each direction, or the input 64 pixels.
std::string reduced(const std::string& text) {
  const Network network = Network::from_text(text);
  const std::vector<Shape> shapes = network.output_shapes(network.input(1));
  int stride = 32;
  for (size_t i = 0; i < shapes.size(); ++i)
    if (shapes[i].w > 1) stride = std::max(stride, network.spec().width / shapes[i].w);
  std::string small = text;
  for (const char* key : {"width", "height", "crop_width", "crop_height"}) small = with(small, key, 2 * stride);
  return with(with(small, "batch", 2), "subdivisions", 1);
}

// One that has numpy, which the generator of weights needs; empty: none.
std::string python() {
  const test::TestFolder folder("python");
  for (const char* program : {"/usr/bin/python3", "/usr/local/bin/python3"})
    if (fs::exists(program) && testing::Running(folder.path, {"-c", "import numpy"}, program).finish().code == 0) return program;
  return {};
}

// What a .weights file of the network holds behind its header of 20 bytes.
size_t floats(const Network& network) {
  size_t count = 0;
  for (const ParamSegment& segment : network.params().segments()) count += segment.spec.count;
  return count;
}

// The generator of weights knows neither; [crop] has none and, with a window as large as its input, leaves the shape alone.
bool known_to_generator(const std::string& text) { return text.find("[local]") == std::string::npos; }
std::string for_generator(const std::string& text) { return replaced(text, "\\[crop\\]", "[empty]"); }

class Zoo : public ::testing::TestWithParam<std::string> {
 protected:
  Zoo() : text_(reduced(read_text(kCfgs / (GetParam() + ".cfg")))), network_(Network::from_text(text_, GetParam())), device_(cpu::DeviceOptions{}) {
    const Shape input = network_.input(2);
    images_.resize(input.count());
    Rng rng(4, RandomUse::test);
    for (float& v : images_) v = static_cast<float>(rng.uniform(0, 1));
  }

  // As a fresh network; of normalizations as if trained: with a variance of 0, every one would multiply by 300.
  void initialize() {
    network_.params().initialize(3);
    for (const ParamSegment& segment : network_.params().segments())
      if (segment.spec.role == ParamRole::running_variance) std::ranges::fill(network_.params().values(segment), 1.0f);
  }

  void expect_finite(const Plan& plan) const {
    for (const int layer : network_.head_layers()) {
      const Tensor y = plan.output(layer);
      for (size_t i = 0; i < y.desc.count(); ++i) ASSERT_TRUE(std::isfinite(y.data[i])) << "layer " << layer << " at " << i;
    }
  }

  std::string text_;
  Network network_;
  cpu::Device device_;
  std::vector<float> images_;
};

TEST_P(Zoo, LoadsForeignWeightsAndInfers) {
  static const std::string python = dn::python();
  const test::TestFolder folder("zoo");
  const bool expressible = weights_extension(network_) == ".weights", foreign = fs::exists(kGenerator) && !python.empty() && expressible && known_to_generator(text_);
  if (foreign) {
    write_file(folder / "net.cfg", for_generator(text_));
    const testing::Finished made = testing::Running(folder.path, {fs::absolute(kGenerator).string(), "net.cfg", "net.weights"}, python).finish();
    ASSERT_EQ(made.code, 0) << made.err;
  } else {
    initialize();
    if (expressible) save_weights(network_, folder / "net.weights", 0);
  }
  if (expressible) {
    EXPECT_TRUE(load_weights(network_, folder / "net.weights").complete());
    EXPECT_EQ(fs::file_size(folder / "net.weights"), 20 + 4 * floats(network_));
  }
  Plan plan(network_, device_, network_.input(2), {});
  plan.set_input(images_.data());
  plan.forward({});
  expect_finite(plan);
  std::vector<Detection> found;
  const auto heads = network_.heads();
  const auto layers = network_.head_layers();
  for (size_t i = 0; i < heads.size(); ++i) heads[i]->decode(plan.output(layers[i]), 1, network_.input(2), {.threshold = 0}, found);
  EXPECT_EQ(found.empty(), heads.empty());
  if (!foreign) GTEST_SKIP() << "infers, but with weights of this program: the generator or numpy is missing, or .weights or the generator cannot express a section";
}

// A classifier of 1000 classes as a detector with one cell and one anchor of 995: its layers learn, although this program trains no classifiers.
std::string as_detector(const std::string& text) {
  return replaced(text, "\\[softmax\\]\ngroups = 1", "[yolo]\nmask = 0\nnum = 1\nanchors = 32,32\nclasses = 995");
}

TEST_P(Zoo, LearnsFromOneBatch) {
  if (network_.heads().empty()) network_ = Network::from_text(as_detector(text_), GetParam());
  initialize();
  Plan plan(network_, device_, network_.input(2), {.training = true});
  network_.params().allocate_grads();
  Optimizer optimizer(network_.params(), {.batch = 2, .threads = device_.threads()});
  const std::vector<float> before(network_.params().values().begin(), network_.params().values().end());
  const std::vector<std::vector<TruthBox>> truth = {{{{.3f, .4f, .2f, .3f}, 0}, {{.7f, .6f, .5f, .6f}, 1}}, {{{.5f, .5f, .1f, .1f}, 0}}};
  optimizer.begin_batch();
  Pass pass{.training = true};
  pass.truth = truth;
  plan.set_input(images_.data());
  plan.forward(pass);
  expect_finite(plan);
  plan.backward(pass);
  int64_t truths = 0;
  for (const int layer : network_.head_layers()) {
    EXPECT_TRUE(std::isfinite(plan.loss(layer).cost));
    EXPECT_GT(plan.loss(layer).cost, 0);
    truths += plan.loss(layer).assigned;
  }
  EXPECT_GT(truths, 0);
  const UpdateReport update = optimizer.update(1e-3);
  ASSERT_TRUE(update.applied) << (update.broken ? update.broken->spec.name : "");
  for (const ParamSegment& segment : network_.params().segments()) {
    const auto values = network_.params().values(segment);
    EXPECT_FALSE(std::equal(values.begin(), values.end(), before.begin() + static_cast<ptrdiff_t>(segment.offset)))
        << "layer " << segment.layer << " " << segment.spec.name << " did not move";
  }
}

INSTANTIATE_TEST_SUITE_P(Cfg, Zoo, ::testing::ValuesIn(cfg_names()), [](const auto& instance) {
  std::string name = instance.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace dn
