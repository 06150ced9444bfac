// Trainings of this process on the GPU of the tests and on the CPU, on the small data set of program.h.
#pragma once

#include <cmath>

#include "tests/harness/gpu.h"
#include "tests/harness/program.h"
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

// Largest difference, relative to the size of all.
inline double distance(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double error = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += std::pow(static_cast<double>(a[i]) - static_cast<double>(b[i]), 2);
    size += std::pow(static_cast<double>(a[i]), 2);
  }
  return std::sqrt(error / size);
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
