// See loader.h. One mutex guards the slots; samples are made outside it.
#include "data/loader.h"

#include <chrono>

#include "base/error.h"

namespace dn {
namespace {

int images_of(const LoaderOptions& options) {
  const int count = options.count > 0 ? options.count : options.sample.batch - options.first;
  ensure(options.first >= 0 && count > 0 && options.first + count <= options.sample.batch, "a rank's images lie within the batch");
  return count;
}

}  // namespace

Loader::Loader(const Dataset& dataset, const LoaderOptions& options)
    : options_(options), images_(images_of(options)), maker_(dataset, options.sample), slots_(static_cast<size_t>(options.prefetch) + 1) {
  ensure(options.threads > 0 && options.prefetch >= 0 && options.prefetch <= 64, "loader threads and prefetch depth");
  threads_.reserve(static_cast<size_t>(options.threads));
  try {
    for (int i = 0; i < options.threads; ++i) threads_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    if (threads_.empty()) fail("cannot start a loader thread: ", error.what());  // fewer threads than asked for do the same work
  }
}

Loader::~Loader() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  threads_.clear();  // joins
}

Loader::Slot* Loader::pending() {
  Slot* earliest = nullptr;
  for (Slot& slot : slots_)
    if (slot.scheduled && !slot.error && slot.taken < slot.batch.images && (!earliest || slot.batch.iteration < earliest->batch.iteration))
      earliest = &slot;
  return earliest;
}

void Loader::work() {
  Lock lock(mutex_);
  for (;;) {
    Slot* slot = nullptr;
    work_.wait(lock, [&] { return stop_ || (slot = pending()) != nullptr; });
    if (stop_) return;
    const int k = slot->taken++;
    ++slot->running;
    std::exception_ptr error;
    lock.unlock();
    try {
      make(*slot, k);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    --slot->running;
    if (error && !slot->error) slot->error = error;
    if (slot->running == 0) finished_.notify_all();
  }
}

void Loader::make(Slot& slot, int k) {
  Batch& batch = slot.batch;
  const int index = options_.first + k;
  const size_t at = static_cast<size_t>(k);
  if (options_.recipes)
    return maker_.describe(batch.iteration, index, batch.width, batch.height, slot.store, batch.recipes[at], batch.truth[at]);
  const size_t per_image = static_cast<size_t>(batch.channels) * static_cast<size_t>(batch.height) * static_cast<size_t>(batch.width);
  maker_.make(batch.iteration, index, batch.width, batch.height, batch.pixels.data() + at * per_image, batch.truth[at]);
}

void Loader::drop(Slot& slot, Lock& lock) {
  slot.taken = slot.batch.images;
  finished_.wait(lock, [&] { return slot.running == 0; });
  slot.scheduled = false;
  slot.error = nullptr;
}

Loader::Slot& Loader::schedule(uint64_t iteration, int width, int height) {
  Slot* free = nullptr;
  for (Slot& slot : slots_) {
    if (slot.wants(iteration, width, height)) return slot;
    if (!slot.scheduled) free = &slot;
  }
  ensure(free != nullptr, "a free slot for a batch");
  const int channels = options_.sample.channels;
  if (options_.recipes) {
    free->batch.recipes.assign(static_cast<size_t>(images_), {});
    free->store.begin(options_.memory);
  } else {
    free->batch.pixels.reserve(
        checked_product({static_cast<size_t>(images_), static_cast<size_t>(channels), static_cast<size_t>(height), static_cast<size_t>(width)}));
  }
  free->batch.iteration = iteration;
  free->batch.images = images_;
  free->batch.channels = channels;
  free->batch.height = height;
  free->batch.width = width;
  free->batch.truth.assign(static_cast<size_t>(images_), {});
  free->taken = 0;
  free->error = nullptr;
  free->scheduled = true;
  return *free;
}

const Batch& Loader::next(uint64_t iteration, int width, int height) {
  ensure(width > 0 && height > 0 && width <= kMaxImageSide && height <= kMaxImageSide, "a batch has a size");
  const auto start = std::chrono::steady_clock::now();
  Lock lock(mutex_);
  if (current_) current_->scheduled = false;
  current_ = nullptr;
  const auto ahead = static_cast<uint64_t>(options_.prefetch);
  for (Slot& slot : slots_) {
    const bool wanted =
        slot.wants(slot.batch.iteration, width, height) && slot.batch.iteration >= iteration && slot.batch.iteration - iteration <= ahead;
    if (slot.scheduled && !wanted) drop(slot, lock);
  }
  Slot& slot = schedule(iteration, width, height);
  for (uint64_t i = 1; i <= ahead; ++i) schedule(iteration + i, width, height);
  work_.notify_all();
  finished_.wait(lock, [&] { return done(slot); });
  if (slot.error) {
    const std::exception_ptr error = slot.error;
    drop(slot, lock);
    std::rethrow_exception(error);
  }
  current_ = &slot;
  slot.batch.wait_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return slot.batch;
}

}  // namespace dn
