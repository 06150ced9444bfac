// cuDNN's graph API around convolutions: a graph of one operation, the engine configurations that are offered for it, and plans, which run one of them.
// Planning needs no GPU where the properties of one are given instead.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "device/cuda/convolution.h"
#include "device/cuda/cudnn_api.h"

namespace dn::cuda::cudnn {

// A descriptor of the backend, destroyed with the object.
class Descriptor {
 public:
  Descriptor(std::shared_ptr<const Api> api, cudnnBackendDescriptorType_t type);
  Descriptor(Descriptor&& from) noexcept : api_(std::move(from.api_)), parts_(std::move(from.parts_)), it_(std::exchange(from.it_, nullptr)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor();

  cudnnBackendDescriptor_t get() const { return it_; }
  void set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void* values);
  void set(cudnnBackendAttributeName_t name, const Descriptor& value) { set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.it_); }
  void set(cudnnBackendAttributeName_t name, std::span<const int64_t> values) {
    set(name, CUDNN_TYPE_INT64, static_cast<int64_t>(values.size()), values.data());
  }
  void set(cudnnBackendAttributeName_t name, int64_t value) { set(name, CUDNN_TYPE_INT64, 1, &value); }
  void finalize(const char* doing);
  void keep(Descriptor part) { parts_.push_back(std::move(part)); }  // which this one refers to

  // Reads at most `room` values; how many there were.
  int64_t read(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t room, void* values) const;
  int64_t integer(cudnnBackendAttributeName_t name) const;
  std::string text(cudnnBackendAttributeName_t name) const;
  // Attributes that are descriptors are read into descriptors that exist already: into `room` of them.
  Descriptor child(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type) const;
  std::vector<Descriptor> children(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type, int64_t room) const;
  int64_t child_count(cudnnBackendAttributeName_t name) const { return read(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0, nullptr); }
  template <class Note>
  std::vector<Note> notes(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type) const {
    std::vector<Note> out(kMostNotes);
    out.resize(static_cast<size_t>(read(name, type, kMostNotes, out.data())));
    return out;
  }

 private:
  static constexpr int64_t kMostNotes = 64;  // more than any version has
  std::shared_ptr<const Api> api_;
  std::vector<Descriptor> parts_;
  cudnnBackendDescriptor_t it_ = nullptr;
};

// What plans are made for: a handle, which is a GPU's; or the properties of a GPU that need not be here (cuDNN 9.8 or later).
struct Target {
  std::shared_ptr<const Api> api;
  cudnnHandle_t handle = nullptr;
  std::shared_ptr<const Descriptor> properties;
};
Target target_of_properties(std::shared_ptr<const Api> api, const std::string& json);
std::string properties_of(const std::shared_ptr<const Api>& api, cudnnHandle_t handle);  // that JSON

// Tensors of a convolution, as plans call them.
enum TensorId : int64_t { kX = 1, kW = 2, kY = 3 };

// One direction of a convolution; all numbers in the precision of the problem, whether it is wide or not.
class Graph {
 public:
  Graph(const Target& target, const ConvProblem& problem, ConvDirection direction);
  const Target& target() const { return target_; }
  const Descriptor& descriptor() const { return parts_.back(); }
  // Configurations that the heuristics name, the best first; empty when the mode has none.
  std::vector<Descriptor> offered(cudnnBackendHeurMode_t mode) const;

 private:
  size_t add_tensor(TensorId id, DType type, const int64_t (&dims)[4]);
  size_t add_convolution(const ConvProblem& problem);
  Target target_;
  std::vector<Descriptor> parts_;  // the graph is the last; it refers to the others
};

// An engine and its settings, enough to make the same plan another time.
struct EngineChoice {
  int64_t engine = -1;
  std::vector<std::pair<int64_t, int64_t>> knobs;  // kind and value, in the order of kinds
  bool operator==(const EngineChoice&) const = default;
  std::string text() const;  // "engine 38, knobs 2=21 40=128"
};
EngineChoice choice_of(const Descriptor& config);
Descriptor config_of(const Graph& graph, const EngineChoice& choice);

struct EngineNotes {
  bool nondeterministic = false, tensor_cores = false, narrows_inputs = false, narrows_sums = false, compiles = false;
};
EngineNotes notes_of(const Descriptor& config);

class Plan {
 public:
  // Throws Error when the engine does not do it after all.
  Plan(std::shared_ptr<const Graph> graph, Descriptor config);
  size_t workspace_bytes() const { return workspace_; }
  EngineChoice choice() const { return choice_of(config_); }
  EngineNotes notes() const { return notes_of(config_); }
  std::string json() const { return plan_.text(CUDNN_ATTR_EXECUTION_PLAN_JSON_REPRESENTATION); }
  void run(const void* x, const void* w, const void* y, void* workspace) const;  // on the handle's stream

 private:
  std::shared_ptr<const Graph> graph_;
  Descriptor config_, plan_;
  size_t workspace_ = 0;
};

}  // namespace dn::cuda::cudnn
