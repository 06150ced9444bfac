#include "device/cuda/device.h"

#include "base/log.h"
#include "base/numbers.h"
#include "device/cpu/parallel.h"

namespace dn::cuda {

std::string_view precision_name(Precision precision) {
  switch (precision) {
    case Precision::fp32: return "fp32";
    case Precision::tf32: return "tf32";
    case Precision::bf16: return "bf16";
    case Precision::fp16: return "fp16";
  }
  return "";
}

namespace {

std::unique_ptr<ConvEngine> best_engine(Stream& stream, const DeviceOptions& options) {
  if (stream.emulated()) return plain_conv_engine();
  try {
    return cudnn_conv_engine(stream, options.convolutions, options.conv_cache);
  } catch (const Error& e) {
    log::warn(concat(e.what(), "; convolutions run through plain kernels, which are many times slower"));
    return plain_conv_engine();
  }
}

}  // namespace

Device::Device(const DeviceOptions& options)
    : options_(options),
      threads_(options.threads > 0 ? options.threads : cpu::available_processors()),
      stream_(options.emulated ? emulated_stream(options.emulated_bytes, options.emulated_others) : open_stream(options.gpu)),
      numbers_(stream_->allocate(sizeof(PassNumbers))) {
  set_numbers({});
}

Device::~Device() = default;

ConvEngine& Device::convolutions() const {
  if (!engine_) engine_ = best_engine(*stream_, options_);
  return *engine_;
}

std::string Device::description() const {
  return concat(stream_->description(), ", ", precision_name(options_.precision), ", ", convolutions().description());
}

DType Device::dtype() const {
  switch (options_.precision) {
    case Precision::bf16: return DType::bf16;
    case Precision::fp16: return DType::f16;
    default: return DType::f32;
  }
}

TensorDesc Device::activation(const Shape& shape, bool wide) const {
  return {shape, round_up(shape.c, kChannelGroup), 0, wide ? DType::f32 : dtype(), true};
}

const PassNumbers* Device::numbers() const { return reinterpret_cast<const PassNumbers*>(numbers_->data()); }

}  // namespace dn::cuda
