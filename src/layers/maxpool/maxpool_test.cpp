// [maxpool] against its reference and differences: the direct, separable and tiling paths, padding and clipped windows, the first-maximum rule on
// equal values (checked against a brute-force gradient), the maximum over channels, independence of the thread count, shapes, refusals.
#include <gtest/gtest.h>

#include <cmath>

#include "base/rng.h"
#include "layers/maxpool/maxpool_ref.h"
#include "tensor/half.h"
#include "tests/harness/check_layer.h"
#include "tests/harness/gpu.h"

namespace dn {
namespace {

using testing::check_layer;
using testing::RefTensor;

std::vector<double> reference(const Layer& layer, std::span<const RefTensor> x, std::span<const std::vector<double>>, const Shape&, bool) {
  return maxpool_reference(static_cast<const Maxpool&>(layer), x[0].shape, x[0].v);
}

// The values in their order, all different in bf16 too: the numbers that it has from 1/4 on, up and down.
void separate_in_bf16(RefTensor& t) {
  testing::separate(t, 1);
  for (double& v : t.v) {
    const auto step = static_cast<uint16_t>(std::abs(v));
    ensure(step < 15 * 128, "fewer values");
    v = std::copysign(static_cast<double>(from_bf16(static_cast<uint16_t>(to_bf16(.25f) + step))), v + .25);
  }
}

void check(const std::string& keys, const Shape& shape) {
  testing::CheckOptions options;
  options.prepare = separate_in_bf16;
  check_layer("[maxpool]\n" + keys, {shape}, reference, options);
}

std::string error_of(const std::string& keys, const Shape& shape = {1, 8, 8, 8}) { return testing::layer_error("[maxpool]\n" + keys, {shape}); }

// A kernel run of forward and backward over 64-byte aligned memory, on values as given.
struct PoolRun {
  PoolRun(const Maxpool& layer, const TensorDesc& in, int threads, const std::vector<float>& x_values, const std::vector<float>& dy_values) {
    cpu::Device device({.threads = threads, .block = in.block});
    const TensorDesc out{layer.output_shape({&in.shape, 1}), in.block};
    const KernelArgs args{.x = {in}, .y = out, .training = true, .backward = true, .dx = {Write::overwrite}};
    const auto kernel = Maxpool::compile_cpu(layer, device, args);
    const Needs needs = kernel->needs();
    Memory x(in.bytes()), y_memory(out.bytes()), dy(out.bytes()), dx_memory(in.bytes()), saved(needs.saved.at(0)), scratch(needs.forward_scratch);
    std::copy(x_values.begin(), x_values.end(), x.floats());
    std::copy(dy_values.begin(), dy_values.end(), dy.floats());
    const Tensor tx{in, x.floats()}, tdx{in, dx_memory.floats()};
    std::byte* const saved_at = saved.bytes();
    const Io io{{&tx, 1}, {&tdx, 1}, {out, y_memory.floats()}, {out, dy.floats()}, {}, {&saved_at, 1}, scratch.bytes()};
    kernel->forward(io, {.training = true});
    kernel->backward(io, {.training = true});
    y.assign(y_memory.floats(), y_memory.floats() + out.count());
    dx.assign(dx_memory.floats(), dx_memory.floats() + in.count());
  }
  struct Memory {
    explicit Memory(size_t bytes) : data(static_cast<std::byte*>(std::aligned_alloc(64, round_up(bytes + 1, size_t{64}))), &std::free) {}
    float* floats() const { return reinterpret_cast<float*>(data.get()); }
    std::byte* bytes() const { return data.get(); }
    std::unique_ptr<std::byte, decltype(&std::free)> data;
  };
  std::vector<float> y, dx;
};

// The same on a GPU.
struct GpuPoolRun {
  GpuPoolRun(const Maxpool& layer, const TensorDesc& in, const std::vector<float>& x_values, const std::vector<float>& dy_values)
      : device(testing::gpu_options(cuda::Precision::fp32)) {
    const TensorDesc out = device.activation(layer.output_shape({&in.shape, 1}), false);
    const KernelArgs args{.x = {in}, .y = out, .training = true, .backward = true, .dx = {Write::overwrite}};
    const auto kernel = Maxpool::compile_cuda(layer, device, args);
    const Needs needs = kernel->needs();
    const Tensor tx = upload(in, x_values), tdx = upload(in, {});
    std::vector<std::byte*> saved;
    for (const size_t bytes : needs.saved) saved.push_back(memory(bytes));
    const Io io{{&tx, 1}, {&tdx, 1}, upload(out, {}), upload(out, dy_values), {}, saved, memory(std::max(needs.forward_scratch, needs.backward_scratch))};
    kernel->forward(io, {.training = true});
    kernel->backward(io, {.training = true});
    y = download(io.y), dx = download(tdx);
  }
  std::byte* memory(size_t bytes) {
    blocks.push_back(device.allocate(bytes + 1));
    return blocks.back()->data();
  }
  Tensor upload(const TensorDesc& desc, const std::vector<float>& values) {
    const Tensor t{desc, reinterpret_cast<float*>(memory(desc.bytes()))};
    device.stream().to_device(t.data, values.data(), values.size() * sizeof(float));
    return t;
  }
  std::vector<float> download(const Tensor& t) {
    std::vector<float> values(t.desc.count());
    device.stream().to_host(values.data(), t.data, t.desc.bytes());
    device.synchronize();
    return values;
  }
  cuda::Device device;
  std::vector<std::unique_ptr<DeviceMemory>> blocks;
  std::vector<float> y, dx;
};

// dx of one channel block with the first of equal maxima as the winner.
std::vector<float> first_maximum_gradient(const Maxpool& layer, const TensorDesc& in, const std::vector<float>& x, const std::vector<float>& dy) {
  TensorDesc out = in;
  out.shape = layer.output_shape({&in.shape, 1});
  const MaxpoolSpec& s = layer.spec();
  std::vector<float> dx(in.count(), 0.f);
  for (int c = 0; c < in.shape.c; ++c)
    for (int i = 0; i < out.shape.h; ++i)
      for (int j = 0; j < out.shape.w; ++j) {
        size_t best = SIZE_MAX;
        for (int a = 0; a < s.size; ++a)
          for (int b = 0; b < s.size; ++b) {
            const int yy = i * s.stride_y - s.offset() + a, xx = j * s.stride_x - s.offset() + b;
            if (yy < 0 || xx < 0 || yy >= in.shape.h || xx >= in.shape.w) continue;
            const size_t at = in.offset(0, c, yy, xx);
            if (best == SIZE_MAX || x[at] > x[best]) best = at;
          }
        dx[best] += dy[out.offset(0, c, i, j)];
      }
  return dx;
}

TEST(maxpool, halving) {
  check("size=2\nstride=2", {2, 16, 8, 6});
  check("size=2\nstride=2", {2, 3, 7, 9});     // the last windows reach over the edge
  check("size=2\nstride=2\npadding=0", {1, 20, 7, 9});  // the last row and column belong to no window
  check("stride=2", {1, 10, 6, 6});            // size follows from stride
}

TEST(maxpool, stride_one) {
  check("size=2\nstride=1", {2, 10, 5, 6});
  check("size=2", {1, 8, 4, 4});
  check("size=3\nstride=1", {1, 20, 5, 7});
  check("size=1\nstride=1", {1, 3, 4, 5});
}

TEST(maxpool, pyramid) {
  check("size=5\nstride=1", {2, 20, 9, 7});
  check("size=9\nstride=1", {1, 16, 6, 11});
  check("size=13\nstride=1", {1, 10, 7, 8});
  check("size=15\nstride=1", {1, 3, 13, 13});
  check("size=17\nstride=1", {1, 3, 19, 13});  // winners beyond one byte
  check("size=40\nstride=1", {1, 12, 9, 11});  // wider than the map
  check("size=13\nstride=1", {1, 12, 13, 13});
}

TEST(maxpool, overlapping_strides_and_padding) {
  check("size=3\nstride=2", {2, 16, 8, 9});
  check("size=3\nstride=2\npadding=0", {1, 10, 8, 9});
  check("size=3\nstride=1\npadding=1", {1, 20, 6, 6});
  check("size=3\nstride=1\npadding=4", {1, 8, 5, 6});
  check("size=6\nstride=2\npadding=3", {1, 8, 9, 12});
  check("size=7\nstride=3\npadding=0", {1, 20, 9, 12});
}

TEST(maxpool, blurred) {
  check("size=2\nstride=2\nantialiasing=1", {2, 20, 7, 8});
  check("size=2\nstride=2\nantialiasing=2", {1, 8, 9, 6});
  check("size=3\nstride_x=1\nstride_y=3\nantialiasing=1", {1, 10, 7, 5});
  check("maxpool_depth=1\nout_channels=4\nstride=2\nantialiasing=2", {1, 12, 6, 5});
}

TEST(maxpool, gaps_and_unequal_strides) {
  check("size=2\nstride=3", {1, 10, 9, 8});
  check("size=2\nstride_x=2\nstride_y=1", {1, 16, 6, 8});
  check("size=2\nstride_x=1\nstride_y=2", {1, 3, 7, 8});
  check("size=5\nstride_x=4\nstride_y=1", {1, 8, 8, 11});
  check("size=3\nstride=3", {2, 20, 8, 7});
  check("size=4\nstride=4", {1, 16, 9, 10});
  check("size=4\nstride=5", {2, 12, 14, 11});
  check("size=6\nstride_x=7\nstride_y=2", {1, 20, 13, 9});
}

TEST(maxpool, first_of_equal_maxima_wins) {
  Rng rng(7, RandomUse::test);
  for (const std::string keys :
       {"size=2\nstride=2", "size=2\nstride=1", "size=3\nstride=2", "size=5\nstride=1", "size=13\nstride=1", "size=17\nstride=1"})
    for (const int block : {8, 16}) {
      const auto layer = testing::parse_layer("[maxpool]\n" + keys, 1);
      const Maxpool& pool = static_cast<const Maxpool&>(*layer);
      const TensorDesc in{{1, block, 11, 14}, block};
      const TensorDesc out{pool.output_shape({&in.shape, 1}), block};
      std::vector<float> x(in.count()), dy(out.count());
      for (float& v : x) v = static_cast<float>(rng.below(3)) - 1;
      for (float& v : dy) v = static_cast<float>(rng.below(16));  // whole numbers: any order of additions gives the same sum
      const PoolRun run(pool, in, 2, x, dy);
      EXPECT_EQ(run.dx, first_maximum_gradient(pool, in, x, dy)) << keys << " block " << block;
      TensorDesc last = in;
      last.channels_last = true;
      EXPECT_EQ(GpuPoolRun(pool, last, x, dy).dx, first_maximum_gradient(pool, last, x, dy)) << keys << " on a GPU";
    }
}

TEST(maxpool, threads_change_no_bit) {
  Rng rng(8, RandomUse::test);
  for (const std::string keys : {"size=2\nstride=2", "size=3\nstride=1", "size=9\nstride=1"}) {
    const auto layer = testing::parse_layer("[maxpool]\n" + keys, 1);
    const Maxpool& pool = static_cast<const Maxpool&>(*layer);
    const TensorDesc in{{3, 48, 9, 10}, 16};
    std::vector<float> x(in.count()), dy(TensorDesc{pool.output_shape({&in.shape, 1}), 16}.count());
    for (float& v : x) v = static_cast<float>(rng.uniform(-1, 1));
    for (float& v : dy) v = static_cast<float>(rng.uniform(-1, 1));
    const PoolRun one(pool, in, 1, x, dy), four(pool, in, 4, x, dy);
    EXPECT_EQ(one.y, four.y) << keys;
    EXPECT_EQ(one.dx, four.dx) << keys;
  }
}

TEST(maxpool, nothing_is_saved_at_inference) {
  const auto layer = testing::parse_layer("[maxpool]\nsize=2\nstride=2", 1);
  cpu::Device device({.threads = 1, .block = 8});
  const TensorDesc in{{1, 8, 8, 8}, 8}, out{{1, 8, 4, 4}, 8};
  EXPECT_TRUE(testing::compile_layer(*layer, device, {.x = {in}, .y = out})->needs().saved.empty());
  const KernelArgs args{.x = {in}, .y = out, .training = true, .backward = true, .dx = {Write::overwrite}};
  const Needs training = testing::compile_layer(*layer, device, args)->needs();
  EXPECT_EQ(training.saved, std::vector<size_t>{out.count()});
  EXPECT_FALSE(training.x_in_backward || training.y_in_backward);
}

TEST(maxpool, over_channels) {
  check("maxpool_depth=1\nout_channels=4", {2, 16, 4, 5});
  check("maxpool_depth=1\nout_channels=20", {1, 40, 3, 3});
  check("maxpool_depth=1\nout_channels=3", {2, 20, 3, 2});    // the last group is shorter
  check("maxpool_depth=1\nout_channels=10", {1, 10, 2, 3});
  check("maxpool_depth=1", {1, 9, 1, 4});
}

TEST(maxpool, first_of_equal_channels_wins) {
  const auto layer = testing::parse_layer("[maxpool]\nmaxpool_depth=1\nout_channels=2", 1);
  const TensorDesc in{{1, 8, 1, 1}, 8};
  const std::vector<float> dy{5, 7, 0, 0, 0, 0, 0, 0};
  const PoolRun run(static_cast<const Maxpool&>(*layer), in, 1, {1, 4, 3, 4, 3, 2, 0, 4}, dy);
  EXPECT_EQ(run.y, (std::vector<float>{3, 4, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(run.dx, (std::vector<float>{0, 7, 5, 0, 0, 0, 0, 0}));
  TensorDesc last = in;
  last.channels_last = true;
  EXPECT_EQ(GpuPoolRun(static_cast<const Maxpool&>(*layer), last, {1, 4, 3, 4, 3, 2, 0, 4}, dy).dx, run.dx);
}

TEST(maxpool, shapes) {
  const auto shape_of = [](const std::string& keys, Shape in) { return testing::parse_layer("[maxpool]\n" + keys, 1)->output_shape({&in, 1}); };
  EXPECT_EQ(shape_of("size=2\nstride=2", {1, 4, 13, 13}), (Shape{1, 4, 7, 7}));
  EXPECT_EQ(shape_of("size=2\nstride=1", {1, 4, 13, 13}), (Shape{1, 4, 13, 13}));
  EXPECT_EQ(shape_of("size=3\nstride=2\npadding=0", {1, 4, 20, 16}), (Shape{1, 4, 9, 7}));
  EXPECT_EQ(shape_of("size=3\nstride_x=3\nstride_y=1", {2, 4, 6, 6}), (Shape{2, 4, 6, 2}));
  EXPECT_EQ(shape_of("maxpool_depth=1\nout_channels=4\nsize=2\nstride=2", {2, 16, 6, 6}), (Shape{2, 4, 6, 6}));
}

TEST(maxpool, refusals_name_place_key_and_range) {
  EXPECT_NE(error_of("size=0").find("[maxpool] size = 0"), std::string::npos);
  EXPECT_NE(error_of("size=3\npadding=5").find("padding = 5: a window could hold no cell of the map; expected 0..4 for size 3"), std::string::npos);
  EXPECT_NE(error_of("size=20\npadding=0").find("size = 20: larger than the padded input of 8 x 8"), std::string::npos);
  EXPECT_NE(error_of("maxpool_depth=1\nout_channels=9").find("out_channels = 9: the input is 8 x 8 x 8; expected at most its 8 channels"),
            std::string::npos);
  EXPECT_NE(error_of("size=2\nantialiasing=3").find("antialiasing = 3"), std::string::npos);
  EXPECT_EQ(error_of("size=2\nstride=2\nmaxpool_depth=0\nantialiasing=0"), "");
}

TEST(maxpool, summary) {
  EXPECT_EQ(testing::parse_layer("[maxpool]\nsize=3\nstride=2\npadding=0", 1)->summary({}), "3x3/2  padding 0");
  EXPECT_EQ(testing::parse_layer("[maxpool]\nstride=2", 1)->summary({}), "2x2/2");
  EXPECT_EQ(testing::parse_layer("[maxpool]\nmaxpool_depth=1\nout_channels=4", 1)->summary({}), "over channels to 4");
}

}  // namespace
}  // namespace dn
