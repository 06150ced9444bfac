#include "tests/harness/program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>

extern char** environ;

namespace dn::testing {

Running::Running(const fs::path& folder, const std::vector<std::string>& arguments, const std::string& program, bool sees_gpus)
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

Running::~Running() {
  ::close(silent_[0]);
  ::close(silent_[1]);
}

void Running::signal(int number) const { ::kill(pid_, number); }

bool Running::wait_for(const std::string& pattern, size_t count) {
  for (;;) {
    const std::string text = read_text(out_);
    if (match_count(text, pattern) >= count) return true;
    if (::waitpid(pid_, &status_, WNOHANG) == pid_) {
      ended_ = true;
      return false;
    }
    ::poll(nullptr, 0, 20);
  }
}

Finished Running::finish() {
  if (!ended_) ::waitpid(pid_, &status_, 0);
  return {WIFEXITED(status_) ? WEXITSTATUS(status_) : -1, read_text(out_), read_text(err_)};
}

std::string tiny_cfg(int max_batches, const std::string& more_net, const std::string& more_head) {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=3\nstride=2\npad=1\nactivation=leaky\nfilters=";
  return concat(
      "[net]\nbatch=4\nsubdivisions=2\nwidth=64\nheight=64\nchannels=3\nlearning_rate=.001\nburn_in=2\npolicy=steps\nsteps=100\nscales=.1\nmax_"
      "batches=",
      max_batches, "\n", more_net, conv, "8\n", conv, "8\n", conv, "16\n",
      "[convolutional]\nsize=1\nfilters=33\nactivation=linear\n[yolo]\nmask=0,1,2\nanchors=8,8, 16,16, 32,32\nclasses=6\nnum=3\n", more_head);
}

}  // namespace dn::testing
