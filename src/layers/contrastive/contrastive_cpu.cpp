// [contrastive] on the CPU. Samples are few (objects of a mini-batch), so this is plain code in double. saved[0] = the samples' gradient in the layout
// of x, made by forward while the truths are at hand; backward hands it on.
//
// With q the softmax over P(i) and N(i) of s_ia / t:  dL_i / ds_ia = (q_ia - [a in P] / |P|) / t.  With u = e / |e| and s_ia = u_i . u_a, each pair
// adds its part to both; de = (du - (du . u) u) / |e|.
#include <algorithm>
#include <cmath>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "layers/contrastive/contrastive.h"
#include "nn/elementwise.h"

namespace dn {
namespace {

struct Sample {
  size_t image = 0;
  PositiveCell where;
  double length = 0;
  std::vector<double> direction;  // unit length
  std::vector<double> slope;      // dL_i / ds_ia per a
  double loss = 0;
};

class ContrastiveCpu : public Kernel {
 public:
  ContrastiveCpu(const Contrastive& layer, cpu::Device& device, const KernelArgs& args)
      : device_(device), head_(layer.objects()), spec_(layer.spec()), args_(args), size_(args.x[0].shape.c / head_.anchors_per_cell()) {}

  Needs needs() const override {
    Needs needs;
    if (args_.training) needs.saved = {args_.x[0].dense().bytes()};
    return needs;
  }

  void forward(const Io& io, const Pass& pass) override {
    std::fill_n(io.y.data, args_.y.count(), 0.f);
    if (!pass.training) return;
    ensure(args_.training, "a training pass of a plan for inference");
    const Tensor gradient{args_.x[0].dense(), reinterpret_cast<float*>(io.saved[0])};
    zero(device_.threads(), gradient.data, gradient.desc.count());
    std::vector<Sample> samples = collect(io.x[0], pass);
    cpu::parallel_for(device_.threads(), samples.size(), [&](size_t i) { compare(samples, i); });
    cpu::parallel_for(device_.threads(), samples.size(), [&](size_t i) { deliver(samples, i, gradient); });
    double cost = 0;
    std::vector<double> images(static_cast<size_t>(args_.y.shape.n), 0);
    for (const Sample& sample : samples) images[sample.image] += sample.loss;
    for (size_t n = 0; n < images.size(); ++n) {
      io.y.data[n] = static_cast<float>(images[n]);
      cost += images[n];
    }
    if (io.loss)
      *io.loss = {.cost = cost, .class_loss = cost / static_cast<double>(images.size()), .total_loss = cost / static_cast<double>(images.size())};
  }

  void backward(const Io& io, const Pass&) override {
    if (args_.dx.empty() || args_.dx[0] == Write::none) return;
    const float* const gradient = reinterpret_cast<const float*>(io.saved[0]);
    if (args_.dx[0] == Write::overwrite)
      copy_to(device_.threads(), io.dx[0].data, gradient, args_.x[0].dense().count());
    else
      add_to(device_.threads(), io.dx[0].data, gradient, args_.x[0].dense().count());
  }

 private:
  // The cells of known objects, image by image in the order of their truths. An embedding of no or infinite length has no direction.
  std::vector<Sample> collect(const Tensor& x, const Pass& pass) const {
    const Shape grid = x.desc.shape;
    std::vector<Sample> samples;
    for (size_t n = 0; n < pass.truth.size(); ++n) {
      const std::vector<PositiveCell> cells = head_.positives(pass.truth[n], grid, args_.network_input);
      for (size_t i = 0; i < cells.size(); ++i) {
        const bool replaced = std::any_of(cells.begin() + static_cast<std::ptrdiff_t>(i) + 1, cells.end(),
                                          [&](const PositiveCell& later) { return later.anchor == cells[i].anchor && later.cell == cells[i].cell; });
        if (replaced || cells[i].object == 0) continue;
        Sample sample{.image = n, .where = cells[i]};
        double squares = 0;
        for (int c = 0; c < size_; ++c) {
          sample.direction.push_back(static_cast<double>(x.data[offset(x.desc, sample, c)]));
          squares += sample.direction.back() * sample.direction.back();
        }
        sample.length = std::sqrt(squares);
        if (!(sample.length > 0) || !std::isfinite(sample.length)) continue;
        for (double& value : sample.direction) value /= sample.length;
        samples.push_back(std::move(sample));
      }
    }
    return samples;
  }

  size_t offset(const TensorDesc& desc, const Sample& sample, int c) const {
    const int w = desc.shape.w, cell = static_cast<int>(sample.where.cell);
    return desc.offset(static_cast<int>(sample.image), sample.where.anchor * size_ + c, cell / w, cell % w);
  }

  // Loss and slopes of sample i.
  void compare(std::vector<Sample>& samples, size_t i) const {
    Sample& own = samples[i];
    own.slope.assign(samples.size(), 0);
    std::vector<size_t> same, all;  // P; P and N
    for (size_t step = 1, others = 0; step < samples.size(); ++step) {
      const size_t j = (i + step) % samples.size();
      const PositiveCell& there = samples[j].where;
      const bool is_same = there.object == own.where.object;
      if (is_same)
        same.push_back(j);
      else if (there.class_id != own.where.class_id || others++ >= static_cast<size_t>(spec_.contrastive_neg_max))
        continue;
      all.push_back(j);
    }
    if (same.empty() || all.size() == same.size()) return;
    const auto temperature = static_cast<double>(spec_.temperature), weight = static_cast<double>(spec_.cls_normalizer);
    const double share = 1 / static_cast<double>(same.size());
    double sum = 0;  // of exp((s - 1) / t): s is at most 1
    for (const size_t j : all) sum += own.slope[j] = std::exp((dot(own.direction, samples[j].direction) - 1) / temperature);
    for (const size_t j : same) own.loss -= weight * share * std::log(std::max(own.slope[j] / sum, kLeastShare));
    for (const size_t j : all) own.slope[j] *= weight / (sum * temperature);
    for (const size_t j : same) own.slope[j] -= weight * share / temperature;
  }

  // d L / d embedding of sample i, from its own slopes and from those of the others towards it.
  void deliver(const std::vector<Sample>& samples, size_t i, const Tensor& gradient) const {
    const Sample& own = samples[i];
    std::vector<double> g(static_cast<size_t>(size_), 0);
    for (size_t j = 0; j < samples.size(); ++j) {
      const double slope = own.slope[j] + samples[j].slope[i];
      if (slope == 0) continue;
      for (size_t k = 0; k < g.size(); ++k) g[k] += slope * samples[j].direction[k];
    }
    const double along = dot(g, own.direction), bound = static_cast<double>(spec_.max_delta);
    for (size_t k = 0; k < g.size(); ++k) {
      const double value = (g[k] - along * own.direction[k]) / own.length;
      gradient.data[offset(gradient.desc, own, static_cast<int>(k))] = static_cast<float>(std::clamp(value, -bound, bound));
    }
  }

  static double dot(const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
    return sum;
  }

  static constexpr double kLeastShare = 1e-300;  // of a softmax; below, its logarithm would be infinite
  cpu::Device& device_;
  const Head& head_;
  ContrastiveSpec spec_;
  KernelArgs args_;
  int size_;  // channels of one embedding
};

}  // namespace

std::unique_ptr<Kernel> Contrastive::compile_cpu(const Contrastive& layer, cpu::Device& device, const KernelArgs& args) {
  return std::make_unique<ContrastiveCpu>(layer, device, args);
}

}  // namespace dn
