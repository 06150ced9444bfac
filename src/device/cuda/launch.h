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
// Bodies hold device addresses; nothing else may be behind a pointer.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

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

template <class Body, int... phases>
void run_block(const Body& body, Place place, std::integer_sequence<int, phases...>) {
  std::vector<typename Body::State> states(Body::kThreads);
  const auto shared = std::make_unique<typename Body::Shared>();
  const auto phase = [&]<int p>() {
    for (place.thread = 0; place.thread < Body::kThreads; ++place.thread)
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
    run_on_host((count + kPiece - 1) / kPiece, [&](size_t piece) {
      for (size_t i = piece * kPiece; i < count && i < (piece + 1) * kPiece; ++i) body(i);
    });
  });
}

template <class Body>
void launch_blocks(Stream& stream, Grid grid, const Body& body) {
  static_assert(sizeof(typename Body::Shared) <= 48 * 1024);
  if (grid.x == 0 || grid.y == 0) return;
#if defined(__CUDACC__)
  if (!stream.emulated()) {
    detail::blocks_kernel<<<dim3(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y)), Body::kThreads, 0,
                            static_cast<cudaStream_t>(stream.handle())>>>(body);
    return detail::check_launch();
  }
#endif
  stream.emulate([body, grid] {
    run_on_host(static_cast<size_t>(grid.x) * static_cast<size_t>(grid.y), [&](size_t block) {
      const Place place{static_cast<int>(block % static_cast<size_t>(grid.x)), static_cast<int>(block / static_cast<size_t>(grid.x)), 0};
      detail::run_block(body, place, std::make_integer_sequence<int, Body::kPhases>{});
    });
  });
}

}  // namespace dn::cuda
