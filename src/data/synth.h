// The data set that needs no download: photographs of things that we draw ourselves, with YOLO labels.
//
// OUT/images/{train,valid}/000000.jpg   OUT/labels/{train,valid}/000000.txt
// OUT/train.txt, valid.txt   image lists, paths relative to OUT
// OUT/synth.names, synth.data   ready for `detector train OUT/synth.data ...`; weights go to OUT/backup
// OUT/preview.jpg   some pictures with their boxes     OUT/synth.json   the parameters; written last, so its "complete" tells a whole set
#pragma once

#include <cstdint>

#include "base/files.h"

namespace dn {

struct SynthOptions {
  int images = 1000;  // 10..100000
  uint64_t seed = 1;
  int width = 416, height = 320;  // 64..2048
  double valid_share = 0.2;       // 0.01..0.9; the last images are for validation
  int threads = 2;                // changes nothing but the time
};

// Image k depends on seed, size and k alone. When `out` already holds the same set whole, it is kept. Throws Error for wrong options, for a folder
// that holds something else, and when files cannot be written.
void make_synthetic_dataset(const fs::path& out, const SynthOptions& options);

}  // namespace dn
