// A sample put together from four pictures around a point (compatibility notes 10.4). The point is uniform in the middle 60 % of the sample; tile q is
//   0 top left, 1 top right, 2 bottom left, 3 bottom right.
// Each picture is augmented as if it were to fill the whole sample, and its tile shows a part of that: of a left tile's picture the right columns, of a
// right tile's the left ones, up and down alike, moved so that as little padding as possible shows:
//   left tile:  columns  width - cut - right ..           right = min(width - cut, max(0, what the window reaches beyond the picture's right) width / side)
//   right tile: columns  left ..                          left  = min(cut, ...)
// With letter_box the window is the letterboxed one; the shift hides its padding too.
// Boxes move with their pixels and are cut at the sample's edge; mosaic_bound: at their tile's. Objects whose visible part is narrower or lower than
// one pixel are left out. (The family keeps those too that the tile hides wholly: labels of nothing.)
#pragma once

#include <vector>

#include "base/rng.h"
#include "image/resize.h"
#include "image/truth.h"

namespace dn {

inline constexpr int kMosaicTiles = 4;

struct MosaicCut {
  int x = 0, y = 0;  // where left meets right, and top meets bottom
};
MosaicCut draw_mosaic_cut(int width, int height, Rng& rng);

// Half of the pictures are moved first so that the corner at the tile's outer corner is that of the picture: same size, other place.
Window moved_to_corner(Window window, int tile, bool flip, int image_width, int image_height);

struct MosaicTile {
  int x = 0, y = 0, width = 0, height = 0;  // its place in the sample
  int from_x = 0, from_y = 0;               // which column and row of its picture, augmented to the sample's size, comes first
};
MosaicTile mosaic_tile(int tile, const MosaicCut& cut, const Window& window, bool flip, int image_width, int image_height, int width, int height);

// From boxes relative to the picture as augmented for itself to boxes relative to the sample.
std::vector<TruthBox> mosaic_boxes(const std::vector<TruthBox>& boxes, const MosaicTile& tile, bool bound, int width, int height);

}  // namespace dn
