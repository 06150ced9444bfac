// What the samples of a batch have to do with each other: nothing, frames of sequences (track), or pairs (contrastive). Pure numbers: which sample
// belongs where follows from its index in the batch alone.
//
// Sequences, for recurrent layers. A mini-batch holds whole sequences side by side, time outermost, as frame_place of config/net_spec.h says.
// The mini-batches of a batch either all begin new sequences, or `chain` of them in a row go on with the same ones (sequential_subdivisions =
// subdivisions / chain). A sequence is every n-th image of the train list from some image on, over its end to its beginning; n is uniform in
// 1..augment_speed. Its frames are augmented alike; the noise of each is its own.
//
// Pairs, for contrastive learning: images 2 k and 2 k + 1 of a mini-batch are made of the same pictures, each with its own zoom, blur and noise; crop
// and flip are its own with contrastive_jit_flip, the colour with contrastive_color. An odd mini-batch ends with a single one. Sequences have no pairs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dn {

struct NetSpec;

struct BatchLayout {
  int mini_batch = 0;  // images of one forward pass; 0: the batch
  // sequences
  bool track = false;
  int time_steps = 1;
  int chain = 1;  // mini-batches that a sequence lasts
  int max_speed = 1;
  // pairs
  bool contrastive = false, own_crop = false, own_colour = false;
};
// From [net]. Keys that exclude each other are told on stderr.
BatchLayout make_batch_layout(const NetSpec& net);

struct SamplePlace {
  uint64_t pictures = 0;          // number within the batch of what is made of the same pictures: a sequence, a pair, or the sample alone
  int frame = 0;                  // of its sequence
  uint64_t look = 0;              // number within the batch of what has the same augmentation: the sequence's first sample or the sample itself
  uint64_t crop = 0, colour = 0;  // whose crop and flip, whose colour it takes
};
SamplePlace place_of(const BatchLayout& layout, int batch, int index);
// How many different `pictures` a batch has.
uint64_t groups_of(const BatchLayout& layout, int batch);

}  // namespace dn
