#include "config/norm_spec.h"

#include <optional>

#include "base/error.h"
#include "base/text.h"

namespace dn {
namespace {

constexpr std::string_view kKinds[] = {"none", "bn", "brn"};
constexpr std::string_view kScopes[] = {"minibatch", "cmbn", "batch"};
constexpr std::string_view kGradients[] = {"renorm", "local", "detached"};
constexpr std::string_view kFrozen[] = {"0", "stats", "all"};
constexpr std::string_view kUpdates[] = {"subdivision", "batch"};

constexpr Key<NormKeys> kOwn[] = {
    {"batch_normalize", &NormKeys::batch_normalize, 0, 2, "1: normalize (norm = bn unless [net] says otherwise); 2: with norm_scope = cmbn"},
    {"cbn", &NormKeys::cbn, 0, 0, "1: the family's other spelling of batch_normalize = 2"},
};
constexpr Key<NormKeys> kShared[] = {
    {"norm", &NormKeys::norm, 0, 0, "bn: batch normalization; brn: batch renormalization", kKinds},
    {"norm_scope", &NormKeys::scope, 0, 0, "values of a batch statistic: one mini-batch, the mini-batches of the batch seen so far, or, in [net] only, the whole batch whatever subdivisions says", kScopes},
    {"norm_grad", &NormKeys::gradient, 0, 0, "gradient under norm_scope = cmbn", kGradients},
    {"norm_frozen", &NormKeys::frozen, 0, 0, "stats: train with the running statistics; all: and leave scales and biases as they are", kFrozen},
    {"use_global_stats", &NormKeys::use_global_stats, 0, 0, "1: Caffe's spelling of norm_frozen = stats"},
    {"norm_eps", &NormKeys::eps, 1e-12, 1, "added to the variance"},
    {"norm_momentum", &NormKeys::momentum, 0, 1, "weight of a new statistic in the running one; 0: cumulative mean"},
    {"norm_update", &NormKeys::update, 0, 0, "running statistics move with every mini-batch, or once per batch (the default of cmbn)", kUpdates},
    {"norm_warm", &NormKeys::warm, 0, 0, "the first statistics weigh 1/t, so that running ones are not drawn to their start value"},
    {"norm_affine", &NormKeys::affine, 0, 0, "scales and biases are trained"},
    {"brn_rmax", &NormKeys::rmax, 1, 1000, "norm = brn: the most that a scale is corrected by"},
    {"brn_dmax", &NormKeys::dmax, 0, 1000, "norm = brn: the most that a mean is corrected by, in standard deviations"},
};

constexpr Key<NormKeys> kNetOnly[] = {
    {"norm_exact_segments", &NormKeys::segments, 0, 0,
     "norm_scope = batch: parts of the network that backward computes again instead of keeping them; 0: none, auto: as few as the memory allows"},
};
constexpr int kMaxSegments = 64;

template <class Enum, size_t N>
Enum choice(const std::string& text, const std::string_view (&names)[N]) {
  for (size_t i = 0; i < N; ++i)
    if (names[i] == text) return static_cast<Enum>(i);
  return Enum{};   // refused by its table
}

NormKind kind_of(const Section& section, const NormKeys& net, const NormKeys& keys, Problems& problems) {
  const Entry* own = section.find("norm");
  const Entry* flag = section.find("batch_normalize");
  const bool asked = keys.batch_normalize != 0 || keys.cbn || section.type == "batchnorm";
  if (!own) return !asked ? NormKind::none : net.norm.empty() ? NormKind::bn : choice<NormKind>(net.norm, kKinds);
  const NormKind kind = choice<NormKind>(keys.norm, kKinds);
  if (flag && (keys.batch_normalize != 0) != (kind != NormKind::none))
    problems.warning(concat(section.where(*flag), ": disagrees with norm = ", keys.norm, " (line ", own->line, "), which is taken"));
  return kind;
}

// A network works on whole batches or on mini-batches, not on both.
void check_whole_batch(const Section& section, const NormKeys& net, const NormSpec& spec, Problems& problems) {
  if (net.whole_batch() == (spec.scope == NormScope::batch) || !spec.any()) return;
  const Entry* entry = section.find("norm_scope");
  if (!entry) entry = section.find("batch_normalize");
  if (!entry) entry = section.find("cbn");
  if (net.whole_batch())
    problems.error(section, *entry, "contradicts norm_scope = batch in [net], which the whole network follows", "no scope of its own");
  else
    problems.error(section, *entry, "concerns the whole network", "norm_scope = batch in [net]");
}

// Keys of a layer that its normalization does not look at.
void warn_of_unused(const Section& section, const NormSpec& spec, Problems& problems) {
  const bool batch = spec.kind == NormKind::bn, frozen = spec.keeps_statistics();
  const struct {
    std::string_view key;
    bool used;
    std::string_view by;
  } rules[] = {{"norm_grad", batch && spec.scope == NormScope::cmbn, "norm_scope = cmbn"},
               {"brn_rmax", spec.kind == NormKind::brn, "norm = brn"},
               {"brn_dmax", spec.kind == NormKind::brn, "norm = brn"},
               {"norm_momentum", spec.any() && !frozen, "a normalization that is not frozen"},
               {"norm_update", spec.any() && !frozen, "a normalization that is not frozen"},
               {"norm_warm", spec.any() && !frozen, "a normalization that is not frozen"},
               {"norm_scope", spec.any() && !frozen, "a normalization that is not frozen"},
               {"norm_affine", spec.any(), "a normalization"},
               {"norm_eps", spec.any(), "a normalization"},
               {"norm_frozen", spec.any(), "a normalization"}};
  for (const auto& rule : rules)
    if (const Entry* entry = section.find(rule.key); entry && !rule.used) problems.warning(concat(section.where(*entry), ": only used by ", rule.by));
}

void check(const Section& section, const NormSpec& spec, const NormKeys& net, const NormKeys& keys, Problems& problems) {
  if (section.type == "batchnorm" && !spec.any())
    problems.error(concat(section.where(), ": norm = none leaves the section nothing to do; expected norm = bn or brn"));
  const Entry* scope = section.find("norm_scope");
  if (spec.any() && spec.kind != NormKind::bn && scope && spec.scope != NormScope::minibatch)
    problems.error(section, *scope, concat("norm = ", keys.norm, " knows one mini-batch only"), "norm_scope = minibatch");
  check_whole_batch(section, net, spec, problems);
  warn_of_unused(section, spec, problems);
  const Entry* frozen = section.find("norm_frozen");
  if (const Entry* alias = section.find("use_global_stats"); alias && frozen && keys.use_global_stats && keys.frozen == "0")
    problems.error(section, *alias, concat("contradicts norm_frozen = ", keys.frozen), "one of the two");
}

}  // namespace

std::string NormSpec::text() const {
  std::string text(kKinds[static_cast<size_t>(kind)]);
  if (scope != NormScope::minibatch) text += concat(" ", kScopes[static_cast<size_t>(scope)]);
  if (keeps_statistics()) text += " frozen";
  return text;
}

NormKeys bind_net_norm(const Section& section, Problems& problems) {
  NormKeys keys;
  bind_onto<NormKeys>(section, kShared, problems, keys);
  bind_onto<NormKeys>(section, kNetOnly, problems, keys);
  const auto number = parse_integer(keys.segments);
  if (const Entry* entry = section.find("norm_exact_segments"); entry && keys.segments != "auto" && !(number && *number >= 0 && *number <= kMaxSegments)) {
    problems.error(section, *entry, {}, concat("auto or 0..", kMaxSegments));
    keys.segments = "auto";
  }
  return keys;
}

int NormKeys::exact_segments() const { return segments == "auto" ? -1 : static_cast<int>(*parse_integer(segments)); }

NormSpec bind_layer_norm(const Section& section, const NormKeys& net, Problems& problems) {
  NormKeys keys = net;
  if (section.type != "batchnorm") bind_onto<NormKeys>(section, kOwn, problems, keys);
  bind_onto<NormKeys>(section, kShared, problems, keys);
  NormSpec spec;
  spec.kind = kind_of(section, net, keys, problems);
  spec.scope = choice<NormScope>(keys.scope, kScopes);
  if (!section.find("norm_scope") && (keys.batch_normalize == 2 || keys.cbn)) spec.scope = NormScope::cmbn;
  spec.gradient = choice<NormGradient>(keys.gradient, kGradients);
  spec.frozen = choice<NormFrozen>(keys.frozen, kFrozen);
  if (keys.use_global_stats && spec.frozen == NormFrozen::no) spec.frozen = NormFrozen::stats;
  spec.eps = keys.eps;
  spec.momentum = keys.momentum;
  spec.warm = keys.warm;
  spec.affine = keys.affine;
  spec.rmax = keys.rmax;
  spec.dmax = keys.dmax;
  spec.ramp_from = keys.burn_in;
  spec.ramp_to = 5.0 * keys.burn_in;
  check(section, spec, net, keys, problems);
  if (net.whole_batch() || spec.kind != NormKind::bn) spec.scope = NormScope::minibatch;   // one mini-batch is the whole batch, or a default of [net] that is not for this kind
  spec.update_per_batch = keys.update.empty() ? spec.scope == NormScope::cmbn : keys.update == "batch";
  return spec;
}

std::vector<KeyHelp> with_norm_keys(std::vector<KeyHelp> rows, NormPlace place) {
  const auto append = [&rows](std::span<const Key<NormKeys>> keys) {
    for (KeyHelp& row : key_help<NormKeys>(keys)) rows.push_back(std::move(row));
  };
  if (place == NormPlace::layer) append(kOwn);
  append(kShared);
  if (place == NormPlace::net) append(kNetOnly);
  return rows;
}

}  // namespace dn
