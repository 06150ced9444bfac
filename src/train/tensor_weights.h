// The weights of a network as safetensors: for networks that the .weights format cannot express, and for exchange with other programs.
//
// A tensor is named INDEX.TYPE.NAME, such as 17.convolutional.weights: the layer's index and section in the cfg, and the name that Layer::params gives it.
// Convolution weights are [out, in / groups, y, x], those of [connected] [out, in], everything else has one side. __metadata__ (a file without it is read
// as well):
//
//   darknet_format           "1"; another one is refused
//   darknet_version          of the program that wrote the file
//   seen                     images trained on
//   layers                   layers written
//   structure_fnv1a64        structure_hash of those layers, 16 hex digits; another one than the cfg's is a warning
//   INDEX.TYPE.norm_updates  how often the layer's running statistics moved, so that the warm start of a resumed run goes on; without it they are past
//                            that, as those of a .weights file
//
// As in a .weights file the last layers may be missing (a cut backbone); a tensor missing before that is an error, and so is one that the cfg does not
// know, one of another shape, and a value that cannot be.
#pragma once

#include "train/weights_file.h"

namespace dn {

// load_weights and save_weights for this format. The values have been checked when save_tensors is called.
WeightsInfo load_tensors(Network& network, const fs::path& path, int cutoff);
void save_tensors(const Network& network, const fs::path& path, uint64_t seen, int layers);

}  // namespace dn
