// What the program says. Results and training lines go to stdout, warnings to stderr; a progress line lives on stderr, in place on a terminal,
// as one plain line now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/text.h"

namespace dn::log {

void say(std::string_view line);      // stdout, one line, flushed
void warn(std::string_view message);  // stderr, "warning: ..."; counted; the same message is printed once
int64_t warnings();                   // how many different ones so far
void status(std::string_view line);   // stderr, a line that the next text replaces; on a terminal only, at most ten times a second

bool stdout_is_terminal();
bool stderr_is_terminal();

// Progress of long work with a rate and the time left. On a terminal the line is redrawn at most ten times a second; elsewhere a line is
// printed at most every `plain_seconds`. Destroying it ends the line.
class Progress {
 public:
  // total 0: nobody knows how much there is; then there is no time left either.
  Progress(std::string label, int64_t total, std::string_view unit, double plain_seconds = 10);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void update(int64_t done, std::string_view extra = {});

 private:
  using Clock = std::chrono::steady_clock;
  std::string label_, unit_;
  int64_t total_;
  double plain_seconds_;
  Clock::time_point start_, last_{};
  bool drawn_ = false;
};

}  // namespace dn::log
