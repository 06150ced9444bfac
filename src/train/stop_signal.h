// SIGINT and SIGTERM ask a run to end after its current iteration; a second one ends the process at once.
#pragma once

namespace dn {

class StopSignal {
 public:
  StopSignal();   // installs the handlers; SIGPIPE is ignored, so that a closed pipe behind stdout never ends a run
  ~StopSignal();  // restores what was there
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;
  static int received();  // the signal's number; 0: none

 private:
  struct Saved;
  Saved* saved_;
};

}  // namespace dn
