#include "nn/cuda/head_kernel.h"

#include <cmath>
#include <cstring>

#include "base/numbers.h"
#include "device/cuda/launch.h"
#include "nn/anchor_loss.h"

namespace dn::cuda {
namespace {

constexpr size_t kAlignment = 64;

size_t bytes_of_firsts(int images) { return round_up((static_cast<size_t>(images) + 1) * sizeof(int), kAlignment); }

// Eight channels of a pixel; pixels of neighbouring threads are neighbours.
struct ActivateBody {
  View x;
  PlainView y;
  const ChannelForm* forms;
  DN_HD void operator()(size_t i) const {
    const size_t pixels = x.pixels(), pixel = i % pixels;
    const int first = static_cast<int>(i / pixels) * kEight, image = static_cast<int>(pixel / y.plane());
    const Eight in = x.get_eight(x.at(pixel, first));
    for (int k = 0; k < kEight && first + k < y.c; ++k) {
      const ChannelForm form = forms[first + k];
      const float v = form.logistic ? 1 / (1 + std::exp(-in.v[k])) : in.v[k];
      y.data[y.at(image, first + k, pixel % y.plane())] = form.scale * v + form.shift;
    }
  }
};

struct HandOnBody {
  PlainView delta;
  View dx;
  float scale;
  const PassNumbers* numbers;
  bool add;
  DN_HD void operator()(size_t i) const {
    const size_t pixels = dx.pixels(), pixel = i % pixels;
    const int first = static_cast<int>(i / pixels) * kEight, image = static_cast<int>(pixel / delta.plane());
    const float factor = -scale * numbers->loss_scale;
    Eight out{};
    for (int k = 0; k < kEight && first + k < delta.c; ++k) out.v[k] = factor * delta.data[delta.at(image, first + k, pixel % delta.plane())];
    if (add)
      dx.add_eight(dx.at(pixel, first), out);
    else
      dx.set_eight(dx.at(pixel, first), out);
  }
};

struct AddReportBody {
  LossReport* reports;
  DN_HD void operator()(size_t) const { reports[1] += reports[0]; }
};

}  // namespace

HeadKernel::HeadKernel(Device& device, const KernelArgs& args, const std::vector<ChannelForm>& forms, int max_truths,
                       std::function<int(int)> class_of, float gradient_scale)
    : device_(device),
      args_(args),
      images_(args.y.shape.n),
      max_truths_(max_truths),
      class_of_(std::move(class_of)),
      scale_(gradient_scale),
      lists_(device),
      forms_(lists_.put(forms)) {
  ensure(args.y.shape == args.x[0].shape && forms.size() == static_cast<size_t>(args.y.shape.c), "a head writes its input's shape");
  if (!args.training) return;
  ensure(args.network_input.w > 0 && args.network_input.h > 0, "a head needs the network's input size in training");
  const size_t most = checked_product({static_cast<size_t>(images_), static_cast<size_t>(max_truths), sizeof(TruthBox)});
  truths_ = device.allocate(bytes_of_firsts(images_) + most);
  reports_ = device.allocate(2 * sizeof(LossReport));
}

Needs HeadKernel::needs() const {
  Needs n;
  if (!args_.training) return n;
  n.saved = {args_.y.bytes()};
  n.kept = truths_->bytes();
  return n;
}

LossReport* HeadKernel::reports() const { return reinterpret_cast<LossReport*>(reports_->data()); }

HeadTruths HeadKernel::truths() const {
  return {reinterpret_cast<const int*>(truths_->data()), reinterpret_cast<const TruthBox*>(truths_->data() + bytes_of_firsts(images_))};
}

void HeadKernel::prepare(const Io&, const Pass& pass) {
  if (!pass.training) return;
  ensure(args_.training, "a training pass of a plan for inference");
  ensure(pass.truth.empty() || pass.truth.size() == static_cast<size_t>(images_), "truths for every image of the mini-batch");
  std::vector<int> first{0};
  staging_.resize(bytes_of_firsts(images_));
  for (int n = 0; n < images_; ++n) {
    if (!pass.truth.empty()) {
      const std::vector<TruthBox> known = known_truths(pass.truth[static_cast<size_t>(n)], max_truths_, class_of_);
      const std::span<const std::byte> bytes = std::as_bytes(std::span(known));
      staging_.insert(staging_.end(), bytes.begin(), bytes.end());
    }
    first.push_back(static_cast<int>((staging_.size() - bytes_of_firsts(images_)) / sizeof(TruthBox)));
  }
  std::memcpy(staging_.data(), first.data(), first.size() * sizeof(int));
  device_.stream().to_device(truths_->data(), staging_.data(), staging_.size());
}

void HeadKernel::forward(const Io& io, const Pass& pass) {
  const View x = view(io.x[0]);
  const PlainView y = plain_view(io.y);
  Stream& stream = device_.stream();
  for_each(stream, x.eights(), ActivateBody{x, y, forms_});
  activate_parts(y);
  if (pass.training)
    put_loss(io, y, truths(), reinterpret_cast<float*>(io.saved[0]), reports());
  else if (args_.training)
    stream.fill(reports(), 0, sizeof(LossReport));
}

void HeadKernel::backward(const Io& io, const Pass&) {
  for_each(device_.stream(), 1, AddReportBody{reports()});
  if (args_.dx[0] == Write::none) return;
  PlainView delta = plain_view({{args_.y.shape, 1}, reinterpret_cast<float*>(io.saved[0])});
  const View dx = view(io.dx[0]);
  for_each(device_.stream(), dx.eights(), HandOnBody{delta, dx, scale_, device_.numbers(), args_.dx[0] == Write::accumulate});
}

void HeadKernel::fetch_losses(LossReport& last, LossReport& sum) {
  LossReport taken[2];
  device_.stream().to_host(taken, reports(), sizeof taken);
  device_.stream().fill(reports() + 1, 0, sizeof(LossReport));
  device_.synchronize();
  last = taken[0];
  sum += taken[1];
}

}  // namespace dn::cuda
