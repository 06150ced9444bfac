// Trained weights rewritten so that the network stays the same function, or becomes the one of another input. Sums are taken in double.
//   denormalized  y = g (W x - m) / s + b  becomes  W' x + b'  with  W' = (g / s) W,  b' = b - (g / s) m: no normalization is left in the cfg
//   normalized    the other way round: a normalization that changes nothing is put behind every convolution and [connected] that has none
//   reset         as the first, but the normalization stays, with scales 1, means 0, variances 1
// Only batch statistics can be folded, since at inference they are constants; group norms and their like see the image.
#pragma once

#include <string>

#include "graph/network.h"

namespace dn {

struct EditedNetwork {
  Network network;
  std::string cfg;   // the text of the cfg that goes with it, comments and all
  int layers = 0;    // that changed
};

// `network` was read from network.file(), which is read again. Throws Error when a layer's normalization cannot be folded, or nothing is there to do.
EditedNetwork denormalized(const Network& network);
EditedNetwork normalized(const Network& network);
int reset_normalizations(Network& network);   // the number of layers

// The first convolution, which must read the network's 3-channel input; Error otherwise.
// For images whose channels come in the other order, BGR instead of RGB.
void swap_red_and_blue(Network& network);
// For images in 0..1 where the network was trained on -1..1:  W (2 x - 1) + b.  A padded border is 0 before as after, which is another gray.
void rescale_input(Network& network);

// sums += the network's parameters, and the mean of `count` such additions back into it. sums: one per ParamStore value.
void add_parameters(const Network& network, std::vector<double>& sums);
void set_mean_parameters(Network& network, const std::vector<double>& sums, int count);

}  // namespace dn
