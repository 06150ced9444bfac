#include "nn/cuda/anchor_kernel.h"

#include <algorithm>

#include "base/numbers.h"
#include "nn/cuda/block_sums.h"

namespace dn::cuda {
namespace {

constexpr size_t kAlignment = 64;
constexpr int kMostBlocks = 64;  // that sum up one image

std::vector<ChannelForm> forms_of(const AnchorRules& rules) {
  std::vector<ChannelForm> forms;
  for (int c = 0; c < rules.channels(); ++c) {
    const int entry = c % rules.entries();
    const float s = rules.is_position(entry) ? rules.scale_x_y : 1;
    forms.push_back({s, (1 - s) / 2, !rules.new_coords && !rules.is_size(entry)});
  }
  return forms;
}

struct PlaceBody {  // a slot of an image
  AnchorBatch batch;
  DN_HD void operator()(size_t i) const {
    const int n = static_cast<int>(i / static_cast<size_t>(batch.slots)), t = static_cast<int>(i % static_cast<size_t>(batch.slots));
    if (t >= batch.truths.count(n)) return;
    for (int a = 0; a < batch.masks(); ++a) batch.places_of(n, a)[t] = -1;
    each_assignment(batch.cells.rules, batch.cells.grid, batch.truths.of(n)[t].box,
                    [&](int a, size_t cell) { batch.places_of(n, a)[t] = static_cast<int>(cell); });
  }
};

struct ImageSums {
  AnchorImageLoss loss;
  DeltaSums delta;
  DN_HD ImageSums& operator+=(const ImageSums& other) {
    loss.box_squares += other.loss.box_squares;
    loss.other_squares += other.loss.other_squares;
    loss.iou_sum += other.loss.iou_sum;
    loss.dissimilarity_sum += other.loss.dissimilarity_sum;
    loss.assigned += other.loss.assigned;
    loss.rewritten += other.loss.rewritten;
    delta += other.delta;
    return *this;
  }
};

using Sums = BlockSums<ImageSums>;

// Cells that took several truths, labels that are left out, squares: the last that is done to delta. Blocks: parts of an image, images.
struct FinishBody {
  static constexpr int kThreads = Sums::kThreads, kPhases = 3;
  using Shared = Sums;
  struct State {};
  AnchorBatch batch;
  const RejectionNow* rejection;
  int blocks;
  ImageSums* parts;  // [image][block]

  DN_HD void finish(const AnchorCells& cells, int a, size_t cell, bool touched, ImageSums& sums) const {
    const size_t first = cells.at(a, 0, cell), plane = cells.grid.plane(), objectness = cells.at(a, cells.rules.objectness(), cell);
    if (touched && cells.shares_box_deltas()) cells.share_box_delta(first);
    if (rejection->active) {
      const int from = touched ? 0 : cells.rules.objectness(), to = touched ? cells.rules.entries() : from + 1;  // elsewhere there are zeros
      for (int e = from; e < to; ++e) {
        float& value = cells.delta[first + static_cast<size_t>(e) * plane];
        value = reject_entry(value, rejection->bounds, sums.delta);
      }
    }
    sums.loss.other_squares += cells.square(objectness);
    if (touched) cells.add_squares(first, sums.loss);
  }

  template <int phase>
  DN_HD void run(const Place& place, State&, Shared& shared) const {
    if constexpr (phase == 0) {
      const AnchorCells cells = batch.image(place.y);
      const size_t plane = cells.grid.plane(), count = static_cast<size_t>(batch.masks()) * plane;
      const unsigned char* const touched = batch.touched + static_cast<size_t>(place.y) * count;
      ImageSums sums;
      for (size_t i = static_cast<size_t>(place.x) * kThreads + static_cast<size_t>(place.thread); i < count;
           i += static_cast<size_t>(blocks) * kThreads)
        finish(cells, static_cast<int>(i / plane), i % plane, touched[i] != 0, sums);
      shared.of[place.thread] = sums;
    } else if constexpr (phase == 1) {
      shared.fold_runs(place.thread);
    } else if (place.thread == 0) {
      parts[place.y * blocks + place.x] = shared.fold_all();
    }
  }
};

// Blocks: images.
struct SumImageBody {
  static constexpr int kThreads = Sums::kThreads, kPhases = 3;
  using Shared = Sums;
  struct State {};
  AnchorBatch batch;
  int blocks;
  const ImageSums* parts;
  AnchorImageLoss* images;
  DeltaSums* measured;

  DN_HD ImageSums gather(int n, int thread) const {
    ImageSums sums;
    for (int i = thread; i < blocks; i += kThreads) sums += parts[n * blocks + i];
    for (int a = 0; a < batch.masks(); ++a)
      for (int t = thread; t < batch.truths.count(n); t += kThreads) {
        if (batch.places_of(n, a)[t] < 0) continue;
        const AnchorMatch& match = batch.matches_of(n, a)[t];
        ++sums.loss.assigned;
        sums.loss.rewritten += match.rewritten;
        sums.loss.iou_sum += match.overlap;
        sums.loss.dissimilarity_sum += match.dissimilarity;
      }
    return sums;
  }

  template <int phase>
  DN_HD void run(const Place& place, State&, Shared& shared) const {
    if constexpr (phase == 0) {
      shared.of[place.thread] = gather(place.x, place.thread);
    } else if constexpr (phase == 1) {
      shared.fold_runs(place.thread);
    } else if (place.thread == 0) {
      const ImageSums& sums = shared.fold_all();
      images[place.x] = sums.loss;
      images[place.x].truths = batch.truths.count(place.x);
      measured[place.x] = sums.delta;
    }
  }
};

struct ReportBody {
  AnchorNumbers rules;
  const AnchorImageLoss* images;
  size_t count;
  LossReport* report;
  DN_HD void operator()(size_t) const { *report = anchor_report(rules, images, count); }
};

}  // namespace

AnchorKernel::AnchorKernel(const AnchorHead& layer, Device& device, const KernelArgs& args)
    : HeadKernel(
          device, args, forms_of(layer.rules()), layer.rules().max_truths, [&layer](int label) { return layer.rules().class_of(label); },
          layer.rules().delta_normalizer),
      layer_(layer),
      lists_(device),
      rules_(view_of(layer.rules())),
      grid_{args.y.shape.w, args.y.shape.h, args.network_input.w, args.network_input.h} {
  const AnchorRules& rules = layer.rules();
  const size_t cells = rules.mask.size() * grid_.plane();
  blocks_ = static_cast<int>(std::min<size_t>(kMostBlocks, (cells + Sums::kThreads - 1) / Sums::kThreads));
  rules_.anchors = lists_.put(rules.anchors);
  rules_.mask = lists_.put(rules.mask);
  rules_.class_multipliers = lists_.put(rules.class_multipliers);
  if (!args.training) return;
  rejection_ = device.allocate(sizeof(RejectionNow));
  measured_ = device.allocate(static_cast<size_t>(images_) * sizeof(DeltaSums));
}

AnchorKernel::Scratch AnchorKernel::scratch() const {
  const size_t rows = static_cast<size_t>(images_) * static_cast<size_t>(rules_.mask_count), slots = static_cast<size_t>(rules_.max_truths);
  Scratch s;
  const auto take = [&](size_t bytes) {
    const size_t at = s.bytes;
    s.bytes += round_up(bytes, kAlignment);
    return at;
  };
  s.places = take(checked_product({rows, slots, sizeof(int)}));
  s.matches = take(checked_product({rows, slots, sizeof(AnchorMatch)}));
  s.touched = take(rows * grid_.plane());
  s.parts = take(static_cast<size_t>(images_) * static_cast<size_t>(blocks_) * sizeof(ImageSums));
  s.images = take(static_cast<size_t>(images_) * sizeof(AnchorImageLoss));
  return s;
}

Needs AnchorKernel::needs() const {
  Needs n = HeadKernel::needs();
  if (args_.training) n.forward_scratch = scratch().bytes;
  return n;
}

void AnchorKernel::put_loss(const Io& io, const PlainView& y, const HeadTruths& truths, float* delta, LossReport* report) const {
  Stream& stream = device_.stream();
  const Scratch s = scratch();
  AnchorBatch batch;
  batch.cells = {rules_, grid_, y.data, delta, nullptr, 0};
  batch.per_image = args_.y.shape.per_image();
  batch.truths = truths;
  batch.images = images_;
  batch.slots = rules_.max_truths;
  batch.places = reinterpret_cast<int*>(io.scratch + s.places);
  batch.matches = reinterpret_cast<AnchorMatch*>(io.scratch + s.matches);
  batch.touched = reinterpret_cast<unsigned char*>(io.scratch + s.touched);
  auto* const parts = reinterpret_cast<ImageSums*>(io.scratch + s.parts);
  auto* const images = reinterpret_cast<AnchorImageLoss*>(io.scratch + s.images);
  stream.fill(delta, 0, args_.y.bytes());
  for_each(stream, static_cast<size_t>(images_) * static_cast<size_t>(batch.slots), PlaceBody{batch});
  teach(stream, batch);
  launch_blocks(stream, {blocks_, images_}, FinishBody{batch, reinterpret_cast<const RejectionNow*>(rejection_->data()), blocks_, parts});
  launch_blocks(stream, {images_, 1}, SumImageBody{batch, blocks_, parts, images, reinterpret_cast<DeltaSums*>(measured_->data())});
  for_each(stream, 1, ReportBody{rules_, images, static_cast<size_t>(images_), report});
}

// Labels are left out late in a training, if at all. From then on the sums of a mini-batch are brought to the host before the next begins.
void AnchorKernel::prepare(const Io& io, const Pass& pass) {
  HeadKernel::prepare(io, pass);
  if (!pass.training || !io.rejection || !layer_.rejects_labels()) return;
  collect_measured();
  RejectionNow now;
  if (const auto bounds = io.rejection->bounds(pass.iteration); bounds && pass.stage != Pass::Stage::estimate) {
    now = {true, *bounds};
    measures_ = io.rejection;
    measured_first_ = pass.first_image;
  }
  device_.stream().to_device(rejection_->data(), &now, sizeof now);
}

void AnchorKernel::collect_measured() {
  if (!measures_) return;
  std::vector<DeltaSums> sums(static_cast<size_t>(images_));
  device_.stream().to_host(sums.data(), measured_->data(), sums.size() * sizeof(DeltaSums));
  device_.synchronize();
  std::ranges::copy(sums, measures_->sums(layer_.index(), measured_first_, sums.size()).begin());
  measures_ = nullptr;
}

void AnchorKernel::fetch_losses(LossReport& last, LossReport& sum) {
  HeadKernel::fetch_losses(last, sum);
  collect_measured();
}

}  // namespace dn::cuda
