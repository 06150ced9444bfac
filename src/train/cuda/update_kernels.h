// The kernels of weight updates on a GPU. One launch goes over all segments, cut into pieces, a block for each; what it finds is summed up in a fixed order.
// Whether an update takes place is decided there too: the kernels behind the scan read its verdict, and the host need not wait between them.
#pragma once

#include <climits>
#include <cstdint>

#include "base/host_device.h"
#include "device/cuda/stream.h"
#include "train/update_sweeps.h"

namespace dn::cuda {

// A stretch of one segment, or one filter. Offsets in floats.
struct UpdatePiece {
  uint64_t offset = 0;
  int count = 0;
  int rule = 0;  // index in the table of rules
};

struct CopyPiece {
  uint64_t from = 0, to = 0;
  int count = 0;
};

inline constexpr int kNoPiece = INT_MAX;

// Of a scan: of all pieces, or of one.
struct UpdateVerdict {
  double squares = 0;
  float largest = 0;
  int broken = kNoPiece;  // number of the first piece with a gradient that is not finite
  DN_HD UpdateVerdict& operator+=(const UpdateVerdict& other) {
    squares += other.squares;
    if (other.largest > largest) largest = other.largest;
    if (other.broken < broken) broken = other.broken;
    return *this;
  }
};

// `of_pieces`: room for one per piece; `verdict`: of all.
void scan_gradients(Stream& stream, const UpdatePiece* pieces, int count, const float* grads, float unscale, UpdateVerdict* of_pieces,
                    UpdateVerdict* verdict);

// The following do nothing where the verdict says that a gradient is broken.
void centralize_gradients(Stream& stream, const UpdatePiece* filters, int count, float* grads, const UpdateVerdict* verdict);

struct UpdateArrays {
  const float* grads = nullptr;
  float *values = nullptr, *velocity = nullptr;
  float* squares = nullptr;  // Adam's; null: SGD
};
void update_values(Stream& stream, const UpdatePiece* pieces, int count, const UpdateRule* rules, float unscale, const UpdateArrays& arrays,
                   const UpdateVerdict* verdict);

void copy_pieces(Stream& stream, const CopyPiece* pieces, int count, const float* from, float* to);
// The same pieces back, where the verdict says that a gradient is broken.
void restore_pieces(Stream& stream, const CopyPiece* pieces, int count, const float* from, float* to, const UpdateVerdict* verdict);
void restore_counters(Stream& stream, size_t count, const int64_t* from, int64_t* to, const UpdateVerdict* verdict);

// Averages of the weights, of `count` floats, a multiple of 4: average <- average + share (w - average); both change places.
void average_values(Stream& stream, size_t count, float share, const float* values, float* average);
void swap_values(Stream& stream, size_t count, float* a, float* b);

}  // namespace dn::cuda
