// What makes a training run pointless or impossible, found before it starts; and where it starts.
#include <algorithm>

#include "base/log.h"
#include "data/augment.h"
#include "nn/detection.h"
#include "nn/norm.h"
#include "train/trainer.h"

namespace dn {
namespace {

// Of single mini-batches, in training.
bool has_batch_statistics(const Network& network) {
  return std::ranges::any_of(network.layers(), [](const auto& layer) {
    const NormSpec* norm = layer->normalization();
    return norm && norm->batch_statistics() && !norm->keeps_statistics() && norm->scope == NormScope::minibatch;
  });
}

void check_statistics(const Network& network) {
  const std::vector<Shape> outputs = network.output_shapes(network.input(network.spec().mini_batch()));
  for (const auto& layer : network.layers())
    if (const NormSpec* norm = layer->normalization();
        norm && norm->batch_statistics() && !norm->keeps_statistics() && layer->index() >= network.frozen(0).layers)
      check_statistics(*layer, outputs[static_cast<size_t>(layer->index())]);
}

std::string net_line(const Network& network) { return network.spec().section.where(); }

void check_batch(const Network& network) {
  const NetSpec& net = network.spec();
  if (net.batch == 1)
    fail(net_line(network),
         " batch = 1: nothing can be trained on one image per update (left from testing?); expected for example batch = 64 and "
         "subdivisions = 16");
  if (net.batch < 8) log::warn(concat(net_line(network), " batch = ", net.batch, ": updates from so few images are noisy; 64 is usual"));
  if (net.dynamic_minibatch && network.heads().back()->random() == 0)
    log::warn(concat(net_line(network), " dynamic_minibatch = 1: changes nothing: without random = 1 in the last head all inputs have one size"));
  else if (net.dynamic_minibatch && net.time_steps > 1)
    log::warn(concat(net_line(network), " dynamic_minibatch = 1: changes nothing: mini-batches of sequences keep their size"));
  if (net.chain > 1 && net.norm.two_forwards())
    log::warn(concat(net_line(network), " sequential_subdivisions = ", net.sequential_subdivisions,
                     ": recurrent layers start anew with every mini-batch: ",
                     net.norm.scope == "twopass" ? "norm_scope = twopass" : "norm_grad = exact", " goes forward twice"));
  if (net.mini_batch() < 4 && has_batch_statistics(network))
    log::warn(concat(net_line(network), " batch / subdivisions = ", net.mini_batch(),
                     ": batch normalization takes its statistics from that many images; 4 or more work better"));
}

}  // namespace

int64_t starting_iteration(const Network& network, const WeightsInfo* weights, bool clear) {
  // A file with a part of the layers is a pretrained backbone: what it has seen says nothing about this run.
  if (!weights || clear || !weights->complete()) return 0;
  return static_cast<int64_t>(std::min<uint64_t>(weights->seen / static_cast<uint64_t>(network.spec().batch), INT64_MAX / 2));
}

void check_frozen_statistics(const Network& network) {
  for (const auto& layer : network.layers())
    if (const NormSpec* norm = layer->normalization();
        norm && norm->batch_statistics() && layer->index() < network.frozen(0).layers && !network.params().has_statistics(layer->index())) {
      log::warn(concat(layer->where(), ": stopbackward = 1 freezes it with running statistics that no weights file brought: it computes nothing of use"));
      break;
    }
  for (const auto& layer : network.layers())
    if (const NormSpec* norm = layer->normalization(); norm && norm->keeps_statistics() && !network.params().has_statistics(layer->index()))
      fail(layer->where(), ": norm_frozen keeps running statistics that no weights file brought; expected weights with this layer, or norm_frozen = 0");
}

void check_training(const Network& network, const WeightsInfo* weights, const TrainOptions& options) {
  const NetSpec& net = network.spec();
  const bool has_loss = std::any_of(network.layers().begin(), network.layers().end(), [](const auto& layer) { return layer->has_loss(); });
  if (network.heads().empty() || !has_loss) fail(network.file(), ": no detection head to train; expected [yolo] or another head as the last layer");
  mix_of(net);
  if (net.max_batches <= 0)
    fail(net_line(network), " max_batches = ", net.max_batches,
         ": training would end before it begins; expected the number of iterations "
         "(2000 per class, at least 6000, is a usual start)");
  if (!weights) {
    check_statistics(network);
    return check_batch(network);
  }
  const int64_t start = starting_iteration(network, weights, options.clear);
  if (start >= net.max_batches)
    fail(options.weights->string(), ": these weights have seen ", weights->seen, " images = iteration ", start, " at batch = ", net.batch, ", and ",
         net_line(network), " max_batches = ", net.max_batches,
         ": nothing is left to do. To start from them at iteration 0, add -clear; to go "
         "on, raise max_batches");
}

}  // namespace dn
