// How the samples of a loader get into a plan: drawn by the loader and copied, or, on a GPU, drawn there from their 8-bit pixels, which are fewer bytes
// to copy and leave the host the decoding only.
#pragma once

#include "data/loader.h"
#include "graph/plan.h"

namespace dn {

class ImageFeed {
 public:
  // pictures: Batch::pixels are wanted too, for people to look at.
  ImageFeed(Device& device, bool pictures);
  ~ImageFeed();
  // Of the loader, whose batches feed the plans.
  void prepare(LoaderOptions& loading) const;
  // Images first, first + 1.. of the batch become the plan's input.
  void set_input(Plan& plan, const Batch& batch, size_t first);
  // Before the loader is asked for another batch: nothing is read from this one any more.
  void finish_batch();
  size_t device_bytes() const;   // that drawing takes on a GPU by now

 private:
  struct Gpu;
  std::unique_ptr<Gpu> gpu_;  // null: the loader draws
};

}  // namespace dn
