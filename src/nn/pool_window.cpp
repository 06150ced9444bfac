#include "nn/pool_window.h"

#include <algorithm>

#include "base/error.h"

namespace dn {

void PoolWindow::resolve(const Section& section, Problems& problems) {
  if (stride_x == 0) stride_x = stride;
  if (stride_y == 0) stride_y = stride;
  if (size == 0) size = stride;
  if (padding < 0) padding = size - 1;
  if (padding > 2 * (size - 1)) {  // otherwise the first or last window could lie outside the map
    problems.error(section, *section.find("padding"), "a window could hold no cell of the map", concat("0..", 2 * (size - 1), " for size ", size));
    padding = size - 1;
  }
}

Shape PoolWindow::output_shape(const Section& section, const Shape& in) const {
  Shape y = in;
  const int rest_h = y.h + padding - size, rest_w = y.w + padding - size;
  if (rest_h < 0 || rest_w < 0)
    fail(section.where(), " size = ", size, ": larger than the padded input of ", y.w + padding, " x ", y.h + padding, "; expected at most ",
         std::min(y.w, y.h) + padding, " (input ", y.text(), ")");
  y.h = rest_h / stride_y + 1;
  y.w = rest_w / stride_x + 1;
  return y;
}

std::string PoolWindow::text() const {
  std::string out = concat(size, "x", size, "/", stride_y);
  if (stride_x != stride_y) out += concat("x", stride_x);
  if (padding != size - 1) out += concat("  padding ", padding);
  return out;
}

}  // namespace dn
