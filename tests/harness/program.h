// The real program, run as its users run it, in a folder with a small data set.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "base/files.h"
#include "base/text.h"
#include "tests/harness/patterns.h"

namespace dn::testing {

struct Finished {
  int code = -1;
  std::string out, err;
};

// A program, darknet unless another is named, in `folder`. Its stdin is a pipe that stays open and silent, so reading from it would hang. It sees no GPUs
// unless it is to, so that a test means the same on every machine.
class Running {
 public:
  Running(const fs::path& folder, const std::vector<std::string>& arguments, const std::string& program = DN_PROGRAM, bool sees_gpus = false);
  ~Running();
  void signal(int number) const;
  // Waits until stdout has `count` places that match; false when the program ended before.
  bool wait_for(const std::string& pattern, size_t count);
  Finished finish();

 private:
  fs::path out_, err_;
  int silent_[2] = {-1, -1};
  pid_t pid_ = 0;
  int status_ = 0;
  bool ended_ = false;
};

std::string tiny_cfg(int max_batches, const std::string& more_net = {}, const std::string& more_head = {});

// One folder for the whole suite, with a small synthetic data set.
class ProgramTest : public ::testing::Test {
 public:
  static void SetUpTestSuite() {
    folder_ = fs::temp_directory_path() / concat("dn_cli_", static_cast<int>(::getpid()));
    make_directories(folder_);
    const Finished made = run({"synth", "set", "-images", "16", "-width", "96", "-height", "64"});
    failure_ = made.code == 0 ? "" : "no data set: " + made.err;
    write_file(folder_ / "tiny.v1.cfg", tiny_cfg(6));
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }
  // A set-up of the suite that fails would have its tests skipped, which nobody sees.
  void SetUp() override { ASSERT_EQ(failure_, ""); }
  static Finished run(const std::vector<std::string>& arguments) { return Running(folder_, arguments).finish(); }
  static fs::path file(const std::string& name) { return folder_ / name; }
  static const fs::path& folder() { return folder_; }
  static std::string valid_image(size_t index) { return "set/" + read_lines(file("set/valid.txt")).at(index); }
  // Weights of a finished short run, made once.
  static std::string weights() {
    if (!fs::exists(file("set/backup/tiny.v1_final.weights"))) {
      EXPECT_EQ(run({"detector", "train", "set/synth.data", "tiny.v1.cfg"}).code, 0);
    }
    return "set/backup/tiny.v1_final.weights";
  }

 private:
  static inline fs::path folder_;
  static inline std::string failure_;
};

}  // namespace dn::testing
