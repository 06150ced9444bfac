#include "train/replicas.h"

#include <algorithm>
#include <exception>
#include <thread>

#include "data/batch_layout.h"
#include "nn/cuda/param_mirror.h"
#include "train/cuda/shared_statistics.h"
#include "train/training_plan.h"

namespace dn {
namespace {

constexpr size_t kPlansKept = 2;

// The mini-batches of GPU `rank` of `count`: a run, as long as the others' to within one; the first's is not empty.
std::span<const BatchStep> share_of(std::span<const BatchStep> steps, size_t rank, size_t count) {
  const auto begin_of = [&](size_t r) { return (r * steps.size() + count - 1) / count; };
  return steps.subspan(begin_of(rank), begin_of(rank + 1) - begin_of(rank));
}

bool goes_on_from_mini_batch_to_mini_batch(const NetSpec& net) {
  const BatchLayout layout = make_batch_layout(net);
  for (int part = 1; part < net.parts(); ++part)
    if (place_of(layout, net.batch, part * net.mini_batch()).frame > 0) return true;
  return false;
}

std::string norm_obstacle(const NormSpec& norm) {
  if (!norm.batch_statistics() || norm.keeps_statistics()) return {};
  if (norm.scope != NormScope::minibatch || norm.kind == NormKind::brn || norm.update_per_batch || norm.sync)
    return concat("its normalization (", norm.text(), norm.update_per_batch ? ", moved once a batch" : "", ") depends on the mini-batches before");
  return {};
}

}  // namespace

struct Replicas::Member {
  // Of another GPU than the first.
  std::unique_ptr<Network> own_network;
  std::unique_ptr<Device> own_device;
  std::unique_ptr<PlanCache> plans;
  std::unique_ptr<ImageFeed> feed;
  Plan* plan = nullptr;   // of the last batch

  Network* network = nullptr;
  cuda::Device* device = nullptr;
  cuda::ParamMirror* mirror = nullptr;
  std::unique_ptr<cuda::SharedStatistics> statistics;
  std::exception_ptr error;

  void connect() {
    mirror = &cuda::ParamMirror::of(network->params(), *device);
    network->params().allocate_grads();
    mirror->allocate_grads();
    statistics = std::make_unique<cuda::SharedStatistics>(*network, *mirror, *device);
  }
};

std::string Replicas::obstacle(Network& network, int gpus) {
  const NetSpec& net = network.spec();
  if (net.norm.whole_batch() || net.norm.two_forwards()) return "its normalization is over the whole batch";
  if (goes_on_from_mini_batch_to_mini_batch(net)) return "its images are the frames of sequences that go on from mini-batch to mini-batch";
  if (network.rejection()) return "its labels are rejected by what was seen of the batches before";
  for (const auto& layer : network.layers())
    if (const NormSpec* norm = layer->normalization())
      if (const std::string why = norm_obstacle(*norm); !why.empty()) return concat(layer->where(), ": ", why);
  if (net.parts() < gpus)
    return concat("a batch has ", net.parts(), net.parts() == 1 ? " mini-batch" : " mini-batches", " (subdivisions), and a GPU takes one at least");
  return {};
}

Replicas::Replicas(const ReplicaOptions& options, Network& network, Device& first) {
  auto own = std::make_unique<Member>();
  own->network = &network;
  own->device = &static_cast<cuda::Device&>(first);
  members_.push_back(std::move(own));
  for (const int gpu : options.device.others) {
    DeviceChoice choice = options.device;
    choice.gpu.gpu = gpu;
    choice.precision = members_[0]->device->options().precision;
    if (const std::string why = gpu_obstacle(choice); !why.empty()) fail("-gpus: GPU ", gpu, ": ", why);
    auto member = std::make_unique<Member>();
    member->own_network = std::make_unique<Network>(Network::from_cfg(options.cfg));
    member->own_network->set_subdivisions(network.spec().subdivisions);
    member->own_device = open_device(choice, DeviceUse::training);
    member->network = member->own_network.get();
    member->device = &static_cast<cuda::Device&>(*member->own_device);
    member->plans = std::make_unique<PlanCache>(*member->network, *member->device, kPlansKept);
    member->plans->set_memory(options.memory);
    member->feed = std::make_unique<ImageFeed>(*member->device, options.pictures);
    members_.push_back(std::move(member));
  }
  std::vector<cuda::Device*> devices;
  for (const auto& member : members_) {
    member->connect();
    devices.push_back(member->device);
  }
  links_ = cuda::open_links(devices);
}

Replicas::~Replicas() = default;

std::string Replicas::text() const {
  return concat(members_.size(), " GPUs share the mini-batches of each batch; ", links_->description(), " sum their gradients");
}

void Replicas::prepare(const PlanWish& wish) {
  for (size_t rank = 1; rank < members_.size(); ++rank) {
    Member& member = *members_[rank];
    member.plans->set_there(bytes_there(*member.network, DeviceKind::cuda, member.feed->device_bytes()));   // no optimizer, no averages
    try {
      member.plan = &member.plans->training(wish.size, wish.mini_batch, wish.frozen);
    } catch (const Error& e) {
      fail("GPU ", member.device->options().gpu, ": ", e.what());
    }
  }
}

// One GPU's share, on the thread that calls. Its statistics' parts are delivered even where the share is empty.
void Replicas::compute(size_t rank, std::span<const BatchStep> steps, Plan& plan, ImageFeed& feed, const Work& work) {
  Member& member = *members_[rank];
  const std::span<const BatchStep> share = share_of(steps, rank, members_.size());
  std::vector<BatchStep> own(share.begin(), share.end());
  member.statistics->begin(static_cast<int>(share.data() - steps.data()));
  if (own.empty()) {
    member.device->stream().fill(member.mirror->grads(), 0, member.network->params().count() * sizeof(float));
  } else {
    own[0].param_grads = Write::overwrite;
    work(plan, feed, own);
  }
  member.statistics->deliver(static_cast<int>(steps.size()));
}

void Replicas::share(std::span<const BatchStep> steps, const PlanWish& wish, Plan& plan, ImageFeed& feed, const Work& work) {
  const Member& first = *members_[0];
  prepare(wish);
  first.mirror->sync(first.network->params());
  std::vector<void*> values, updates;
  std::vector<float*> grads;
  for (const auto& member : members_) {
    values.push_back(member->mirror->values());
    updates.push_back(member->mirror->updates(0));
    grads.push_back(member->mirror->grads());
  }
  links_->copy_from_first(values, first.network->params().count() * sizeof(float));
  links_->copy_from_first(updates, first.mirror->layers() * sizeof(int64_t));
  const auto run = [&](size_t rank, Plan& own_plan, ImageFeed& own_feed) {
    try {
      compute(rank, steps, own_plan, own_feed, work);
      if (rank > 0) own_feed.finish_batch();
    } catch (...) {
      members_[rank]->error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (size_t rank = 1; rank < members_.size(); ++rank) {
      Member& member = *members_[rank];
      member.mirror->changed(member.network->params());
      threads.emplace_back([&run, &member, rank] { run(rank, *member.plan, *member.feed); });
    }
    run(0, plan, feed);
  }
  for (const auto& member : members_)
    if (member->error) std::rethrow_exception(std::exchange(member->error, nullptr));
  links_->sum_into_first(grads, first.network->params().count());
  first.statistics->finish(static_cast<int>(steps.size()));
}

LossReport Replicas::take_losses(int layer) {
  LossReport sum;
  for (size_t rank = 1; rank < members_.size(); ++rank) sum += members_[rank]->plan->take_losses(layer);
  return sum;
}

}  // namespace dn
