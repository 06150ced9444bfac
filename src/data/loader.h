// Training batches, made ahead of their use by threads of its own. A batch is bit-identical whatever the number of threads.
//
//   Loader loader(dataset, options);
//   const Batch& batch = loader.next(iteration, width, height);   // valid until the next call of next()
//
// While the caller works with a batch, the following `prefetch` ones are made at the same size. Asking for another iteration or size (a change of
// resolution) drops what was made ahead for nothing. prefetch + 1 batches are held at most. What goes wrong in a thread is thrown by next().
#pragma once

#include <condition_variable>
#include <exception>
#include <thread>

#include "base/aligned.h"
#include "data/sample.h"

namespace dn {

struct LoaderOptions {
  SampleOptions sample;
  int threads = 1;
  int prefetch = 1;          // batches ahead; 0: none, everything is loaded while next() waits
  bool recipes = false;      // samples are not drawn: Batch::recipes and their 8-bit pixels, for a device that draws them itself
  HostMemory memory = plain_memory;  // for these pixels; called by next() only
  int first = 0, count = 0;  // the part of each batch that this rank loads: images [first, first + count); count 0: from first to the end
};

struct Batch {
  uint64_t iteration = 0;
  int images = 0, channels = 0, height = 0, width = 0;
  PixelFloats pixels;                      // [images,channels,height,width], 0..1, RGB, dense; none with LoaderOptions::recipes
  std::vector<SampleRecipe> recipes;         // per image, with LoaderOptions::recipes; their pixels stay until the next call of next()
  std::vector<std::vector<TruthBox>> truth;  // per image, relative to the network's input
  double wait_seconds = 0;                   // how long next() kept its caller waiting
};

class Loader {
 public:
  // `dataset` must outlive this.
  Loader(const Dataset& dataset, const LoaderOptions& options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  const Batch& next(uint64_t iteration, int width, int height);
  std::vector<std::string> bad_samples() const { return maker_.bad_samples(); }  // lines of bad_samples.txt
  int64_t substituted() const { return maker_.substituted(); }

 private:
  struct Slot {
    bool scheduled = false;
    int taken = 0, running = 0;  // images handed to threads so far; being worked on now
    std::exception_ptr error;
    Batch batch;
    PixelStore store;  // of batch.recipes
    bool wants(uint64_t iteration, int width, int height) const {
      return scheduled && batch.iteration == iteration && batch.width == width && batch.height == height;
    }
  };
  using Lock = std::unique_lock<std::mutex>;

  void work();
  void make(Slot& slot, int k);
  Slot* pending();  // the earliest batch with images to make
  bool done(const Slot& slot) const { return slot.running == 0 && (slot.error || slot.taken == slot.batch.images); }
  void drop(Slot& slot, Lock& lock);
  Slot& schedule(uint64_t iteration, int width, int height);  // or the slot that has it already

  const LoaderOptions options_;
  const int images_;
  SampleMaker maker_;
  std::vector<Slot> slots_;
  Slot* current_ = nullptr;  // lent to the caller
  std::mutex mutex_;
  std::condition_variable work_, finished_;
  bool stop_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace dn
