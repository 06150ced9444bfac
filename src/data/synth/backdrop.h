// The place of a synthetic scene: where the horizon is, where the light comes from, and the empty picture of it.
#pragma once

#include "data/synth/texture.h"
#include "image/canvas.h"

namespace dn::synth {

enum class Place : uint8_t { open, yard, flat };  // ground under a sky; floor before a wall; a wall or table seen straight on

struct Stage {
  Place place = Place::open;
  int width = 0, height = 0;
  double horizon = 0;     // y in pixels; flat: 0
  double light = 0;       // -1 from the left .. 1 from the right
  double hardness = 0;    // 0 overcast .. 1 bright sun: depth of shading and shadows
  Color glow, haze;       // colour of the light; colour distant things fade to
  double haze_share = 0;  // how much of it at the horizon
  // 0 at the horizon, 1 at the lower edge.
  double nearness(double y) const { return horizon >= height ? 1 : (y - horizon) / (height - horizon); }
};

Stage choose_stage(Rng& rng, int width, int height);
Canvas paint_backdrop(const Stage& stage, Rng& rng);

}  // namespace dn::synth
