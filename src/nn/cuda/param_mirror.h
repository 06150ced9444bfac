// The parameters of a network on a GPU: values, gradients, and how often running statistics moved, with the offsets of the ParamStore. The store stays the
// place where everybody else reads and writes them: sync() brings changes of the store here, and the store fetches what kernels wrote.
#pragma once

#include "device/cuda/device.h"
#include "nn/param.h"

namespace dn::cuda {

class ParamMirror : public ParamCopy {
 public:
  // The one of this store, made if it has none. A store has one device beside the host.
  static ParamMirror& of(ParamStore& store, Device& device);

  void allocate_grads();
  float* values() const { return reinterpret_cast<float*>(values_->data()); }
  float* grads() const { return grads_ ? reinterpret_cast<float*>(grads_->data()) : nullptr; }
  size_t layers() const { return layers_; }   // with counters one behind the other: updates(0) is the first
  int64_t* updates(int layer) const { return reinterpret_cast<int64_t*>(updates_->data()) + store_layer(layer); }

  // Brings what changed in the store since (its version).
  void sync(ParamStore& store);
  // Kernels changed the weights here: a new version, which is here already.
  void changed(ParamStore& store);

  void fetch_values(ParamStore& store) override;
  void fetch_grads(ParamStore& store) override;

 private:
  ParamMirror(ParamStore& store, Device& device);
  size_t store_layer(int layer) const { return static_cast<size_t>(layer); }

  Device& device_;
  size_t layers_;
  std::unique_ptr<DeviceMemory> values_, grads_, updates_;
  size_t count_;
  uint64_t version_ = 0;
};

}  // namespace dn::cuda
