// The real program, run as its users run it, in a folder with a small data set.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <regex>

#include "base/files.h"
#include "base/text.h"

extern char** environ;

namespace dn::testing {

struct Finished {
  int code = -1;
  std::string out, err;
};

// A program, darknet unless another is named, in `folder`. Its stdin is a pipe that stays open and silent, so reading from it would hang. It sees no GPUs
// unless it is to, so that a test means the same on every machine.
class Running {
 public:
  Running(const fs::path& folder, const std::vector<std::string>& arguments, const std::string& program = DN_PROGRAM, bool sees_gpus = false)
      : out_(folder / "stdout.txt"), err_(folder / "stderr.txt") {
    EXPECT_EQ(::pipe2(silent_, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, silent_[0], 0);
    posix_spawn_file_actions_addopen(&actions, 1, out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_addopen(&actions, 2, err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
    std::vector<std::string> words = {program};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::vector<std::string> variables;
    for (char** variable = environ; *variable; ++variable)
      if (sees_gpus || !std::string_view(*variable).starts_with("CUDA_VISIBLE_DEVICES=")) variables.emplace_back(*variable);
    if (!sees_gpus) variables.emplace_back("CUDA_VISIBLE_DEVICES=");
    std::vector<char*> environment;
    for (std::string& variable : variables) environment.push_back(variable.data());
    environment.push_back(nullptr);
    EXPECT_EQ(::posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environment.data()), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  ~Running() {
    ::close(silent_[0]);
    ::close(silent_[1]);
  }
  void signal(int number) const { ::kill(pid_, number); }
  // Waits until stdout has `count` lines that match; false when the program ended before.
  bool wait_for(const std::string& pattern, size_t count) {
    const std::regex line(pattern);
    for (;;) {
      const std::string text = read_text(out_);
      if (static_cast<size_t>(std::distance(std::sregex_iterator(text.begin(), text.end(), line), std::sregex_iterator())) >= count) return true;
      if (::waitpid(pid_, &status_, WNOHANG) == pid_) {
        ended_ = true;
        return false;
      }
      ::poll(nullptr, 0, 20);
    }
  }
  Finished finish() {
    if (!ended_) ::waitpid(pid_, &status_, 0);
    return {WIFEXITED(status_) ? WEXITSTATUS(status_) : -1, read_text(out_), read_text(err_)};
  }

 private:
  fs::path out_, err_;
  int silent_[2] = {-1, -1};
  pid_t pid_ = 0;
  int status_ = 0;
  bool ended_ = false;
};

inline std::string tiny_cfg(int max_batches, const std::string& more_net = {}, const std::string& more_head = {}) {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=3\nstride=2\npad=1\nactivation=leaky\nfilters=";
  return concat(
      "[net]\nbatch=4\nsubdivisions=2\nwidth=64\nheight=64\nchannels=3\nlearning_rate=.001\nburn_in=2\npolicy=steps\nsteps=100\nscales=.1\nmax_"
      "batches=",
      max_batches, "\n", more_net, conv, "8\n", conv, "8\n", conv, "16\n",
      "[convolutional]\nsize=1\nfilters=33\nactivation=linear\n[yolo]\nmask=0,1,2\nanchors=8,8, 16,16, 32,32\nclasses=6\nnum=3\n", more_head);
}

// One folder for the whole suite, with a small synthetic data set.
class ProgramTest : public ::testing::Test {
 public:
  static void SetUpTestSuite() {
    folder_ = fs::temp_directory_path() / concat("dn_cli_", static_cast<int>(::getpid()));
    make_directories(folder_);
    const Finished made = run({"synth", "set", "-images", "16", "-width", "96", "-height", "64"});
    ASSERT_EQ(made.code, 0) << made.err;
    write_file(folder_ / "tiny.v1.cfg", tiny_cfg(6));
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }
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
};

}  // namespace dn::testing
