// The [net] section: batch, input size, optimizer, learning-rate policy, augmentation. Defaults are the family's (compatibility notes 3.3).
#pragma once

#include "config/keys.h"
#include "config/norm_spec.h"

namespace dn {

// Which frame of which sequence a sample of a batch is. Every mini-batch holds whole sequences, time outermost: of its samples, number
// step * sequences + q is frame `step` of its q-th sequence, sequences = mini_batch / time_steps. Sequences count through the batch.
struct FramePlace {
  int sequence = 0, step = 0;
};
inline FramePlace frame_place(int sample, int mini_batch, int time_steps) {
  const int sequences = mini_batch / time_steps, within = sample % mini_batch;
  return {sample / mini_batch * sequences + within % sequences, within / sequences};
}

struct NetSpec {
  // batch
  int batch = 1;         // images per weight update, over everything
  int subdivisions = 1;  // a batch is cut into this many mini-batches
  int time_steps = 1;    // frames of a sequence, with recurrent layers or track; `batch` counts all frames then (count_frames)
  int max_batches = 0;   // iterations
  // input
  int width = 0, height = 0, channels = 3;
  // optimizer: SGD with momentum and decay, or Adam
  double learning_rate = .001, momentum = .9, decay = .0001;
  bool adam = false;
  double beta1 = .9, beta2 = .999, adam_eps = 1e-6;
  double ema_alpha = 0;         // share that the average of the weights keeps of itself in an iteration; 0: no average
  int weights_reject_freq = 0;  // iterations between the searches for filters alike; 0: none
  bool dynamic_minibatch = false;
  // learning-rate policy
  std::string policy = "constant";  // constant|step|steps|exp|poly|sig|sigmoid|random|sgdr
  int burn_in = 0;
  double power = 4;  // of burn-in, poly, random
  int step = 1;
  double scale = 1;
  std::vector<int> steps;
  std::vector<float> scales;
  double gamma = 1;
  double learning_rate_min = 1e-5;
  int sgdr_cycle = 0;  // 0: max_batches
  int sgdr_mult = 2;
  // augmentation
  bool flip = true;
  double hue = 0, saturation = 1, exposure = 1;
  bool letter_box = false;
  bool mosaic = false, mosaic_bound = false, cutmix = false;
  int mixup = 0;  // 0, 1, or the family's codes: 2 cutmix, 3 mosaic, 4 both
  int blur = 0, gaussian_noise = 0;
  int resize_step = 32;
  // what the samples of a mini-batch have to do with each other (data/batch_layout.h)
  bool track = false;
  int augment_speed = 2;
  int sequential_subdivisions = 0;  // 0: subdivisions
  int chain = 1;  // mini-batches that a sequence lasts, by these two; it stays so when a run cuts the batch into more of them (-auto_subdivisions)
  bool contrastive = false, contrastive_jit_flip = false, contrastive_color = false;
  double max_chart_loss = 20;
  // labels that are left out towards the end (nn/label_rejection.h)
  int equidistant_point = 0;                      // iteration; 0: never
  double badlabels_rejection_percentage = 0, num_sigmas_reject_badlabels = 0;
  NormKeys norm;   // defaults of the layers
  Section section;  // where it stands, for messages

  // What a batch is really worked on in: subdivisions, or all at once when its statistics are those of the whole batch.
  int parts() const { return norm.whole_batch() ? 1 : subdivisions; }
  int mini_batch() const { return batch / parts(); }

  // With recurrent layers or track `batch` in a cfg counts sequences, each of time_steps consecutive frames; from here on it counts frames.
  void count_frames() { batch *= time_steps; }
  FramePlace frame_place(int sample) const { return dn::frame_place(sample, mini_batch(), time_steps); }
};

// Binds and checks [net] (first section of the file), cross-key rules included: width and height given, steps and scales of the same length, ...
NetSpec bind_net(const Section& section, Problems& problems);
std::vector<KeyHelp> net_key_help();

}  // namespace dn
