// The key table of [net] and the rules between its keys.
#include "config/net_spec.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "config/compat.h"

namespace dn {
namespace {

constexpr double kMany = 2147483647;
constexpr int kMaxBatch = 65536;
constexpr std::string_view kPolicies[] = {"constant", "step", "steps", "exp", "poly", "sig", "sigmoid", "random", "sgdr"};

constexpr Key<NetSpec> kKeys[] = {
    {"batch", &NetSpec::batch, 1, kMaxBatch, "images of one weight update"},
    {"subdivisions", &NetSpec::subdivisions, 1, 65536, "mini-batches that a batch is cut into; a divisor of batch"},
    {"time_steps", &NetSpec::time_steps, 1, 1024, "with recurrent layers or track: frames of a sequence; a batch is so many times as many pictures"},
    {"max_batches", &NetSpec::max_batches, 0, kMany, "iterations (weight updates) of the whole training"},
    {"width", &NetSpec::width, 1, 16384, "input width in pixels; required"},
    {"height", &NetSpec::height, 1, 16384, "input height in pixels; required"},
    {"channels", &NetSpec::channels, 1, 4, "input channels; 3 for color pictures, 1 for gray"},
    {"learning_rate", &NetSpec::learning_rate, 0, kMany, "rate at iteration burn_in, before the policy changes it"},
    {"momentum", &NetSpec::momentum, 0, 1, "share of the last update in the next; below 1"},
    {"decay", &NetSpec::decay, 0, 1, "weight decay (L2), on weights only"},
    {"adam", &NetSpec::adam, 0, 0,
     "1: Adam instead of SGD with momentum: rate x m / (sqrt(s) + eps), m and s the bias-corrected averages of g and g^2, g summed over the batch, "
     "decay x batch x value in it for every parameter, as in the family"},
    {"B1", &NetSpec::beta1, 0, 1, "adam: share that the average of gradients keeps; below 1"},
    {"B2", &NetSpec::beta2, 0, 1, "adam: share that the average of squared gradients keeps; below 1"},
    {"eps", &NetSpec::adam_eps, 1e-20, 1, "adam: added to the root of the average of squares"},
    {"ema_alpha", &NetSpec::ema_alpha, 0, 1,
     "above 0: from half of max_batches on, averages = ema_alpha x averages + (1 - ema_alpha) x weights, running statistics included; they are what mAP is "
     "measured on, NAME_best and NAME_ema. Training goes on from them once, 1000 iterations before the end (below max_batches = 4000: after 3/4 of them)"},
    {"weights_reject_freq", &NetSpec::weights_reject_freq, 0, kMany,
     "N > 0: every N iterations of the first three quarters, one filter of the most similar pair of each hidden convolution starts anew if its cosine is "
     "above 0.4"},
    {"dynamic_minibatch", &NetSpec::dynamic_minibatch, 0, 0,
     "1: with random=1, small input sizes take larger mini-batches, into 0.8 of the memory of the largest size; the batch of an update stays, it is cut "
     "into fewer parts"},
    {"policy", &NetSpec::policy, 0, 0, "how the rate changes with the iteration", kPolicies},
    {"burn_in", &NetSpec::burn_in, 0, kMany, "iterations of rising rate at the beginning: rate x (iteration / burn_in)^power"},
    {"power", &NetSpec::power, -100, 100, "exponent of burn_in and of the policies poly and random"},
    {"step", &NetSpec::step, 0, kMany, "policy step: iterations between changes; sigmoid: its center"},
    {"scale", &NetSpec::scale, 0, kMany, "policy step: factor of each change"},
    {"steps", &NetSpec::steps, -1, kMany, "policy steps: iterations at which the rate changes, increasing"},
    {"scales", &NetSpec::scales, 0, kMany, "policy steps: factor at each of the steps"},
    {"gamma", &NetSpec::gamma, -1000, 1000, "policy exp: factor of each iteration; sigmoid: steepness"},
    {"learning_rate_min", &NetSpec::learning_rate_min, 0, kMany, "policy sgdr: rate at the end of a cycle"},
    {"sgdr_cycle", &NetSpec::sgdr_cycle, 0, kMany, "policy sgdr: iterations of the first cosine cycle; 0: max_batches"},
    {"sgdr_mult", &NetSpec::sgdr_mult, 1, 1000, "policy sgdr: growth of the cycle from one to the next"},
    {"flip", &NetSpec::flip, 0, 0, "mirror every second picture"},
    {"hue", &NetSpec::hue, 0, 1, "hue is turned by up to +- this share of the circle"},
    {"saturation", &NetSpec::saturation, .01, 100, "saturation is multiplied or divided by up to this; 1: unchanged"},
    {"exposure", &NetSpec::exposure, .01, 100, "brightness is multiplied or divided by up to this; 1: unchanged"},
    {"letter_box", &NetSpec::letter_box, 0, 0, "keep the aspect of a picture and pad it with gray"},
    {"mosaic", &NetSpec::mosaic, 0, 0, "every second sample is put together from four pictures around a random point"},
    {"mosaic_bound", &NetSpec::mosaic_bound, 0, 0, "1: boxes end at the border of their picture in a mosaic; 0: they keep what is cut off there"},
    {"mixup", &NetSpec::mixup, 0, 4, "1: every second sample is the mean of two pictures (2, 3, 4: other names of cutmix, mosaic and both)"},
    {"cutmix", &NetSpec::cutmix, 0, 0, "for classifiers only; together with mosaic: mosaic alone"},
    {"blur", &NetSpec::blur, 0, 1000, "1: the background around the objects is blurred in two of three samples; more: in one of three, and all of it in another, by so many pixels"},
    {"gaussian_noise", &NetSpec::gaussian_noise, 0, 1000000, "every second sample gets noise of this deviation, in 1/255 of full brightness, at most 127"},
    {"resize_step", &NetSpec::resize_step, 1, 1024, "random input sizes are multiples of this"},
    {"equidistant_point", &NetSpec::equidistant_point, 0, kMany,
     "from this iteration on, gradients of [yolo] smaller than 1.4 x (share of the way to max_batches) x their average are left out; 0: never. "
     "Averages "
     "move by 1 % per iteration and belong to all heads"},
    {"badlabels_rejection_percentage", &NetSpec::badlabels_rejection_percentage, 0, 100,
     "in the last quarter of max_batches so many percent of the gradients of [yolo], the largest, are left out as those of wrong labels: the "
     "threshold begins at the average maximum and moves by .01 per iteration"},
    {"num_sigmas_reject_badlabels", &NetSpec::num_sigmas_reject_badlabels, 0, 1000,
     "in the last quarter of max_batches gradients of [yolo] above a threshold are left out as those of wrong labels: it sinks from the average "
     "maximum to average + this x standard deviation; 0: never"},
    {"track", &NetSpec::track, 0, 0, "the sequences are consecutive frames of the train list, all augmented alike"},
    {"augment_speed", &NetSpec::augment_speed, 1, 10000, "track: a sequence takes every n-th frame, n = 1 to this at random"},
    {"sequential_subdivisions", &NetSpec::sequential_subdivisions, 0, kMaxBatch,
     "track: of the mini-batches of a batch so many begin new sequences, the others go on with those before, and recurrent layers with their state; 0: all "
     "of them begin"},
    {"contrastive", &NetSpec::contrastive, 0, 0, "samples come in pairs, one picture augmented in two ways; for [contrastive]"},
    {"contrastive_jit_flip", &NetSpec::contrastive_jit_flip, 0, 0, "contrastive: the two of a pair are cropped and mirrored differently"},
    {"contrastive_color", &NetSpec::contrastive_color, 0, 0, "contrastive: the two of a pair are coloured differently"},
    {"max_chart_loss", &NetSpec::max_chart_loss, 0, kMany, "top of the chart's loss axis"},
};

void check_size(const Section& section, std::string_view key, Problems& problems) {
  if (!section.find(key)) problems.error(concat(section.where(), ": no ", key, "; expected ", key, " = 1..16384"));
}

// False when the key's value was refused; rules that compare it with others would only repeat the message.
bool accepted(const Section& section, std::string_view key, int value) {
  const Entry* entry = section.find(key);
  return !entry || parse_real(entry->value) == value;
}

void check_subdivisions(const NetSpec& net, const Section& section, Problems& problems) {
  if (net.norm.whole_batch() || net.batch % net.subdivisions == 0 || !accepted(section, "batch", net.batch)) return;
  int below = std::min(net.subdivisions, net.batch), above = net.subdivisions;
  while (net.batch % below != 0) --below;  // 1 divides
  while (above < net.batch && net.batch % above != 0) ++above;
  const std::string expected = above <= net.batch ? concat(below, " or ", above) : concat("at most ", below);
  problems.error(section, *section.find("subdivisions"), concat("does not divide batch = ", net.batch), expected);
}

void check_steps(const NetSpec& net, const Section& section, Problems& problems) {
  const Entry *steps = section.find("steps"), *scales = section.find("scales"), *policy = section.find("policy");
  if (net.policy == "steps") {
    for (auto [entry, name] : {std::pair(steps, "steps"), std::pair(scales, "scales")})
      if (!entry) problems.error(section, *policy, concat("no ", name), "steps and scales");
    if (steps && scales && !net.steps.empty() && !net.scales.empty() && net.steps.size() != net.scales.size())
      problems.error(section, *scales, concat(net.scales.size(), " scales for ", net.steps.size(), " steps"), "as many scales as steps");
  }
  if (!steps) return;
  if (std::adjacent_find(net.steps.begin(), net.steps.end(), std::greater_equal<>()) != net.steps.end())
    problems.error(section, *steps, {}, "increasing iterations");
}

struct PolicyKey {
  std::string_view key, policies;  // that use it, with a comma after each
};
constexpr PolicyKey kPolicyKeys[] = {
    {"steps", "steps,"},           {"scales", "steps,"},           {"step", "step,sig,sigmoid,"}, {"scale", "step,"},
    {"gamma", "exp,sig,sigmoid,"}, {"learning_rate_min", "sgdr,"}, {"sgdr_cycle", "sgdr,"},       {"sgdr_mult", "sgdr,"},
};

// `steps` without `policy=steps` trains at a constant rate: worth a word.
void check_policy(const NetSpec& net, const Section& section, Problems& problems) {
  if (const Entry* policy = section.find("policy"); policy && policy->value != net.policy) return;  // refused already
  for (const PolicyKey& row : kPolicyKeys) {
    const Entry* entry = section.find(row.key);
    if (!entry || row.policies.find(concat(net.policy, ",")) != std::string_view::npos) continue;
    problems.warning(concat(section.where(*entry), ": not used by policy = ", net.policy));
  }
  const Entry* step = section.find("step");
  if (net.policy == "step" && net.step < 1) problems.error(section, *step, {}, "1 or more with policy = step");
  if (const Entry* burn_in = section.find("burn_in"); burn_in && net.max_batches > 0 && net.burn_in > net.max_batches)
    problems.warning(concat(section.where(*burn_in), ": longer than max_batches = ", net.max_batches, ": the rate never reaches learning_rate"));
}

void check_below_one(const NetSpec& net, const Section& section, Problems& problems) {
  for (const auto& [value, key] :
       {std::pair(net.momentum, "momentum"), std::pair(net.beta1, "B1"), std::pair(net.beta2, "B2"), std::pair(net.ema_alpha, "ema_alpha")})
    if (value >= 1) problems.error(section, *section.find(key), {}, "0 to below 1");
}

// adam = 0 beside them says that they are not meant.
void check_adam(const NetSpec& net, const Section& section, Problems& problems) {
  if (net.adam) {
    if (const Entry* momentum = section.find("momentum")) problems.warning(concat(section.where(*momentum), ": not used with adam = 1; B1 stands for it"));
    return;
  }
  for (const char* key : {"B1", "B2", "eps"})
    if (const Entry* entry = section.find(key); entry && !section.find("adam")) problems.warning(concat(section.where(*entry), ": not used without adam = 1"));
}

void check_pairs(const NetSpec& net, const Section& section, Problems& problems) {
  if (const Entry* entry = section.find("contrastive"); net.contrastive && net.batch > 1 && net.mini_batch() < 2)
    problems.error(section, *entry, "a mini-batch of one image holds no pair", "at least 2 = batch / subdivisions");
  for (const std::string_view key : {"augment_speed", "sequential_subdivisions"})
    if (const Entry* entry = section.find(key); entry && !net.track) problems.warning(concat(section.where(*entry), ": not used without track = 1"));
}

// The last sequences of a batch may be shorter.
int chain_of(const NetSpec& net) {
  if (!net.track) return 1;
  const int parts = net.parts(), beginning = net.sequential_subdivisions > 0 ? std::min(net.sequential_subdivisions, parts) : parts;
  return (parts + beginning - 1) / beginning;
}

}  // namespace

NetSpec bind_net(const Section& section, Problems& problems) {
  NetSpec net = bind<NetSpec>(section, kKeys, problems);
  net.norm = bind_net_norm(section, problems);
  net.norm.burn_in = net.burn_in;
  bind_foreign(section, foreign_net_keys(), problems);
  finish(section, problems);
  if (section.line > 0) {  // otherwise there is no [net], which is reported already
    check_size(section, "width", problems);
    check_size(section, "height", problems);
  }
  check_subdivisions(net, section, problems);
  check_steps(net, section, problems);
  check_policy(net, section, problems);
  check_below_one(net, section, problems);
  check_adam(net, section, problems);
  check_pairs(net, section, problems);
  net.chain = chain_of(net);
  net.section = section;
  return net;
}

std::vector<KeyHelp> net_key_help() { return with_norm_keys(key_help<NetSpec>(kKeys), NormPlace::net); }

}  // namespace dn
