// One synthetic photograph with the boxes of what can be seen in it.
#pragma once

#include <cstdint>
#include <vector>

#include "image/image.h"
#include "image/truth.h"

namespace dn::synth {

struct Scene {
  Image image;
  std::vector<TruthBox> truth;  // class_id is a Kind; boxes are tight around the visible part; things hidden by more than 70 % have none
  int quality = 90;             // of the JPEG
};

// A pure function of its arguments. Sizes 64..2048.
Scene render_scene(uint64_t seed, uint64_t index, int width, int height);

}  // namespace dn::synth
