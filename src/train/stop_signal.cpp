#include "train/stop_signal.h"

#include <csignal>

namespace dn {
namespace {

volatile std::sig_atomic_t stop = 0;

void remember(int number) { stop = number; }

}  // namespace

struct StopSignal::Saved {
  struct sigaction interrupt {
  }, terminate{}, pipe{};
};

StopSignal::StopSignal() : saved_(new Saved) {
  stop = 0;
  struct sigaction action {};
  action.sa_handler = remember;
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);  // the default action is back for the second one
  sigaction(SIGINT, &action, &saved_->interrupt);
  sigaction(SIGTERM, &action, &saved_->terminate);
  struct sigaction ignore {};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, &saved_->pipe);
}

StopSignal::~StopSignal() {
  sigaction(SIGINT, &saved_->interrupt, nullptr);
  sigaction(SIGTERM, &saved_->terminate, nullptr);
  sigaction(SIGPIPE, &saved_->pipe, nullptr);
  delete saved_;
}

int StopSignal::received() { return stop; }

}  // namespace dn
