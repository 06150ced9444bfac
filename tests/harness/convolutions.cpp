#include "tests/harness/convolutions.h"

#include <cstring>

namespace dn::testing {
namespace {

std::unique_ptr<DeviceMemory> upload(cuda::Stream& stream, const std::vector<float>& values, DType type) {
  auto memory = stream.allocate(values.size() * bytes_of(type));
  if (type == DType::f32) {
    stream.to_device(memory->data(), values.data(), memory->bytes());
    return memory;
  }
  std::vector<uint16_t> bits(values.size());
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = narrowed(values[i], type);
  stream.to_device(memory->data(), bits.data(), memory->bytes());
  return memory;
}

std::vector<float> download(cuda::Stream& stream, const DeviceMemory& memory, DType type) {
  std::vector<std::byte> bytes(memory.bytes());
  stream.to_host(bytes.data(), memory.data(), bytes.size());
  stream.synchronize();
  std::vector<float> out(bytes.size() / bytes_of(type));
  for (size_t i = 0; i < out.size(); ++i) {
    uint16_t bits = 0;
    if (type == DType::f32) {
      std::memcpy(&out[i], &bytes[4 * i], 4);
    } else {
      std::memcpy(&bits, &bytes[2 * i], 2);
      out[i] = widened(bits, type);
    }
  }
  return out;
}

struct OutForm {
  size_t count;
  DType type;
};

OutForm out_form(const cuda::Convolution& convolution, const cuda::ConvProblem& problem, cuda::ConvDirection direction) {
  switch (direction) {
    case cuda::ConvDirection::forward: return {problem.out.count(), type_of_y(problem)};
    case cuda::ConvDirection::backward_data: return {problem.in.count(), problem.dtype};
    default: return {weight_count(problem), convolution.weights_gradient_type()};
  }
}

}  // namespace

std::vector<float> random_values(size_t count, DType type, uint64_t seed) {
  Rng rng(seed, RandomUse::test);
  std::vector<float> out(count);
  for (float& value : out) {
    value = static_cast<float>(rng.uniform(-1, 1));
    if (type != DType::f32) value = widened(narrowed(value, type), type);
  }
  return out;
}

std::vector<float> run_convolution(cuda::Stream& stream, const cuda::Convolution& convolution, const cuda::ConvProblem& problem,
                                   cuda::ConvDirection direction, const std::vector<float>& first, const std::vector<float>& second) {
  const auto a = upload(stream, first, direction == cuda::ConvDirection::backward_data ? type_of_y(problem) : problem.dtype);
  const auto b = upload(stream, second, direction == cuda::ConvDirection::backward_weights ? type_of_y(problem) : problem.dtype);
  const OutForm form = out_form(convolution, problem, direction);
  const auto out = stream.allocate(form.count * bytes_of(form.type)), workspace = stream.allocate(convolution.workspace_bytes());
  for (const DeviceMemory* memory : {out.get(), workspace.get()})
    if (memory->bytes() > 0) stream.fill(memory->data(), 0xff, memory->bytes());
  convolution.run(stream, a->data(), b->data(), out->data(), workspace->data());
  return download(stream, *out, form.type);
}

}  // namespace dn::testing
