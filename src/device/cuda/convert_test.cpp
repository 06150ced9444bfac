#include "device/cuda/convert.h"

#include <gtest/gtest.h>

#include "tensor/half.h"

namespace dn::cuda {
namespace {

TEST(Convert, NarrowsAndWidensEveryElement) {
  constexpr size_t kCount = 8 * 1000;
  const auto stream = emulated_stream();
  std::vector<float> values(kCount), back(kCount);
  for (size_t i = 0; i < kCount; ++i) values[i] = static_cast<float>(i) * .37f - 1000;
  const auto wide = stream->allocate(kCount * 4), narrow = stream->allocate(kCount * 2);
  for (const DType type : {DType::bf16, DType::f16}) {
    stream->to_device(wide->data(), values.data(), kCount * 4);
    convert(*stream, wide->data(), DType::f32, narrow->data(), type, kCount);
    stream->fill(wide->data(), 0xff, kCount * 4);
    convert(*stream, narrow->data(), type, wide->data(), DType::f32, kCount);
    stream->to_host(back.data(), wide->data(), kCount * 4);
    stream->synchronize();
    for (size_t i = 0; i < kCount; ++i) ASSERT_EQ(back[i], type == DType::bf16 ? from_bf16(to_bf16(values[i])) : from_f16(to_f16(values[i]))) << i;
  }
}

}  // namespace
}  // namespace dn::cuda
