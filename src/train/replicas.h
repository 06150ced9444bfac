// A training on several GPUs of one machine. The mini-batches of a batch are shared out, a run of neighbours to each GPU; gradients are summed before the one
// update, which the first GPU makes; the others get its weights before the next batch. So `batch`, `subdivisions` and the rates mean what they mean on one
// GPU, and the weights come out the same but for the order of the sum. What depends on how mini-batches follow each other cannot be shared (obstacle).
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/cuda/links.h"
#include "train/batch_schedule.h"
#include "train/device_choice.h"
#include "train/image_feed.h"
#include "train/plan_cache.h"

namespace dn {
namespace cuda {
class SharedStatistics;
}

// Of the run.
struct ReplicaOptions {
  fs::path cfg;
  DeviceChoice device;   // `others` are the replicas'; conv_cache is the first's, which chose before them
  size_t memory = 0;     // TrainingPlanRequest
  bool pictures = false; // of ImageFeed
};

class Replicas {
 public:
  // Why `gpus` of them cannot share the batches of this network, as a line for people; empty: they can.
  static std::string obstacle(Network& network, int gpus);

  // network: on `first`, with its gradients. Opens the others. Throws Error when one cannot be had, or there is nothing to connect them with.
  Replicas(const ReplicaOptions& options, Network& network, Device& first);
  ~Replicas();

  std::string text() const;   // for the banner: "3 GPUs share the mini-batches of each batch; links by NCCL 2.28.9 sum their gradients"

  struct PlanWish {
    NetSize size;
    int mini_batch = 0;
    Frozen frozen;
  };
  // Has the plans made, so that memory is taken before hours have gone by.
  void prepare(const PlanWish& wish);
  // Forward and backward of some mini-batches with a network's plan; called from several threads at a time.
  using Work = std::function<void(Plan& plan, ImageFeed& feed, std::span<const BatchStep> steps)>;
  // All of the batch, the first GPU's share on this thread. Afterwards the gradients and running statistics of the network are the batch's.
  void share(std::span<const BatchStep> steps, const PlanWish& wish, Plan& plan, ImageFeed& feed, const Work& work);
  LossReport take_losses(int layer);   // of the others, of the last batch

 private:
  struct Member;
  void compute(size_t rank, std::span<const BatchStep> steps, Plan& plan, ImageFeed& feed, const Work& work);

  std::vector<std::unique_ptr<Member>> members_;   // the first GPU, then the others
  std::unique_ptr<cuda::Links> links_;
};

}  // namespace dn
