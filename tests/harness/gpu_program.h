// Trainings of this process on the GPU of the tests and on the CPU, on the small data set of program.h.
#pragma once

#include "tests/harness/gpu.h"
#include "tests/harness/program.h"
#include "tests/harness/tensors.h"
#include "train/trainer.h"

namespace dn::testing {

// What it throws; nothing.
inline std::string refusal(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& e) {
    return e.what();
  }
  return {};
}

class GpuProgram : public ProgramTest {
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
    options.device.which = gpu ? DeviceChoice::Which::gpu : DeviceChoice::Which::cpu;
    options.device.gpu = gpu_options(cuda::Precision::fp32);
    options.device.precision = cuda::Precision::fp32;
    return options;
  }
  // Its lines, and what became of the network.
  struct Run {
    std::string said;
    std::vector<float> values;
    int subdivisions = 0;
  };
  static Run train(const TrainOptions& how) {
    Run run;
    run.said = quietly([&] {
      Trainer trainer(how);
      EXPECT_EQ(trainer.run(), 0);
      const auto values = trainer.network().params().values();
      run.values.assign(values.begin(), values.end());
      run.subdivisions = trainer.network().spec().subdivisions;
    });
    return run;
  }
  // What `work` says.
  static std::string quietly(const std::function<void()>& work) {
    ::testing::internal::CaptureStdout();
    try {
      work();
    } catch (...) {
      ::testing::internal::GetCapturedStdout();
      throw;
    }
    return ::testing::internal::GetCapturedStdout();
  }
};

}  // namespace dn::testing
