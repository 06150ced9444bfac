// What a user sees of GPUs: the options that choose one, a machine without, what a cfg would take there, memory that does not suffice, a training there, and
// the comparison with the CPU. On the emulated GPU, or on the one that $DN_GPU names.

#include <cmath>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "tests/harness/gpu.h"
#include "tests/harness/program.h"
#include "train/banner.h"
#include "train/device_check.h"
#include "train/memory_estimate.h"
#include "train/training_plan.h"

namespace dn {
namespace {

using cuda::Precision;
using testing::Finished;
using testing::first_match;
using testing::Groups;
using testing::match_count;
using testing::matches;
using testing::Running;
using testing::tiny_cfg;
using Which = DeviceChoice::Which;

DeviceChoice chosen(std::vector<std::string> options) {
  options.insert(options.begin(), {"detector", "train", "a.data", "a.cfg"});
  return cli::device_choice(cli::parse(cli::table(), options));
}

std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

TEST(GpuOptions, choose_the_device) {
  EXPECT_EQ(chosen({}).which, Which::automatic);
  EXPECT_EQ(chosen({"-i", "3"}).which, Which::gpu);
  EXPECT_EQ(chosen({"-i", "3"}).gpu.gpu, 3);
  EXPECT_EQ(chosen({"-i", "-1"}).which, Which::cpu);
  EXPECT_EQ(chosen({"-nogpu"}).which, Which::cpu);
  EXPECT_EQ(chosen({"-nogpu", "-i", "0"}).which, Which::cpu);
  EXPECT_EQ(chosen({"-gpus", "2"}).gpu.gpu, 2);
  EXPECT_EQ(chosen({"-threads", "3"}).cpu.threads, 3);
  for (const char* wrong : {"x", "0,x", "-2", ""}) EXPECT_NE(refusal([&] { chosen({concat("-gpus=", wrong)}); }), "") << wrong;
}

TEST(GpuOptions, several_gpus_are_one_line) {
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(chosen({"-gpus", "1,0", "-i", "5"}).gpu.gpu, 1);   // as in the family -gpus counts
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(said, "warning: -gpus 1,0: one GPU computes at a time; it is the first, 1\n");
}

TEST(GpuOptions, precision_and_algorithms) {
  EXPECT_EQ(chosen({}).precision, std::nullopt);
  EXPECT_EQ(chosen({"-prec", "BF16"}).precision, Precision::bf16);
  EXPECT_EQ(chosen({"-prec", "tf32"}).precision, Precision::tf32);
  EXPECT_EQ(chosen({"-prec", "fp16"}).precision, Precision::fp16);
  EXPECT_EQ(refusal([] { chosen({"-prec", "int8"}); }), "option -prec = int8: expected bf16, tf32, fp32 or fp16");
  EXPECT_EQ(best_precision(75), Precision::fp32);
  EXPECT_EQ(best_precision(80), Precision::bf16);
  EXPECT_TRUE(chosen({}).gpu.convolutions.measure);
  EXPECT_TRUE(chosen({"-deterministic"}).gpu.convolutions.deterministic);
  EXPECT_FALSE(chosen({"-deterministic"}).gpu.convolutions.measure);
}

class Gpu : public testing::ProgramTest {
 public:
  static void SetUpTestSuite() {
    ProgramTest::SetUpTestSuite();
    make_directories(file("set/backup"));
    make_directories(file("elsewhere"));
  }
  // A training of this process. GPU: of the tests.
  static TrainOptions options(const std::string& cfg, bool gpu) {
    TrainOptions options;
    options.data = file("set/synth.data");
    options.cfg = file(cfg);
    options.chart_folder = folder();
    options.device.cpu.threads = 2;
    options.device.which = gpu ? Which::gpu : Which::cpu;
    options.device.gpu = testing::gpu_options(Precision::fp32);
    options.device.precision = Precision::fp32;
    return options;
  }
  // Its lines, and what became of the network.
  struct Run {
    std::string said;
    std::vector<float> values;
    int subdivisions = 0;
  };
  static Run train(const TrainOptions& how) {
    ::testing::internal::CaptureStdout();
    Run run;
    {
      Trainer trainer(how);
      EXPECT_EQ(trainer.run(), 0);
      const auto values = trainer.network().params().values();
      run.values.assign(values.begin(), values.end());
      run.subdivisions = trainer.network().spec().subdivisions;
    }
    run.said = ::testing::internal::GetCapturedStdout();
    return run;
  }
  // Largest difference, relative to the size of all.
  static double distance(const std::vector<float>& a, const std::vector<float>& b) {
    EXPECT_EQ(a.size(), b.size());
    double error = 0, size = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      error += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
      size += std::pow(static_cast<double>(a[i]), 2);
    }
    return std::sqrt(error / size);
  }
};

const std::string kNoGpu = "GPU: (no usable NVIDIA driver|no NVIDIA GPU|this darknet was built without CUDA \\(make GPU=1\\)); ";

TEST_F(Gpu, without_one_a_training_says_so_and_goes_on) {
  const Finished named = run({"detector", "train", "set/synth.data", "tiny.v1.cfg", "-i", "0"});
  EXPECT_EQ(named.code, 0) << named.err;
  EXPECT_EQ(match_count(named.err, kNoGpu + "training on the CPU\n"), 1u) << named.err;
  EXPECT_NE(named.out.find("\ndevice: "), std::string::npos);
  EXPECT_EQ(named.out.find("GPU"), std::string::npos) << named.out;
  const Finished automatic = run({"detector", "train", "set/synth.data", "tiny.v1.cfg"});
  EXPECT_EQ(automatic.code, 0) << automatic.err;
  EXPECT_EQ(match_count(automatic.err, kNoGpu), cuda::find_gpus().in_build ? 1u : 0u) << automatic.err;
  const Finished told = run({"detector", "train", "set/synth.data", "tiny.v1.cfg", "-nogpu"});
  EXPECT_EQ(told.err.find("GPU"), std::string::npos) << told.err;
}

TEST_F(Gpu, without_one_inference_is_silent_unless_it_is_named) {
  const std::vector<std::string> words = {"detector", "test", "set/synth.data", "tiny.v1.cfg", weights(), valid_image(0)};
  EXPECT_EQ(run(words).err.find("GPU"), std::string::npos);
  std::vector<std::string> named = words;
  named.insert(named.end(), {"-i", "0", "-prec", "bf16"});
  const Finished result = run(named);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(match_count(result.err, kNoGpu + "computing on the CPU\n"), 1u) << result.err;
  EXPECT_NE(result.err.find("-prec bf16 changes nothing: the CPU computes in fp32"), std::string::npos) << result.err;
  EXPECT_EQ(run({"speed", "tiny.v1.cfg", "2", "-i", "0"}).code, 0);
  EXPECT_NE(run({"version"}).out.find("GPU: "), std::string::npos);
}

TEST_F(Gpu, describe_plans_for_a_gpu_that_is_not_there) {
  const fs::path cfg = fs::path(DN_SOURCE_DIR) / "cfg" / "yolov4-tiny.cfg";
  const auto memory = [&](std::vector<std::string> options) {
    options.insert(options.begin(), {"describe", cfg.string(), "-conv", "direct"});
    const Finished result = run(options);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.err, "");
    return result.out;
  };
  const std::string planned = memory({"-i", "0"}), host = memory({}), wide = memory({"-i", "0", "-prec", "fp32"});
  const std::string line = R"(training memory, [^:]*: about ([0-9.]+) (\w+) of the GPU and [0-9.]+ \w+ of the host)", row = R"(activations, gradients, scratch +([0-9.]+) (\w+))";
  EXPECT_TRUE(matches(planned, line)) << planned;
  EXPECT_NE(planned.find("planned without a GPU"), std::string::npos) << planned;
  EXPECT_NE(planned.find("bf16"), std::string::npos) << planned;
  EXPECT_EQ(host, memory({"-nogpu"}));
  EXPECT_EQ(host.find("GPU"), std::string::npos) << host;
  const Groups half = first_match(planned, row), whole = first_match(wide, row);
  ASSERT_TRUE(!half.empty() && !whole.empty());
  const auto bytes = [](const Groups& found) { return parse_real(found[1]).value() * (found[2] == "GiB" ? 1024 : 1); };
  EXPECT_LT(bytes(half), .7 * bytes(whole));
}

TEST_F(Gpu, training_is_that_of_the_cpu) {
  const Run gpu = train(options("tiny.v1.cfg", true)), cpu = train(options("tiny.v1.cfg", false));
  EXPECT_LT(distance(cpu.values, gpu.values), 1e-4);
  EXPECT_NE(gpu.said.find(testing::on_real_gpu() ? "\ndevice: NVIDIA" : "\ndevice: emulated GPU, "), std::string::npos) << gpu.said;
  EXPECT_NE(gpu.said.find(" of the GPU (activations "), std::string::npos) << gpu.said;
  const auto event = parse_json(read_lines(file("set/backup/metrics.jsonl")).front());
  EXPECT_TRUE(event.contains("host_layers") && event.contains("device_memory_bytes")) << event;
}

TEST_F(Gpu, training_with_map_and_other_sizes) {
  write_file(file("sizes.cfg"), tiny_cfg(12, "", "random=1\n"));
  TrainOptions how = options("sizes.cfg", true);
  how.map = true;
  how.device.precision = Precision::bf16;
  const Run run = train(how);
  EXPECT_NE(run.said.find("mean average precision (mAP@0.50)"), std::string::npos) << run.said;
  for (const float value : run.values) ASSERT_TRUE(std::isfinite(value));
}

TEST_F(Gpu, layers_on_the_host_are_named) {
  const Network network = Network::from_text(tiny_cfg(6));
  PlanReport report;
  EXPECT_EQ(host_layers_text(network, report), "");
  report.host_layers = {0, 2, 4};
  EXPECT_EQ(host_layers_text(network, report), " on the CPU, between copies: layers 0, 2 [convolutional]; layer 4 [yolo]");
}

// A GPU with room for some of the mini-batches.
class GpuMemory : public Gpu {
 public:
  static void SetUpTestSuite() {
    Gpu::SetUpTestSuite();
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
  EXPECT_LT(before - device.stream().free_bytes(), size_t{1} << 20);   // parameters
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
}

TEST_F(GpuMemory, subdivisions_are_found) {
  TrainOptions how = short_of_memory();
  how.auto_subdivisions = true;
  const Run found = train(how);
  EXPECT_EQ(found.subdivisions, 2);
  EXPECT_NE(found.said.find("subdivisions = 2 instead of 1 (-auto_subdivisions): 8 images per update = 2 x 4; batch normalization sees 4 images at a time instead of 8"),
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
  const Groups found = first_match(said, R"(-memory (\d+)M or more, which computes again)");
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
  how.memory = estimate_training(network, {}, 128, 128).total() + Plan(network, device, network.input(4), planned).report().arena_bytes * 3 / 2;   // more than for 4 images
  const Run run = train(how);
  EXPECT_EQ(run.subdivisions, 2);
  EXPECT_NE(run.said.find("instead of 1 (-auto_subdivisions): 8 images per update = 2 x 4"), std::string::npos) << run.said;
}

TEST(Subdivisions, keep_sequences_and_pairs_together) {
  NetSpec net;
  net.batch = 24;
  net.subdivisions = 2;
  EXPECT_EQ(more_subdivisions(net), (std::vector<int>{3, 4, 6, 8, 12, 24}));
  net.time_steps = 4;
  EXPECT_EQ(more_subdivisions(net), (std::vector<int>{3, 6}));
  net.time_steps = 1;
  net.contrastive = true;
  EXPECT_EQ(more_subdivisions(net), (std::vector<int>{3, 4, 6, 8, 12}));
}

TEST(ErrorHistogram, counts_by_decades) {
  const std::vector<float> expected = {2, 2, 2, 2, 0, NAN}, other = {2, 2.03f, 2.0003f, -2, 5, 1};
  ErrorHistogram errors;
  errors.add(expected, other);
  EXPECT_EQ(errors.elements(), 5);
  EXPECT_EQ(errors.not_finite(), 1);
  EXPECT_EQ(errors.counts(), (std::array<int64_t, ErrorHistogram::kDecades>{1, 0, 0, 0, 1, 0, 1, 0, 2}));
  EXPECT_NEAR(errors.largest(), 5 / std::sqrt(16. / 6), 1e-6);
  EXPECT_NEAR(errors.distance(), std::sqrt((.03 * .03 + 16 + 25) / 16), 1e-4);
}

TEST_F(Gpu, check_compares_layer_by_layer) {
  const DeviceCheck check = check_device(options("tiny.v1.cfg", true));
  EXPECT_EQ(check.iterations, 3);
  EXPECT_EQ(check.images, 4);
  EXPECT_EQ(check.outputs.size(), 5u);
  EXPECT_EQ(check.gradients.size(), 3 * 3 + 2u);   // weights, scales, biases; weights, biases
  for (const auto* rows : {&check.outputs, &check.gradients})
    for (const DeviceCheck::Row& row : *rows) {
      EXPECT_LT(row.errors.distance(), 1e-3) << row.layer << " " << row.name;
      EXPECT_GT(row.errors.elements(), 0);
      EXPECT_EQ(row.errors.not_finite(), 0);
      int64_t sum = 0;
      for (const int64_t count : row.errors.counts()) sum += count;
      EXPECT_EQ(sum, row.errors.elements());
    }
  EXPECT_NEAR(check.gpu_loss, check.cpu_loss, 1e-3 * check.cpu_loss);
  EXPECT_GT(check.cpu_loss, 0);
}

TEST_F(Gpu, check_sees_the_precision) {
  TrainOptions how = options("tiny.v1.cfg", true);
  how.device.precision = Precision::bf16;
  const DeviceCheck check = check_device(how, 1);
  EXPECT_GT(check.outputs[1].errors.distance(), 1e-4);
  EXPECT_LT(check.outputs[1].errors.distance(), .1);
}

TEST_F(Gpu, check_needs_a_gpu) {
  const Finished none = run({"detector", "train", "set/synth.data", "tiny.v1.cfg", "-check", "cpu"});
  EXPECT_EQ(none.code, 2);
  EXPECT_NE(none.err.find("-check cpu: compares a GPU with the CPU: "), std::string::npos) << none.err;
  EXPECT_EQ(run({"detector", "train", "set/synth.data", "tiny.v1.cfg", "-check", "gpu"}).code, 2);
}

// The program on the GPU that $DN_GPU names.
TEST_F(Gpu, program) {
  if (!testing::on_real_gpu()) GTEST_SKIP() << "no GPU";
  const std::string gpu = std::getenv("DN_GPU");
  const auto on_gpu = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"-i", gpu});
    return Running(folder(), words, DN_PROGRAM, true).finish();
  };
  const Finished trained = on_gpu({"detector", "train", "set/synth.data", "tiny.v1.cfg", "-map"});
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.out.find("\ndevice: NVIDIA"), std::string::npos) << trained.out;
  EXPECT_TRUE(fs::exists(file("set/backup/tiny.v1_cudnn.json")));
  const Finished checked = on_gpu({"detector", "train", "set/synth.data", "tiny.v1.cfg", "-check", "cpu"});
  EXPECT_EQ(checked.code, 0) << checked.err;
  EXPECT_NE(checked.out.find("farthest (L2): outputs "), std::string::npos) << checked.out;
  for (const auto& words : std::vector<std::vector<std::string>>{{"speed", "tiny.v1.cfg", "3"},
                                                                 {"describe", "tiny.v1.cfg"},
                                                                 {"detector", "map", "set/synth.data", "tiny.v1.cfg", weights()},
                                                                 {"detector", "test", "set/synth.data", "tiny.v1.cfg", weights(), valid_image(0)}}) {
    const Finished result = on_gpu(words);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(result.err.find("on the CPU"), std::string::npos) << result.err;
  }
}

}  // namespace
}  // namespace dn
