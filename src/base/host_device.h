// Functions that run on the host and in GPU kernels alike are marked DN_HD. One of the two places with conditional compilation for CUDA; the other is
// device/cuda/launch.h.
#pragma once

#if defined(__CUDACC__)
#define DN_HD __host__ __device__
#else
#define DN_HD
#endif
