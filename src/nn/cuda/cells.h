// Where a pixel lies, for bodies that look at its neighbours.
#pragma once

#include "device/cuda/view.h"

namespace dn::cuda {

// i = whole * by + rest; in 32 bits where they suffice, as eight_place().
struct Division {
  size_t whole;
  int rest;
};
DN_HD inline Division divide(size_t i, int by) {
  if (i <= 0xffffffffu) {
    const uint32_t at = static_cast<uint32_t>(i), whole = at / static_cast<uint32_t>(by);
    return {whole, static_cast<int>(at - whole * static_cast<uint32_t>(by))};
  }
  const size_t whole = i / static_cast<size_t>(by);
  return {whole, static_cast<int>(i - whole * static_cast<size_t>(by))};
}

struct Cell {
  int n = 0, y = 0, x = 0;
};

// Of pixel number `pixel` in [0, v.pixels()).
DN_HD inline Cell cell_of(const View& v, size_t pixel) {
  const Division row = divide(pixel, v.w), image = divide(row.whole, v.h);
  return {static_cast<int>(image.whole), image.rest, row.rest};
}

// Cells first .. last-1 of a window along one axis that lie in the map, and the windows that contain a cell.
struct Span {
  int first = 0, last = 0;
};
// Of the window that starts at `start`, `size` long.
DN_HD inline Span cells_of_window(int start, int size, int length) { return {start < 0 ? 0 : start, start + size > length ? length : start + size}; }
// Of `windows` windows, window i starting at i * stride - offset.
DN_HD inline Span windows_of_cell(int cell, int size, int stride, int offset, int windows) {
  const int from = cell + offset - size + 1, last = (cell + offset) / stride + 1;
  return {from <= 0 ? 0 : (from + stride - 1) / stride, last < windows ? last : windows};
}

}  // namespace dn::cuda
