// What a user sees of GPUs: the options that choose one, a machine without, what a cfg would take there, a training there, and the
// comparison with the CPU. On the emulated GPU, or on the one that $DN_GPU names.
#include <cmath>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "tests/harness/gpu_program.h"
#include "tests/harness/patterns.h"
#include "train/banner.h"
#include "train/device_check.h"

namespace dn {
namespace {

using cuda::Precision;
using testing::distance;
using testing::Finished;
using testing::first_match;
using testing::Groups;
using testing::match_count;
using testing::matches;
using testing::Running;
using testing::refusal;
using testing::tiny_cfg;
using Which = DeviceChoice::Which;

DeviceChoice chosen(std::vector<std::string> options) {
  options.insert(options.begin(), {"detector", "train", "a.data", "a.cfg"});
  return cli::device_choice(cli::parse(cli::table(), options));
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

TEST(GpuOptions, several_gpus_are_a_first_and_others) {
  const DeviceChoice choice = chosen({"-gpus", "1,0,3", "-i", "5"});   // as in the family -gpus counts
  EXPECT_EQ(choice.gpu.gpu, 1);
  EXPECT_EQ(choice.others, (std::vector{0, 3}));
  EXPECT_EQ(refusal([] { chosen({"-gpus", "0,1,0"}); }), "option -gpus = 0,1,0: GPU 0 is there twice");
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

class Gpu : public testing::GpuProgram {};

const std::string kNoGpu = "GPU: (no usable NVIDIA driver|the NVIDIA driver is too old: [^;]*|no NVIDIA GPU|this darknet was built without CUDA \\(make GPU=1\\)); ";

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

TEST_F(Gpu, several_train_what_one_trains) {
  if (testing::on_real_gpu()) GTEST_SKIP() << "a machine may have one GPU only";
  TrainOptions how = options("tiny.v1.cfg", true);
  const Run one = train(how);
  how.device.others = {1};
  const Run two = train(how);
  EXPECT_LT(distance(one.values, two.values), 1e-5);
  EXPECT_NE(two.said.find("2 GPUs share the mini-batches of each batch; emulated links sum their gradients"), std::string::npos) << two.said;
  how.device.others = {1, 2};
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(distance(one.values, train(how).values), 0);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "warning: -gpus: only GPU 0 computes: a batch has 2 mini-batches (subdivisions), and a GPU takes one at least\n");
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

// A convolution whose output on a GPU is the sum behind it is compared there.
TEST_F(Gpu, check_compares_sums_where_they_are) {
  std::string cfg = tiny_cfg(3);
  const std::string same = "[convolutional]\nbatch_normalize=1\nfilters=8\nsize=3\npad=1\nactivation=leaky\n[shortcut]\nfrom=-2\nactivation=linear\n";
  write_file(file("sum.cfg"), cfg.insert(cfg.find("[convolutional]", cfg.find("[convolutional]") + 1), same));   // layers 1, 2
  const DeviceCheck check = check_device(options("sum.cfg", true), 1);
  std::vector<int> layers;
  for (const DeviceCheck::Row& row : check.outputs) layers.push_back(row.layer);
  EXPECT_EQ(layers, (std::vector{0, 2, 3, 4, 5, 6}));
  for (const auto* rows : {&check.outputs, &check.gradients})
    for (const DeviceCheck::Row& row : *rows) EXPECT_LT(row.errors.distance(), 1e-3) << row.layer << " " << row.name;
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
