// Weights from and to files: one door for both formats, which the extension tells apart. A name that ends in .safetensors is that (tensor_weights.h); any
// other is the family's .weights: a header and one flat stream of floats in cfg order; no names, no sizes, no checksum.
//
//   int32 major, minor, revision; then seen: uint64 when major*10 + minor >= 2, else uint32; then per layer the parameters as Layer::params lists
//   them (convolution: biases, scales, rolling mean, rolling variance, weights [out][in][y][x]); all little-endian.
//
// What a file must hold is computed from the cfg before a byte of it is read. A file may end early, but only between two layers: that is how
// pretrained backbones (NAME.conv.137) are cut. Everything else is refused, and then nothing of the network has changed. Layers that the stream cannot
// express (Layer::weights_file_obstacle) are never written to it, and read from it only what lies before them.
#pragma once

#include <climits>
#include <cstdint>

#include "graph/network.h"

namespace dn {

struct WeightsInfo {
  int major = 0, minor = 2, revision = 5;
  uint64_t seen = 0;  // images trained on
  int loaded = 0;     // layers 0 .. loaded-1 have their values from the file
  int layers = 0;     // of the network
  bool complete() const { return loaded == layers; }
};

// `cutoff`: only layers with a lower index take their values (a .weights file is still checked whole; a .safetensors file may hold other layers there).
// Keys dontload=1 and dontloadscales=1 say that the file holds nothing (no scales and statistics) for a layer; a file that holds everything
// all the same, such as a snapshot of this network, is loaded whole.
// Throws Error: file shorter or longer than the cfg asks (with a table of layers), unknown header, NaN or infinity, negative rolling variance, an
// obstacle; for .safetensors what tensor_weights.h says.
WeightsInfo load_weights(Network& network, const fs::path& path, int cutoff = INT_MAX);

// Atomic. Layers with an index below `layers` are written. Throws Error when a value is not finite (the old file stays), when the format cannot express a
// layer, or when the disk refuses.
void save_weights(const Network& network, const fs::path& path, uint64_t seen, int layers = INT_MAX);

bool is_safetensors(const fs::path& path);                       // by its extension
std::string_view weights_extension(const Network& network);      // of the files that hold it whole: ".weights" where that can express it

}  // namespace dn
