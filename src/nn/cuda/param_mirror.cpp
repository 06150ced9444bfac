#include "nn/cuda/param_mirror.h"

namespace dn::cuda {
namespace {

size_t layers_of(const ParamStore& store) {
  int last = 0;
  for (const ParamSegment& segment : store.segments()) last = std::max(last, segment.layer);
  return static_cast<size_t>(last) + 1;
}

}  // namespace

ParamMirror::ParamMirror(ParamStore& store, Device& device)
    : device_(device),
      layers_(layers_of(store)),
      values_(device.allocate(std::max<size_t>(store.count(), 1) * sizeof(float))),
      updates_(device.allocate(layers_ * sizeof(int64_t))),
      count_(store.count()) {}

ParamMirror& ParamMirror::of(ParamStore& store, Device& device) {
  if (!store.copy()) store.attach(std::shared_ptr<ParamMirror>(new ParamMirror(store, device)));
  auto* mirror = dynamic_cast<ParamMirror*>(store.copy().get());
  ensure(mirror && &mirror->device_ == &device, "the parameters of a network are on one device");
  return *mirror;
}

void ParamMirror::allocate_grads() {
  if (!grads_) grads_ = device_.allocate(std::max<size_t>(count_, 1) * sizeof(float));
}

void ParamMirror::sync(ParamStore& store) {
  if (version_ == store.version()) return;
  std::vector<int64_t> updates;
  for (size_t layer = 0; layer < layers_; ++layer) updates.push_back(store.norm_updates(static_cast<int>(layer)));
  device_.stream().to_device(values_->data(), store.values().data(), count_ * sizeof(float));
  device_.stream().to_device(updates_->data(), updates.data(), updates.size() * sizeof(int64_t));
  version_ = store.version();
}

void ParamMirror::changed(ParamStore& store) {
  store.touch();
  version_ = store.version();
  store.values_are_in_copy();
}

void ParamMirror::fetch_values(ParamStore& store) {
  std::vector<int64_t> updates(layers_);
  device_.stream().to_host(store.values().data(), values_->data(), count_ * sizeof(float));
  device_.stream().to_host(updates.data(), updates_->data(), updates.size() * sizeof(int64_t));
  device_.synchronize();
  for (size_t layer = 0; layer < layers_; ++layer)
    if (store.owner(static_cast<int>(layer)) == static_cast<int>(layer)) store.norm_state(static_cast<int>(layer)).updates = updates[layer];
}

void ParamMirror::fetch_grads(ParamStore& store) {
  ensure(grads_ != nullptr, "gradients of a network that is not trained");
  device_.stream().to_host(store.grads().data(), grads_->data(), count_ * sizeof(float));
  device_.synchronize();
}

}  // namespace dn::cuda
