// What a camera adds: blur of depth and motion, exposure, colour cast, vignette, sensor noise.
#pragma once

#include "base/rng.h"
#include "image/canvas.h"

namespace dn::synth {

// Gaussian blur of the premultiplied pixels; edges repeat. Nothing happens below sigma 0.2.
void blur(Canvas& canvas, double sigma);

// The finished scene as the camera's picture.
Image develop(Canvas& scene, Rng& rng);

}  // namespace dn::synth
