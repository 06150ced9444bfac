#include "device/cuda/cudnn_graph.h"

#include <algorithm>

#include "base/error.h"

namespace dn::cuda::cudnn {
namespace {

// Names that the first releases of cuDNN 9 do not have in their headers.
constexpr auto kHeuristicsProperties = static_cast<cudnnBackendAttributeName_t>(204);
constexpr auto kPlanProperties = static_cast<cudnnBackendAttributeName_t>(407);
constexpr auto kEngineProperties = static_cast<cudnnBackendAttributeName_t>(1307);
constexpr auto kPropertiesHandle = static_cast<cudnnBackendAttributeName_t>(2701);
constexpr auto kPropertiesJson = static_cast<cudnnBackendAttributeName_t>(2702);
constexpr auto kProperties = static_cast<cudnnBackendDescriptorType_t>(38);

constexpr int64_t kAlignment = 16;  // bytes, of tensors
constexpr int64_t kMostKnobs = 64;  // more than any version has; cuDNN does not tell their number beforehand

cudnnDataType_t data_type(DType type) { return type == DType::f32 ? CUDNN_DATA_FLOAT : type == DType::bf16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_HALF; }

// How an operation's descriptor calls its parts.
struct Operation {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
};

Operation operation_of(ConvDirection direction) {
  switch (direction) {
    case ConvDirection::backward_data:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    case ConvDirection::backward_weights:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
    default:
      return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  }
}

}  // namespace

Descriptor::Descriptor(std::shared_ptr<const Api> api, cudnnBackendDescriptorType_t type) : api_(std::move(api)) {
  api_->check(api_->create_descriptor(type, &it_), "making a descriptor");
}

Descriptor::~Descriptor() {
  if (it_) api_->destroy_descriptor(it_);
}

void Descriptor::set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void* values) {
  api_->check(api_->set_attribute(it_, name, type, count, values), "describing a convolution");
}

void Descriptor::finalize(const char* doing) { api_->check(api_->finalize(it_), doing); }

int64_t Descriptor::read(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t room, void* values) const {
  int64_t count = 0;
  api_->check(api_->get_attribute(it_, name, type, room, &count, values), "reading a description");
  return room == 0 ? count : std::min(count, room);
}

int64_t Descriptor::integer(cudnnBackendAttributeName_t name) const {
  int64_t value = 0;
  read(name, CUDNN_TYPE_INT64, 1, &value);
  return value;
}

std::string Descriptor::text(cudnnBackendAttributeName_t name) const {
  std::string out(static_cast<size_t>(read(name, CUDNN_TYPE_CHAR, 0, nullptr)), '\0');
  if (!out.empty()) read(name, CUDNN_TYPE_CHAR, static_cast<int64_t>(out.size()), out.data());
  return std::string(out.c_str());  // it counts its end
}

Descriptor Descriptor::child(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type) const {
  Descriptor out(api_, type);
  read(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &out.it_);
  return out;
}

std::vector<Descriptor> Descriptor::children(cudnnBackendAttributeName_t name, cudnnBackendDescriptorType_t type, int64_t room) const {
  std::vector<Descriptor> out;
  std::vector<cudnnBackendDescriptor_t> raw;
  out.reserve(static_cast<size_t>(room));
  for (int64_t i = 0; i < room; ++i) raw.push_back(out.emplace_back(api_, type).it_);
  const int64_t count = room > 0 ? read(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, room, raw.data()) : 0;
  while (out.size() > static_cast<size_t>(count)) out.pop_back();
  return out;
}

Target target_of_properties(std::shared_ptr<const Api> api, const std::string& json) {
  auto properties = std::make_shared<Descriptor>(api, kProperties);
  properties->set(kPropertiesJson, CUDNN_TYPE_CHAR, static_cast<int64_t>(json.size()), json.data());
  properties->finalize("reading the properties of a GPU");
  return {std::move(api), nullptr, std::move(properties)};
}

std::string properties_of(const std::shared_ptr<const Api>& api, cudnnHandle_t handle) {
  Descriptor properties(api, kProperties);
  properties.set(kPropertiesHandle, CUDNN_TYPE_HANDLE, 1, &handle);
  properties.finalize("asking for the properties of the GPU");
  return properties.text(kPropertiesJson);
}

Graph::Graph(const Target& target, const ConvProblem& problem, ConvDirection direction) : target_(target) {
  const ConvProblem& p = problem;
  parts_.reserve(6);
  const size_t x = add_tensor(kX, p.dtype, {p.in.n, p.in.c, p.in.h, p.in.w});
  const size_t w = add_tensor(kW, p.dtype, {p.out.c, p.in.c / p.groups, p.size, p.size});
  const size_t y = add_tensor(kY, p.dtype, {p.out.n, p.out.c, p.out.h, p.out.w});
  const size_t convolution = add_convolution(p);

  const Operation names = operation_of(direction);
  const float one = 1, zero = 0;
  Descriptor operation(target.api, names.type);
  operation.set(names.convolution, parts_[convolution]);
  operation.set(names.x, parts_[x]);
  operation.set(names.w, parts_[w]);
  operation.set(names.y, parts_[y]);
  operation.set(names.alpha, CUDNN_TYPE_FLOAT, 1, &one);
  operation.set(names.beta, CUDNN_TYPE_FLOAT, 1, &zero);
  operation.finalize("describing a convolution");
  parts_.push_back(std::move(operation));

  Descriptor graph(target.api, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  if (target.handle) graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, 1, &target.handle);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, parts_.back());
  graph.finalize("describing a convolution");
  parts_.push_back(std::move(graph));
}

// Dimensions in the order N,C,H,W (or K,C,R,S), dense and channels-last in memory.
size_t Graph::add_tensor(TensorId id, DType type, const int64_t (&dims)[4]) {
  const int64_t strides[4] = {dims[1] * dims[2] * dims[3], 1, dims[3] * dims[1], dims[1]};
  const cudnnDataType_t stored = data_type(type);
  Descriptor tensor(target_.api, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &stored);
  tensor.set(CUDNN_ATTR_TENSOR_DIMENSIONS, dims);
  tensor.set(CUDNN_ATTR_TENSOR_STRIDES, strides);
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id);
  tensor.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kAlignment);
  tensor.finalize("describing a tensor");
  parts_.push_back(std::move(tensor));
  return parts_.size() - 1;
}

size_t Graph::add_convolution(const ConvProblem& p) {
  const cudnnDataType_t sums = CUDNN_DATA_FLOAT;
  const cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
  const int64_t padding[2] = {int64_t{p.padding} * p.dilation, int64_t{p.padding} * p.dilation};
  const int64_t strides[2] = {p.stride_y, p.stride_x}, dilations[2] = {p.dilation, p.dilation};
  Descriptor convolution(target_.api, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  convolution.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &sums);
  convolution.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
  convolution.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, 2);
  convolution.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, padding);
  convolution.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, padding);
  convolution.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, strides);
  convolution.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, dilations);
  convolution.finalize("describing a convolution");
  parts_.push_back(std::move(convolution));
  return parts_.size() - 1;
}

std::vector<Descriptor> Graph::offered(cudnnBackendHeurMode_t mode) const {
  Descriptor heuristics(target_.api, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, descriptor());
  heuristics.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
  if (target_.properties) heuristics.set(kHeuristicsProperties, *target_.properties);
  if (target_.api->finalize(heuristics.get()) != CUDNN_STATUS_SUCCESS) return {};
  return heuristics.children(CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR,
                             heuristics.child_count(CUDNN_ATTR_ENGINEHEUR_RESULTS));
}

std::string EngineChoice::text() const {
  std::string out = concat("engine ", engine, knobs.empty() ? "" : ", knobs");
  for (const auto& [kind, value] : knobs) out += concat(" ", kind, "=", value);
  return out;
}

EngineChoice choice_of(const Descriptor& config) {
  EngineChoice choice;
  choice.engine = config.child(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR).integer(CUDNN_ATTR_ENGINE_GLOBAL_INDEX);
  for (const Descriptor& knob : config.children(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, kMostKnobs)) {
    cudnnBackendKnobType_t kind{};
    knob.read(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &kind);
    choice.knobs.emplace_back(static_cast<int64_t>(kind), knob.integer(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE));
  }
  std::sort(choice.knobs.begin(), choice.knobs.end());
  return choice;
}

Descriptor config_of(const Graph& graph, const EngineChoice& choice) {
  const Target& target = graph.target();
  Descriptor engine(target.api, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  engine.set(CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph.descriptor());
  engine.set(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, choice.engine);
  if (target.properties) engine.set(kEngineProperties, *target.properties);
  engine.finalize("choosing an engine");
  std::vector<Descriptor> knobs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const auto& [number, value] : choice.knobs) {
    const auto kind = static_cast<cudnnBackendKnobType_t>(number);
    Descriptor& knob = knobs.emplace_back(target.api, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR);
    knob.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &kind);
    knob.set(CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, value);
    knob.finalize("setting an engine");
    raw.push_back(knob.get());
  }
  Descriptor config(target.api, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
  config.set(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
  if (!raw.empty()) config.set(CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<int64_t>(raw.size()), raw.data());
  config.finalize("setting an engine");
  for (Descriptor& knob : knobs) config.keep(std::move(knob));
  config.keep(std::move(engine));
  return config;
}

EngineNotes notes_of(const Descriptor& config) {
  EngineNotes notes;
  const Descriptor engine = config.child(CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  for (const auto note : engine.notes<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE)) {
    notes.nondeterministic |= note == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
    notes.tensor_cores |= note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE;
    notes.narrows_inputs |= note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
    notes.narrows_sums |= note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION;
  }
  for (const auto note : engine.notes<cudnnBackendBehaviorNote_t>(CUDNN_ATTR_ENGINE_BEHAVIOR_NOTE, CUDNN_TYPE_BEHAVIOR_NOTE))
    notes.compiles |= note == CUDNN_BEHAVIOR_NOTE_RUNTIME_COMPILATION;
  return notes;
}

Plan::Plan(std::shared_ptr<const Graph> graph, Descriptor config)
    : graph_(std::move(graph)), config_(std::move(config)), plan_(graph_->target().api, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
  const Target& target = graph_->target();
  plan_.set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config_);
  if (target.handle) plan_.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, 1, &target.handle);
  if (target.properties) plan_.set(kPlanProperties, *target.properties);
  plan_.finalize("making a plan");
  workspace_ = static_cast<size_t>(plan_.integer(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE));
}

void Plan::run(const void* x, const void* w, const void* y, void* workspace) const {
  const Target& target = graph_->target();
  const int64_t ids[3] = {kX, kW, kY};
  const void* const pointers[3] = {x, w, y};
  Descriptor pack(target.api, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids);
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, 3, pointers);
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
  pack.finalize("naming the tensors");
  target.api->check(target.api->execute(target.handle, plan_.get(), pack.get()), "running a convolution");
}

}  // namespace dn::cuda::cudnn
