// Memory of a GPU that does not suffice: what is said, which subdivisions are found, what is counted. On the emulated GPU, which has as much as one says.
#include "tests/harness/gpu_program.h"
#include "tests/harness/patterns.h"
#include "train/memory_estimate.h"
#include "train/training_plan.h"

namespace dn {
namespace {

using cuda::Precision;
using testing::distance;
using testing::refusal;
using testing::tiny_cfg;

// A GPU with room for some of the mini-batches.
class GpuMemory : public testing::GpuProgram {
 public:
  static void SetUpTestSuite() {
    GpuProgram::SetUpTestSuite();
    std::string cfg = tiny_cfg(3);
    cfg.replace(cfg.find("batch=4\nsubdivisions=2\nwidth=64\nheight=64"), 41, "batch=8\nsubdivisions=1\nwidth=128\nheight=128");
    write_file(file("large.cfg"), cfg);
    // With layers enough that there is something to compute again.
    std::string deep = tiny_cfg(3);
    deep.replace(deep.find("batch=4\nsubdivisions=2"), 22, "batch=8\nsubdivisions=1");
    const std::string more = "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\nstride=1\npad=1\nactivation=leaky\n";
    const size_t second = deep.find("[convolutional]", deep.find("[convolutional]") + 1);
    write_file(file("deep.cfg"), deep.insert(second, more + more + more + more));
  }
  void SetUp() override {
    GpuProgram::SetUp();
    if (testing::on_real_gpu()) GTEST_SKIP() << "a real GPU has the memory that it has";
  }
  static size_t arena(int mini_batch, const std::string& cfg = "large.cfg") {
    Network network = Network::from_cfg(file(cfg));
    cuda::Device device(testing::gpu_options(Precision::fp32));
    return Plan(network, device, network.input(mini_batch), PlanOptions{.training = true, .only_planned = true}).report().arena_bytes;
  }
  // Not quite enough for 8 images at once.
  static TrainOptions short_of_memory(const std::string& cfg = "large.cfg") {
    TrainOptions how = options(cfg, true);
    how.device.gpu.emulated_bytes = arena(8, cfg);
    return how;
  }
  // The least memory, in steps of 32 KiB, with which a training would begin.
  static size_t least_memory(TrainOptions how, size_t arena) {
    size_t less = arena, enough = 16 * arena;
    while (enough - less > size_t{32} << 10) {
      how.device.gpu.emulated_bytes = (less + enough) / 2;
      (refusal([&] { quietly([&] { Trainer trainer(how); }); }).empty() ? enough : less) = how.device.gpu.emulated_bytes;
    }
    return enough;
  }
};

TEST_F(GpuMemory, a_plan_that_is_only_looked_at_takes_none) {
  Network network = Network::from_cfg(file("large.cfg"));
  cuda::DeviceOptions options = testing::gpu_options(Precision::fp32);
  options.emulated_bytes = size_t{1} << 20;
  cuda::Device device(options);
  const size_t before = device.stream().free_bytes();
  const Plan plan(network, device, network.input(8), PlanOptions{.training = true, .only_planned = true});
  EXPECT_GT(plan.report().arena_bytes, options.emulated_bytes);
  EXPECT_GT(plan.report().forward_steps, 4);
  EXPECT_LT(before - device.stream().free_bytes(), size_t{1} << 20);  // parameters
  EXPECT_NE(refusal([&] { device.allocate(options.emulated_bytes); }).find("the GPU has not 1.0 MiB of memory left"), std::string::npos);
}

TEST_F(GpuMemory, the_message_says_which_subdivisions_would_fit) {
  const std::string said = refusal([] { Trainer trainer(short_of_memory()); });
  EXPECT_NE(said.find("8 images of 128 x 128 need "), std::string::npos) << said;
  EXPECT_NE(said.find(" that are free on the GPU: expected subdivisions = 2 (-auto_subdivisions takes them)"), std::string::npos) << said;
  TrainOptions none = short_of_memory();
  none.device.gpu.emulated_bytes = arena(1) / 2;
  none.auto_subdivisions = true;
  const std::string nothing = refusal([&] { Trainer trainer(none); });
  EXPECT_NE(nothing.find("expected a smaller input"), std::string::npos) << nothing;
  none.device.gpu.emulated_bytes = 20000;
  const std::string not_even = refusal([&] { Trainer trainer(none); });
  EXPECT_NE(not_even.find("large.cfg: its parameters, gradients and what the optimizer keeps need "), std::string::npos) << not_even;
}

TEST_F(GpuMemory, subdivisions_are_found) {
  TrainOptions how = short_of_memory();
  how.auto_subdivisions = true;
  const Run found = train(how);
  EXPECT_EQ(found.subdivisions, 2);
  EXPECT_NE(found.said.find("subdivisions = 2 instead of 1 (-auto_subdivisions): 8 images per update = 2 x 4; batch normalization sees 4 images at a "
                            "time instead of 8"),
            std::string::npos)
      << found.said;
  write_file(file("halves.cfg"), [] {
    std::string cfg = read_text(file("large.cfg"));
    return cfg.replace(cfg.find("subdivisions=1"), 14, "subdivisions=2");
  }());
  EXPECT_LT(distance(train(options("halves.cfg", false)).values, found.values), 1e-4);
}

TEST_F(GpuMemory, memory_that_is_named_has_things_computed_again) {
  TrainOptions how = short_of_memory("deep.cfg");
  const std::string said = refusal([&] { Trainer trainer(how); });
  const testing::Groups found = testing::first_match(said, R"(-memory (\d+)M or more, which computes again)");
  ASSERT_FALSE(found.empty()) << said;
  how.memory = static_cast<size_t>(std::stoi(found[1])) << 20;
  const Run again = train(how);
  EXPECT_EQ(again.subdivisions, 1);
  EXPECT_LT(distance(train(options("deep.cfg", false)).values, again.values), 1e-4);
}

// Without a GPU, in the memory that is named.
TEST_F(GpuMemory, subdivisions_are_found_on_the_cpu_too) {
  TrainOptions how = options("large.cfg", false);
  how.auto_subdivisions = true;
  Network network = Network::from_cfg(how.cfg);
  cpu::Device device(how.device.cpu);
  const PlanOptions planned{.training = true, .only_planned = true};
  how.memory = estimate_training(network, {}, 128, 128).total() +
               Plan(network, device, network.input(4), planned).report().arena_bytes * 3 / 2;  // more than for 4 images
  const Run run = train(how);
  EXPECT_EQ(run.subdivisions, 2);
  EXPECT_NE(run.said.find("instead of 1 (-auto_subdivisions): 8 images per update = 2 x 4"), std::string::npos) << run.said;
}

// Another program takes memory that was free: so much remains as in short_of_memory.
TEST_F(GpuMemory, memory_may_be_gone_when_the_plan_is_made) {
  TrainOptions how = options("large.cfg", true);
  how.device.gpu.emulated_bytes = 3 * arena(8);
  how.device.gpu.emulated_others = 2 * arena(8);
  const std::string said = refusal([&] { Trainer trainer(how); });
  EXPECT_EQ(said.find("the GPU has not "), 0u) << said;
  EXPECT_NE(said.find("large.cfg: the activations of 8 images of 128 x 128 need "), std::string::npos) << said;
  EXPECT_NE(said.find(" that are free on the GPU: expected subdivisions = 2 (-auto_subdivisions takes them)"), std::string::npos) << said;
  how.auto_subdivisions = true;
  EXPECT_EQ(train(how).subdivisions, 2);
}

// In the course of the run, by its first images.
TEST_F(GpuMemory, memory_may_be_gone_later) {
  TrainOptions how = options("large.cfg", true);
  const size_t least = least_memory(how, arena(8));
  how.device.gpu.emulated_bytes = 4 * least;
  std::string said;
  for (size_t less = 0, enough = least; said.find("drawing images") != 0;) {
    ASSERT_GT(enough - less, 4096u) << said;
    const size_t left = (less + enough) / 2;
    how.device.gpu.emulated_others = 4 * least - left;
    said = refusal([&] { train(how); });
    (said.empty() ? enough : less) = left;
  }
  EXPECT_EQ(said.find("drawing images: the GPU has not "), 0u) << said;
  EXPECT_NE(said.find("large.cfg: the activations of 8 images of 128 x 128 need "), std::string::npos) << said;
  EXPECT_NE(said.find(": expected subdivisions = 2 (-auto_subdivisions takes them)"), std::string::npos) << said;
  EXPECT_TRUE(fs::exists(file("set/backup/large_last.weights")));
}

// What the check lets pass ends well: everything that a run takes is counted.
TEST_F(GpuMemory, what_is_let_in_has_room) {
  const auto copy = [](const std::string& name, const std::string& keys, const std::string& head) {
    std::string cfg = tiny_cfg(5, keys, head);
    write_file(file(name), cfg.replace(cfg.find("batch=4\nsubdivisions=2"), 22, "batch=8\nsubdivisions=1"));
    return name;
  };
  for (const std::string& cfg : {copy("plain.cfg", "", ""), copy("much.cfg", "mosaic=1\nblur=9\ngaussian_noise=20\nadam=1\nema_alpha=.9\n", ""),
                                 copy("mixed.cfg", "mixup=1\nblur=1\n", "random=1\n")}) {
    TrainOptions how = options(cfg, true);
    how.map = true;
    const size_t least = least_memory(how, arena(8, cfg));
    how.device.gpu.emulated_bytes = least;
    EXPECT_EQ(refusal([&] { train(how); }), "") << cfg;
  }
}

// Sequences last two mini-batches of the four, before and after.
TEST_F(GpuMemory, sequences_keep_their_length) {
  const auto cfg = [](const std::string& name, const std::string& subdivisions) {
    write_file(file(name),
               concat("[net]\nwidth=64\nheight=64\nchannels=3\nlearning_rate=.001\nmax_batches=1\ntrack=1\nbatch=4\ntime_steps=2\n", subdivisions,
                      "[convolutional]\nsize=3\nstride=4\npad=1\nfilters=16\nactivation=leaky\n[conv_lstm]\npad=1\noutput=4\n"
                      "[convolutional]\nsize=1\nfilters=33\nactivation=linear\n[yolo]\nmask=0,1,2\nanchors=8,8, 16,16, 32,32\nclasses=6\nnum=3\n"));
    return name;
  };
  TrainOptions how = options(cfg("chain.cfg", "subdivisions=2\nsequential_subdivisions=1\n"), true);
  how.device.gpu.emulated_bytes = arena(4, "chain.cfg");
  const std::string said = refusal([&] { Trainer trainer(how); });
  EXPECT_NE(said.find(": expected subdivisions = 4 with sequential_subdivisions = 2 (-auto_subdivisions takes them)"), std::string::npos) << said;
  how.auto_subdivisions = true;
  const Run found = train(how);
  EXPECT_EQ(found.subdivisions, 4);
  EXPECT_NE(found.said.find("8 images per update = 4 x 2; sequences last 4 frames as before, fewer of them side by side"), std::string::npos)
      << found.said;
  const Run written = train(options(cfg("written.cfg", "subdivisions=4\nsequential_subdivisions=2\n"), true));
  EXPECT_EQ(distance(written.values, found.values), 0);
}

TEST(Subdivisions, keep_sequences_and_pairs_together) {
  NetSpec net;
  net.batch = 24;
  net.subdivisions = 2;
  EXPECT_EQ(more_subdivisions(net), (std::vector<int>{3, 4, 6, 8, 12, 24}));
  net.time_steps = 4;
  EXPECT_EQ(more_subdivisions(net), (std::vector<int>{3, 6}));
  net.chain = 2;  // sequences of two mini-batches
  EXPECT_EQ(more_subdivisions(net), (std::vector<int>{6}));
  net.time_steps = net.chain = 1;
  net.contrastive = true;
  EXPECT_EQ(more_subdivisions(net), (std::vector<int>{3, 4, 6, 12}));  // of 8 mini-batches each would have an image without its other
}

}  // namespace
}  // namespace dn
