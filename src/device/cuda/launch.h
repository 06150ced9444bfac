// Kernels as bodies: structures of plain values with a DN_HD operator, so that a GPU and the emulation run the same code in the same order of
// arithmetic. The one place, beside base/host_device.h, with conditional compilation for CUDA.
//
//   for_each(stream, count, body)         body(i) for every i on its own
//   launch_blocks(stream, grid, body)     threads that work together by blocks, in phases with a barrier between them:
//     struct Body {
//       static constexpr int kThreads = 256, kPhases = 2;
//       struct Shared { ... };   // of the block; at most 48 KiB
//       struct State { ... };    // of a thread, from phase to phase
//       template <int phase> DN_HD void run(const Place& place, State& state, Shared& shared) const;
//     };
// Bodies hold device addresses; nothing else may be behind a pointer. Shared and State are not set to anything at first, and threads of a phase, items and blocks
// run in no order: the emulation fills both with 0xff bytes and runs the last of each first, so that a body which counts on more is wrong there too.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/host_device.h"
#include "device/cuda/stream.h"

#if defined(__CUDACC__)
#include <cuda_runtime_api.h>
#endif

namespace dn::cuda {

struct Grid {
  int x = 1, y = 1;   // blocks
};

struct Place {
  int x = 0, y = 0;   // block
  int thread = 0;
};

namespace detail {

inline constexpr int kItemThreads = 256;
inline constexpr size_t kMostArguments = 4096;   // bytes that every CUDA passes to a kernel
inline constexpr int kMostRows = 65535;          // of a grid

template <class Body>
constexpr bool fits_launch = std::is_trivially_copyable_v<Body> && sizeof(Body) + sizeof(size_t) <= kMostArguments;

template <class T>
void poison(T* first, size_t count) {
  static_assert(std::is_trivially_destructible_v<T>);
  std::memset(static_cast<void*>(first), 0xff, count * sizeof(T));
}

template <class Body, int... phases>
void run_block(const Body& body, Place place, std::integer_sequence<int, phases...>) {
  std::vector<typename Body::State> states(Body::kThreads);
  const auto shared = std::make_unique<typename Body::Shared>();
  poison(states.data(), states.size());
  poison(shared.get(), 1);
  const auto phase = [&]<int p>() {
    for (place.thread = Body::kThreads - 1; place.thread >= 0; --place.thread)
      body.template run<p>(place, states[static_cast<size_t>(place.thread)], *shared);
  };
  (phase.template operator()<phases>(), ...);
}

#if defined(__CUDACC__)
void check_launch();   // throws Error

// At least one block on a processor: where that is not said, the compiler has registers spilled for the sake of more.
template <class Body>
__global__ void __launch_bounds__(kItemThreads, 1) items_kernel(const Body body, size_t count) {
  const size_t step = static_cast<size_t>(gridDim.x) * blockDim.x;
  for (size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += step) body(i);
}

template <int phase, class Body>
__device__ __forceinline__ void run_phases(const Body& body, const Place& place, typename Body::State& state, typename Body::Shared& shared) {
  body.template run<phase>(place, state, shared);
  if constexpr (phase + 1 < Body::kPhases) {
    __syncthreads();
    run_phases<phase + 1>(body, place, state, shared);
  }
}

template <class Body>
__global__ void __launch_bounds__(Body::kThreads, 1) blocks_kernel(const Body body) {
  __shared__ alignas(16) unsigned char memory[sizeof(typename Body::Shared)];
  const Place place{static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.y), static_cast<int>(threadIdx.x)};
  typename Body::State state;
  run_phases<0>(body, place, state, *reinterpret_cast<typename Body::Shared*>(memory));
}
#endif

}  // namespace detail

template <class Body>
void for_each(Stream& stream, size_t count, const Body& body) {
  static_assert(detail::fits_launch<Body>);
  if (count == 0) return;
#if defined(__CUDACC__)
  if (!stream.emulated()) {
    const size_t blocks = (count + detail::kItemThreads - 1) / detail::kItemThreads;
    detail::items_kernel<<<static_cast<unsigned>(blocks < 65535 * 16 ? blocks : 65535 * 16), detail::kItemThreads, 0,
                           static_cast<cudaStream_t>(stream.handle())>>>(body, count);
    return detail::check_launch();
  }
#endif
  stream.emulate([body, count] {
    constexpr size_t kPiece = 4096;
    const size_t pieces = (count + kPiece - 1) / kPiece;
    run_on_host(pieces, [&](size_t p) {
      const size_t first = (pieces - 1 - p) * kPiece;
      for (size_t i = first + kPiece < count ? first + kPiece : count; i-- > first;) body(i);
    });
  });
}

template <class Body>
void launch_blocks(Stream& stream, Grid grid, const Body& body) {
  static_assert(sizeof(typename Body::Shared) <= 48 * 1024 && Body::kThreads <= 1024 && detail::fits_launch<Body>);
  ensure(grid.x >= 0 && grid.y >= 0 && grid.y <= detail::kMostRows, "a grid that a GPU takes");
  if (grid.x == 0 || grid.y == 0) return;
#if defined(__CUDACC__)
  if (!stream.emulated()) {
    detail::blocks_kernel<<<dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y)), Body::kThreads, 0,
                            static_cast<cudaStream_t>(stream.handle())>>>(body);
    return detail::check_launch();
  }
#endif
  stream.emulate([body, grid] {
    const size_t blocks = static_cast<size_t>(grid.x) * static_cast<size_t>(grid.y);
    run_on_host(blocks, [&](size_t b) {
      const size_t block = blocks - 1 - b;
      const Place place{static_cast<int>(block % static_cast<size_t>(grid.x)), static_cast<int>(block / static_cast<size_t>(grid.x)), 0};
      detail::run_block(body, place, std::make_integer_sequence<int, Body::kPhases>{});
    });
  });
}

}  // namespace dn::cuda
