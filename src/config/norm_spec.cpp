#include "config/norm_spec.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/text.h"

namespace dn {
namespace {

constexpr std::string_view kKinds[] = {"none", "bn", "gn", "ln", "lnc", "in", "brn", "frn"};
constexpr std::string_view kScopes[] = {"minibatch", "cmbn", "window", "twopass", "batch"};
constexpr std::string_view kGradients[] = {"renorm", "local", "detached", "exact"};
constexpr std::string_view kFrozen[] = {"0", "stats", "all"};
constexpr std::string_view kUpdates[] = {"subdivision", "batch"};
constexpr std::string_view kPresets[] = {"none", "alexeyab-cudnn", "alexeyab-cpu", "pjreddie", "pytorch", "caffe"};

constexpr Key<NormKeys> kOwn[] = {
    {"batch_normalize", &NormKeys::batch_normalize, 0, 2, "1: normalize (norm = bn unless [net] says otherwise); 2: with norm_scope = cmbn"},
    {"cbn", &NormKeys::cbn, 0, 0, "1: the family's other spelling of batch_normalize = 2"},
};
constexpr Key<NormKeys> kShared[] = {
    {"norm", &NormKeys::norm, 0, 0,
     "bn: batch; gn: group; ln: layer (one group); lnc: layer per pixel, over its channels; in: instance; brn: batch renormalization; frn: filter response", kKinds},
    {"norm_scope", &NormKeys::scope, 0, 0,
     "values of a batch statistic: one mini-batch; cmbn: the mini-batches of the batch so far; window: and of past batches; only in [net], twopass: all of the "
     "batch, met in a forward pass of their own; batch: the whole batch exactly, whatever subdivisions says", kScopes},
    {"norm_grad", &NormKeys::gradient, 0, 0, "gradient of a pooled scope; exact, in [net] only: the true one of cmbn, by a second forward pass", kGradients},
    {"norm_window", &NormKeys::window, 1, 64, "norm_scope = window: batches, the present one included"},
    {"norm_sync", &NormKeys::sync, 0, 0, "statistics over all ranks that train together"},
    {"norm_frozen", &NormKeys::frozen, 0, 0, "stats: train with the running statistics; all: and leave scales and biases as they are", kFrozen},
    {"use_global_stats", &NormKeys::use_global_stats, 0, 0, "1: Caffe's spelling of norm_frozen = stats"},
    {"norm_eps", &NormKeys::eps, 0, 1, "added to the variance; 0: 1e-5, of lnc and frn 1e-6"},
    {"norm_momentum", &NormKeys::momentum, 0, 1, "weight of a new statistic in the running one; 0: cumulative mean"},
    {"norm_update", &NormKeys::update, 0, 0, "running statistics move with every mini-batch, or once per batch (the default of pooled scopes)", kUpdates},
    {"norm_warm", &NormKeys::warm, 0, 0, "the first statistics weigh 1/t, so that running ones are not drawn to their start value"},
    {"norm_affine", &NormKeys::affine, 0, 0, "scales and biases are trained"},
    {"norm_groups", &NormKeys::groups, 0, 65536, "norm = gn: groups of channels; 0 or in [net]: the largest divisor of the channels up to that, or to 32"},
    {"weight_standardize", &NormKeys::standardize, 0, 0, "[convolutional]: each filter's weights enter with mean 0 and variance 1"},
    {"brn_rmax", &NormKeys::rmax, 1, 1000, "norm = brn: the most that a scale is corrected by"},
    {"brn_dmax", &NormKeys::dmax, 0, 1000, "norm = brn: the most that a mean is corrected by, in standard deviations"},
    {"norm_compat", &NormKeys::compat, 0, 0, "preset: the details of another program's batch normalization (eps, momentum, biases, start values)", kPresets},
};

constexpr Key<NormKeys> kNetOnly[] = {
    {"norm_exact_segments", &NormKeys::segments, 0, 0,
     "norm_scope = batch: at most so many parts that backward computes again, in as little memory as they allow; 0: none, auto: as the memory asks for"},
    {"precise_bn", &NormKeys::precise, 0, 100000, "mini-batches over which running statistics are taken anew before weights are evaluated or final; 0: never"},
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

// What the presets say beside the keys that a section may write itself.
struct Preset {
  std::string_view name;
  double eps, momentum;
  bool warm, unbiased, eps_outside, second_moments, variance_from_one;
};

// Normalization notes, section 8. pjreddie: its CPU code, whose eps stands outside the root.
constexpr Preset kPresetTable[] = {
    {"alexeyab-cudnn", 1e-5, .01, false, false, false, true, false}, {"alexeyab-cpu", 1e-5, .1, false, true, false, false, false},
    {"pjreddie", 1e-6, .01, false, true, true, false, false},        {"pytorch", 1e-5, .1, false, false, false, false, true},
    {"caffe", 1e-5, .001, false, false, false, false, false},
};

const Preset* preset_of(const std::string& name) {
  for (const Preset& preset : kPresetTable)
    if (preset.name == name) return &preset;
  return nullptr;
}

// The preset that a section names sets what the section does not write.
void apply_preset(const Section& section, NormKeys& keys) {
  const Entry* entry = section.find("norm_compat");
  const Preset* preset = entry ? preset_of(entry->value) : nullptr;
  if (!preset) return;
  keys.eps = preset->eps;
  keys.momentum = preset->name == "alexeyab-cpu" && section.type == "connected" ? .05 : preset->momentum;
  keys.warm = preset->warm;
  if (preset->second_moments) keys.gradient = "local", keys.update = "subdivision";
}

const Entry* scope_entry(const Section& section) {
  for (const char* key : {"norm_scope", "batch_normalize", "cbn"})
    if (const Entry* entry = section.find(key)) return entry;
  return nullptr;
}

// Whole batches, and two forward passes over a batch, concern the network: no layer may say otherwise.
void check_schedule(const Section& section, const NormKeys& net, const NormSpec& spec, Problems& problems) {
  if (spec.kind != NormKind::bn) return;
  for (const NormScope scope : {NormScope::batch, NormScope::twopass}) {
    const bool net_has = net.scope == kScopes[static_cast<size_t>(scope)];
    if (net_has == (spec.scope == scope)) continue;
    const std::string said = concat("norm_scope = ", kScopes[static_cast<size_t>(scope)], " in [net]");
    if (net_has)
      problems.error(section, *scope_entry(section), concat("contradicts ", said, ", which the whole network follows"), "no scope of its own");
    else
      problems.error(section, *scope_entry(section), "concerns the whole network", said);
  }
  const Entry* gradient = section.find("norm_grad");
  if (gradient && (spec.gradient == NormGradient::exact) != net.backward_from_last())
    problems.error(section, *gradient, "exact concerns the whole network, so it stands in [net] or nowhere", "norm_grad = exact in [net]");
}

// What looks at a key, in words; empty: nothing of this normalization's kind ever does.
struct Use {
  std::string_view key;
  std::string_view by;
  bool (*of)(const NormSpec&);
};
bool takes_running(const NormSpec& s) { return s.batch_statistics() && !s.keeps_statistics(); }
constexpr Use kUses[] = {
    {"norm_grad", "a pooled norm_scope", [](const NormSpec& s) { return s.kind == NormKind::bn && s.scope != NormScope::minibatch && s.scope != NormScope::batch; }},
    {"norm_window", "norm_scope = window", [](const NormSpec& s) { return s.kind == NormKind::bn && s.scope == NormScope::window; }},
    {"norm_groups", "norm = gn", [](const NormSpec& s) { return s.kind == NormKind::gn; }},
    {"weight_standardize", "[convolutional]", [](const NormSpec& s) { return s.standardize; }},
    {"brn_rmax", "norm = brn", [](const NormSpec& s) { return s.kind == NormKind::brn; }},
    {"brn_dmax", "norm = brn", [](const NormSpec& s) { return s.kind == NormKind::brn; }},
    {"norm_momentum", "batch statistics that are not frozen", takes_running},
    {"norm_update", "batch statistics that are not frozen", takes_running},
    {"norm_warm", "batch statistics that are not frozen", takes_running},
    {"norm_scope", "batch statistics that are not frozen", takes_running},
    {"norm_sync", "batch statistics that are not frozen", takes_running},
    {"precise_bn", "batch statistics that are not frozen", takes_running},
    {"norm_exact_segments", "norm_scope = batch", [](const NormSpec& s) { return s.scope == NormScope::batch; }},
    {"norm_compat", "batch statistics", [](const NormSpec& s) { return s.batch_statistics(); }},
    {"norm_affine", "a normalization", [](const NormSpec& s) { return s.any(); }},
    {"norm_eps", "a normalization", [](const NormSpec& s) { return s.any(); }},
    {"norm_frozen", "a normalization", [](const NormSpec& s) { return s.any(); }},
    {"norm", "a layer with batch_normalize = 1", [](const NormSpec& s) { return s.any(); }},
};

// Keys of a layer that its normalization does not look at.
void warn_of_unused(const Section& section, const NormSpec& spec, const NormKeys& keys, Problems& problems) {
  for (const Use& use : kUses) {
    const Entry* entry = section.find(use.key);
    if (!entry || use.key == "norm" || use.of(spec)) continue;
    if (use.key == "weight_standardize" && (section.type == "convolutional" || !keys.standardize)) continue;   // 0 asks for nothing
    problems.warning(concat(section.where(*entry), ": only used by ", use.by));
  }
}

void check(const Section& section, const NormSpec& spec, const NormKeys& net, const NormKeys& keys, Problems& problems) {
  if (section.type == "batchnorm" && !spec.any())
    problems.error(concat(section.where(), ": norm = none leaves the section nothing to do; expected a kind of normalization"));
  const Entry* scope = section.find("norm_scope");
  if (spec.any() && spec.kind != NormKind::bn && scope && spec.scope != NormScope::minibatch)
    problems.error(section, *scope,
                   concat("norm = ", kKinds[static_cast<size_t>(spec.kind)], spec.batch_statistics() ? " knows one mini-batch only" : " has no batch statistics"),
                   spec.batch_statistics() ? "norm_scope = minibatch" : "norm = bn, or no norm_scope");
  if (const Entry* pooled = section.find("batch_normalize"); pooled && keys.batch_normalize == 2 && spec.any() && spec.kind != NormKind::bn && !scope)
    problems.error(section, *pooled, concat("pools batch statistics, which norm = ", kKinds[static_cast<size_t>(spec.kind)], " does not take"), "batch_normalize = 1");
  const Entry* frozen = section.find("norm_frozen");
  if (frozen && spec.any() && !spec.batch_statistics() && spec.frozen == NormFrozen::stats)
    problems.error(section, *frozen, concat("norm = ", kKinds[static_cast<size_t>(spec.kind)], " has no running statistics"), "0 or all");
  if (spec.sync && spec.kind == NormKind::bn && spec.scope == NormScope::window) {
    const Entry* sync = section.find("norm_sync");
    problems.error(concat(sync ? section.where(*sync) : section.where(), ": norm_scope = window pools past batches of one rank; expected norm_sync = 0"));
  }
  if (spec.kind == NormKind::bn && spec.scope == NormScope::window && spec.gradient == NormGradient::exact)
    problems.error(concat(section.where(), ": norm_grad = exact is the gradient of norm_scope = cmbn; with window expected renorm, local or detached"));
  check_schedule(section, net, spec, problems);
  warn_of_unused(section, spec, keys, problems);
  if (const Entry* alias = section.find("use_global_stats"); alias && frozen && keys.use_global_stats && keys.frozen == "0")
    problems.error(section, *alias, concat("contradicts norm_frozen = ", keys.frozen), "one of the two");
}

NormStart start_of(const NormKeys& keys) {
  return keys.warm ? NormStart::average : keys.compat == "caffe" ? NormStart::debiased : NormStart::none;
}

}  // namespace

int NormSpec::groups_of(int channels) const {
  if (kind == NormKind::ln) return 1;
  if (kind == NormKind::in) return channels;
  if (groups_own) return groups;
  int most = std::min(groups > 0 ? groups : 32, channels);
  while (channels % most != 0) --most;
  return most;
}

std::string NormSpec::weights_file_obstacle() const {
  if (standardize) return "weight_standardize = 1";
  if (any() && !batch_statistics()) return concat("norm = ", kKinds[static_cast<size_t>(kind)]);
  return {};
}

std::string NormSpec::text() const {
  std::string text(kKinds[static_cast<size_t>(kind)]);
  if (scope != NormScope::minibatch) text += concat(" ", kScopes[static_cast<size_t>(scope)]);
  if (keeps_statistics()) text += " frozen";
  return text;
}

NormKeys bind_net_norm(const Section& section, Problems& problems) {
  NormKeys keys;
  apply_preset(section, keys);
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
  apply_preset(section, keys);
  if (section.type != "batchnorm") bind_onto<NormKeys>(section, kOwn, problems, keys);
  bind_onto<NormKeys>(section, kShared, problems, keys);
  NormSpec spec;
  spec.kind = kind_of(section, net, keys, problems);
  spec.scope = choice<NormScope>(keys.scope, kScopes);
  if (!section.find("norm_scope") && (keys.batch_normalize == 2 || keys.cbn)) spec.scope = NormScope::cmbn;
  spec.gradient = choice<NormGradient>(keys.gradient, kGradients);
  spec.frozen = choice<NormFrozen>(keys.frozen, kFrozen);
  if (keys.use_global_stats && spec.frozen == NormFrozen::no) spec.frozen = NormFrozen::stats;
  spec.start = start_of(keys);
  spec.eps = keys.eps > 0 ? keys.eps : spec.kind == NormKind::lnc || spec.kind == NormKind::frn ? 1e-6 : 1e-5;
  spec.momentum = keys.momentum;
  spec.affine = keys.affine;
  spec.sync = keys.sync;
  spec.standardize = keys.standardize && section.type == "convolutional";
  spec.groups = keys.groups;
  spec.groups_own = section.find("norm_groups") && keys.groups > 0;
  spec.window = keys.window;
  spec.rmax = keys.rmax;
  spec.dmax = keys.dmax;
  spec.ramp_from = keys.burn_in;
  spec.ramp_to = 5.0 * keys.burn_in;
  if (const Preset* preset = preset_of(keys.compat)) {
    spec.unbiased = preset->unbiased;
    spec.eps_outside = preset->eps_outside;
    spec.variance_from_one = preset->variance_from_one;
    spec.second_moments = spec.biased_running = preset->second_moments && spec.scope == NormScope::cmbn;
    if (keys.compat == "alexeyab-cpu" && keys.batch_normalize == 2 && !section.find("norm_scope")) {
      problems.warning(concat(section.where(*section.find("batch_normalize")), ": norm_compat = alexeyab-cpu takes it for 1, as that program does"));
      spec.scope = choice<NormScope>(net.scope, kScopes);
    }
  }
  check(section, spec, net, keys, problems);
  if (net.whole_batch() || spec.kind != NormKind::bn) spec.scope = NormScope::minibatch;   // one mini-batch is the whole batch, or a default of [net] that is not for this kind
  spec.update_per_batch = keys.update.empty() ? spec.scope != NormScope::minibatch : keys.update == "batch";
  return spec;
}

void warn_of_unused_norm_keys(const Section& net, const NormKeys& keys, std::span<const NormSpec* const> layers, Problems& problems) {
  for (const Use& use : kUses) {
    const Entry* entry = net.find(use.key);
    const auto used = [&](const NormSpec* spec) { return use.key == "norm_exact_segments" ? keys.whole_batch() : use.of(*spec); };
    if (entry && std::ranges::none_of(layers, used)) problems.warning(concat(net.where(*entry), ": no layer makes use of it; it is only used by ", use.by));
  }
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
