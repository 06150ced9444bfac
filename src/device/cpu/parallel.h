// The only place with OpenMP: static loops over independent items. Results never depend on the thread count: an item is computed whole by one
// thread, and reductions over items are done by the caller in item order.
#pragma once

#include <omp.h>

#include <cstddef>

namespace dn::cpu {

// Processors this process may use.
inline int available_processors() { return omp_get_num_procs() > 0 ? omp_get_num_procs() : 1; }
// Threads of the regions that libraries (oneDNN) open.
inline void set_library_threads(int threads) { omp_set_num_threads(threads); }

// body(i) for i in [0, count). `body` must not throw.
template <class Body>
void parallel_for(int threads, size_t count, const Body& body) {
  if (threads <= 1 || count <= 1) {
    for (size_t i = 0; i < count; ++i) body(i);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(threads)
  for (size_t i = 0; i < count; ++i) body(i);
}

// The same with every thread going through its share from the end: a second sweep over what a first has just read meets the last of it in the
// caches that way.
template <class Body>
void parallel_for_back(int threads, size_t count, const Body& body) {
  const size_t shares = threads <= 1 ? 1 : static_cast<size_t>(threads), share = (count + shares - 1) / shares;
  parallel_for(threads, shares, [&](size_t s) {
    for (size_t i = count < (s + 1) * share ? count : (s + 1) * share; i-- > s * share;) body(i);
  });
}

// body(first, last) over pieces of [0, count), each a multiple of `grain` long but the last. The cut depends on `grain` only, not on threads.
template <class Body>
void parallel_pieces(int threads, size_t count, size_t grain, const Body& body) {
  const size_t pieces = (count + grain - 1) / grain;
  parallel_for(threads, pieces, [&](size_t p) { body(p * grain, p * grain + grain < count ? p * grain + grain : count); });
}

}  // namespace dn::cpu
