// The runtime that pretends to be CUDA's (cudart.cpp), as tests see it: the machine it is on, and what was asked of it.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace fake_cudart {

struct Machine {
  int gpus = 2;
  int driver = 99'000;                   // the newest CUDA that it knows: 99.0; 0: there is none
  size_t gpu_bytes = size_t{256} << 20;  // of each
  size_t pinned_bytes = size_t{64} << 20;
};
// Another machine with nothing on it, and a calling thread that has asked nothing yet.
void start(const Machine& machine = {});

// That were made and not released.
struct Things {
  size_t streams = 0, events = 0, blocks = 0, pinned = 0, graphs = 0, recordings = 0;
  bool operator==(const Things&) const = default;
};
Things things();

// How often somebody waited.
struct Waits {
  size_t streams = 0, events = 0;
};
Waits waits();
size_t undone();           // pieces of work that were begun and are not done, of all GPUs
std::vector<int> awake();  // GPUs that were made ready for this process, which takes memory there
int last_error();          // of the calling thread; it stays

// The next call of this function does nothing and returns `status`.
void fail_next(const std::string& function, int status);

// As a kernel is started: what is wrong with that is the thread's last error only. false: the kernel has reached for memory that is not there.
void launch(void* stream, std::function<bool()> kernel);

}  // namespace fake_cudart
