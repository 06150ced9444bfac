// Which normalization a layer uses (normalization notes, section 9): defaults in [net], overrides in [convolutional], [batchnorm], [connected].
#pragma once

#include "config/keys.h"

namespace dn {

enum class NormKind { none, bn, brn };
enum class NormScope { minibatch, cmbn, batch };  // whose values a batch statistic is taken over
enum class NormGradient { renorm, local, detached };  // how the backward treats a pool
enum class NormFrozen { no, stats, all };         // running statistics in training: gamma and beta trained; nothing trained

struct NormSpec {
  NormKind kind = NormKind::none;
  NormScope scope = NormScope::minibatch;
  NormGradient gradient = NormGradient::renorm;
  NormFrozen frozen = NormFrozen::no;
  double eps = 1e-5;        // inside the root
  double momentum = .01;    // weight of a new statistic in the running one; 0: cumulative, 1/t
  bool update_per_batch = false;  // running statistics move once per batch, with a weight that keeps their time constant
  bool warm = true;         // the first updates weigh 1/t
  bool affine = true;       // gamma and beta are trained
  double rmax = 3, dmax = 5;  // brn
  double ramp_from = 0, ramp_to = 0;  // brn: iterations between which they open

  bool any() const { return kind != NormKind::none; }
  bool keeps_statistics() const { return any() && frozen != NormFrozen::no; }   // normalizes with the running ones in training too
  std::string text() const;   // for describe: "bn", "bn cmbn", "brn", "bn frozen"
};

// The keys as written.
struct NormKeys {
  int batch_normalize = 0;
  bool cbn = false, use_global_stats = false, warm = true, affine = true;
  std::string norm, scope = "minibatch", gradient = "renorm", frozen = "0", update;
  double eps = 1e-5, momentum = .01, rmax = 3, dmax = 5;
  int burn_in = 0;   // of [net]
  std::string segments = "auto";   // in [net]: of whole-batch training
  // -1: as few as the memory allows.
  int exact_segments() const;
  bool whole_batch() const { return scope == "batch"; }   // in [net]: the whole network works on whole batches
};

// Binds the norm keys of [net]; the result is the starting point of every layer.
NormKeys bind_net_norm(const Section& section, Problems& problems);
// Binds a layer's own over them and resolves; contradictions are reported with their line.
NormSpec bind_layer_norm(const Section& section, const NormKeys& net, Problems& problems);
// The norm keys that a section knows behind its own `rows`: layers also the switches batch_normalize and cbn, [net] also what concerns all layers.
enum class NormPlace { net, layer, batchnorm };
std::vector<KeyHelp> with_norm_keys(std::vector<KeyHelp> rows, NormPlace place);

}  // namespace dn
