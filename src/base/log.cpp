#include "base/log.h"

#include <unistd.h>

#include <iostream>
#include <mutex>
#include <set>

namespace dn::log {
namespace {

std::mutex mutex;                 // warnings come from loader threads too
std::set<std::string> warned;
bool progress_open = false;       // a progress line stands on the terminal and must be ended before other text
bool status_open = false;         // a status line does, and is wiped before other text

void end_progress() {
  if (status_open) std::cerr << "\r\x1b[K" << std::flush;
  if (progress_open) std::cerr << '\n';
  progress_open = status_open = false;
}

}  // namespace

bool stdout_is_terminal() { return ::isatty(STDOUT_FILENO) != 0; }
bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) != 0; }

void say(std::string_view line) {
  const std::lock_guard lock(mutex);
  end_progress();
  std::cout << line << '\n' << std::flush;
}

void warn(std::string_view message) {
  const std::lock_guard lock(mutex);
  if (!warned.emplace(message).second) return;
  end_progress();
  std::cerr << "warning: " << message << std::endl;
}

int64_t warnings() {
  const std::lock_guard lock(mutex);
  return static_cast<int64_t>(warned.size());
}

void status(std::string_view line) {
  if (!stderr_is_terminal()) return;
  using Clock = std::chrono::steady_clock;
  static Clock::time_point last{};
  const std::lock_guard lock(mutex);
  const Clock::time_point now = Clock::now();
  if (now - last < std::chrono::milliseconds(100)) return;
  last = now;
  std::cerr << '\r' << line << "\x1b[K" << std::flush;
  status_open = true;
}

Progress::Progress(std::string label, int64_t total, std::string_view unit, double plain_seconds)
    : label_(std::move(label)), unit_(unit), total_(total), plain_seconds_(plain_seconds), start_(Clock::now()) {
  last_ = start_;
}

void Progress::update(int64_t done, std::string_view extra) {
  const auto now = Clock::now();
  const bool terminal = stderr_is_terminal();
  const double since = std::chrono::duration<double>(now - last_).count();
  const bool known = total_ > 0, finished = known && done >= total_;
  if (since < (terminal ? 0.1 : plain_seconds_) && !(finished && (terminal || drawn_))) return;
  last_ = now;
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  std::string line = known ? concat(label_, " ", done, "/", total_, " ", unit_) : concat(label_, " ", done, " ", unit_);
  if (known && rate > 0) line += concat(", ", fixed(rate, rate < 10 ? 2 : 0), " ", unit_, "/s, ", duration_text(static_cast<double>(total_ - done) / rate), " left");
  if (!extra.empty()) line += concat(", ", extra);
  const std::lock_guard lock(mutex);
  if (terminal) {
    std::cerr << '\r' << line << "\x1b[K" << std::flush;
    progress_open = true;
  } else {
    std::cerr << line << std::endl;
  }
  drawn_ = true;
}

Progress::~Progress() {
  const std::lock_guard lock(mutex);
  end_progress();
}

}  // namespace dn::log
