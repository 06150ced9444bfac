// Which normalization a layer uses (normalization notes, section 9): defaults in [net], overrides in [convolutional], [batchnorm], [connected].
#pragma once

#include "config/keys.h"

namespace dn {

enum class NormKind { none, bn, gn, ln, lnc, in, brn, frn };
enum class NormScope { minibatch, cmbn, window, twopass, batch };  // whose values a batch statistic is taken over
enum class NormGradient { renorm, local, detached, exact };        // how the backward treats a pool
enum class NormFrozen { no, stats, all };         // running statistics in training: gamma and beta trained; nothing trained
enum class NormStart { none, average, debiased }; // of running statistics: drawn to their start value; the t-th weighs 1/t; Caffe's sum over sum of weights

struct NormSpec {
  NormKind kind = NormKind::none;
  NormScope scope = NormScope::minibatch;
  NormGradient gradient = NormGradient::renorm;
  NormFrozen frozen = NormFrozen::no;
  NormStart start = NormStart::average;
  double eps = 1e-5;        // inside the root
  double momentum = .01;    // weight of a new statistic in the running one; 0: cumulative, 1/t
  bool update_per_batch = false;  // running statistics move once per batch, with a weight that keeps their time constant
  bool affine = true;       // gamma and beta are trained
  bool sync = false;        // statistics over all ranks
  bool standardize = false; // the weights of each filter, before the convolution
  int groups = 0;           // gn; 0: the largest divisor of the channels up to 32
  bool groups_own = false;  // ... written in the layer, so they must divide; else they are lowered until they do
  int window = 4;           // batches, the present one included
  double rmax = 3, dmax = 5;  // brn
  double ramp_from = 0, ramp_to = 0;  // iterations: brn opens between them; a window pools past batches from the first on
  // Only by a preset.
  bool unbiased = false;           // y takes the variance over n - 1
  bool biased_running = false;     // the running variance is over n
  bool eps_outside = false;        // 1 / (sqrt(v) + eps)
  bool second_moments = false;     // pools as the family's GPU code has them
  bool variance_from_one = false;  // start value of the running variance

  bool any() const { return kind != NormKind::none; }
  bool batch_statistics() const { return kind == NormKind::bn || kind == NormKind::brn; }   // and so running ones
  bool keeps_statistics() const { return batch_statistics() && frozen != NormFrozen::no; }  // normalizes with the running ones in training too
  bool trains_affine() const { return affine && frozen != NormFrozen::all; }
  bool wants_jacobian() const { return scope == NormScope::window && !keeps_statistics(); }
  int groups_of(int channels) const;
  std::string text() const;   // for describe: "bn", "bn cmbn", "gn", "bn frozen"
  std::string weights_file_obstacle() const;   // why a .weights file cannot hold the layer; empty: it can
};

// The keys as written.
struct NormKeys {
  int batch_normalize = 0, groups = 0, window = 4;
  bool cbn = false, use_global_stats = false, warm = true, affine = true, sync = false, standardize = false;
  std::string norm, scope = "minibatch", gradient = "renorm", frozen = "0", update, compat = "none";
  double eps = 0, momentum = .01, rmax = 3, dmax = 5;
  int burn_in = 0;   // of [net]
  std::string segments = "auto";   // in [net]: of whole-batch training
  int precise = 0;                 // in [net]: mini-batches of re-estimation
  // -1: as the memory asks for.
  int exact_segments() const;
  bool whole_batch() const { return scope == "batch"; }   // in [net]: the whole network works on whole batches
  // In [net]: a forward pass over all mini-batches meets the statistics, a second one works with them.
  bool two_forwards() const { return scope == "twopass" || gradient == "exact"; }
  bool backward_from_last() const { return gradient == "exact"; }
};

// Binds the norm keys of [net]; the result is the starting point of every layer.
NormKeys bind_net_norm(const Section& section, Problems& problems);
// Binds a layer's own over them and resolves; contradictions are reported with their line.
NormSpec bind_layer_norm(const Section& section, const NormKeys& net, Problems& problems);
// Norm keys of [net] that none of the layers looks at.
void warn_of_unused_norm_keys(const Section& net, const NormKeys& keys, std::span<const NormSpec* const> layers, Problems& problems);
// The norm keys that a section knows behind its own `rows`: layers also the switches batch_normalize and cbn, [net] also what concerns all layers.
enum class NormPlace { net, layer, batchnorm };
std::vector<KeyHelp> with_norm_keys(std::vector<KeyHelp> rows, NormPlace place);

}  // namespace dn
