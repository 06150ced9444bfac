// [region] on a GPU. As in nn/cuda/anchor_kernel.h the truths' places are found at first, here from the head's output too, and the thread of a place's
// first truth assigns it all of its truths in their order.
#include <cmath>

#include "base/numbers.h"
#include "device/cuda/launch.h"
#include "layers/region/region.h"
#include "layers/region/region_cells.h"
#include "layers/region/region_loss.h"
#include "nn/cuda/block_sums.h"
#include "nn/cuda/head_kernel.h"
#include "nn/head_kernel.h"

namespace dn {
namespace {

using cuda::HeadTruths;
using cuda::Place;
using cuda::PlainView;
using Sums = cuda::BlockSums<LossReport>;

constexpr size_t kAlignment = 64;
constexpr int kMostBlocks = 64;  // that sum up one image

std::vector<cuda::ChannelForm> forms_of(const RegionRules& rules) {
  std::vector<cuda::ChannelForm> forms;
  for (int c = 0; c < rules.channels(); ++c) {
    const int entry = c % rules.entries();
    forms.push_back({1, 0, rules.is_position(entry) || entry == rules.objectness()});
  }
  return forms;
}

// Softmax over each group of classes, in place; neighbouring threads have neighbouring cells.
struct SoftmaxBody {
  PlainView y;
  RegionView rules;
  const ClassTree::Group* groups;
  int group_count;
  DN_HD void operator()(size_t i) const {
    const size_t cell = i % y.plane(), row = i / y.plane(), anchors = static_cast<size_t>(rules.anchor_count);
    const ClassTree::Group& group = groups[row % static_cast<size_t>(group_count)];
    const int a = static_cast<int>(row / static_cast<size_t>(group_count) % anchors),
              n = static_cast<int>(row / static_cast<size_t>(group_count) / anchors);
    float* const p = y.data + y.at(n, a * rules.entries() + rules.first_class() + group.first, cell);
    float top = p[0], sum = 0;
    for (int c = 1; c < group.size; ++c)
      if (const float other = p[static_cast<size_t>(c) * y.plane()]; !(top > other)) top = other;
    for (int c = 0; c < group.size; ++c) sum += p[static_cast<size_t>(c) * y.plane()] = std::exp(p[static_cast<size_t>(c) * y.plane()] - top);
    for (int c = 0; c < group.size; ++c) p[static_cast<size_t>(c) * y.plane()] /= sum;
  }
};

// A mini-batch on the device.
struct RegionBatch {
  RegionCells cells;     // output and delta of image 0, no truths
  size_t per_image = 0;  // values
  HeadTruths truths;
  int images = 0, slots = 0;      // slots: for truths, per image
  int blocks = 0;                 // that sum up one image
  const int* prior = nullptr;     // whether boxes are still drawn to their anchors
  int* places = nullptr;          // [image][slot]: anchor x cells + cell
  LossReport* matches = nullptr;  // [the same]

  DN_HD RegionCells image(int n) const {
    RegionCells own = cells;
    own.output += static_cast<size_t>(n) * per_image;
    own.delta += static_cast<size_t>(n) * per_image;
    own.truths = truths.of(n);
    own.truth_count = truths.count(n);
    return own;
  }
  DN_HD size_t slot(int n, int t) const { return static_cast<size_t>(n) * static_cast<size_t>(slots) + static_cast<size_t>(t); }
};

// What every cell learns wherever the truths are. Blocks: parts of an image, images.
struct ScoreBody {
  static constexpr int kThreads = Sums::kThreads, kPhases = 3;
  using Shared = Sums;
  struct State {};
  RegionBatch batch;
  LossReport* parts;  // [image][block]

  DN_HD LossReport score(int n, size_t first) const {
    const RegionCells cells = batch.image(n);
    const size_t plane = cells.grid.plane(), count = static_cast<size_t>(cells.rules.anchor_count) * plane;
    LossReport sums;
    for (size_t i = first; i < count; i += static_cast<size_t>(batch.blocks) * kThreads) {
      const int a = static_cast<int>(i / plane);
      const float best = cells.truth_count > 0 ? cuda::best_overlap_of(cells.box(a, i % plane), cells.truths, cells.truth_count) : 0;
      cells.score(a, i % plane, best, *batch.prior != 0, sums);
    }
    return sums;
  }

  template <int phase>
  DN_HD void run(const Place& place, State&, Shared& shared) const {
    if constexpr (phase == 0)
      shared.of[place.thread] = score(place.y, static_cast<size_t>(place.x) * kThreads + static_cast<size_t>(place.thread));
    else if constexpr (phase == 1)
      shared.fold_runs(place.thread);
    else if (place.thread == 0)
      parts[place.y * batch.blocks + place.x] = shared.fold_all();
  }
};

struct PlaceBody {  // a slot of an image
  RegionBatch batch;
  DN_HD void operator()(size_t i) const {
    const int n = static_cast<int>(i / static_cast<size_t>(batch.slots)), t = static_cast<int>(i % static_cast<size_t>(batch.slots));
    if (t >= batch.truths.count(n)) return;
    const RegionCells cells = batch.image(n);
    const Box& truth = cells.truths[t].box;
    const size_t cell = cell_of(cells.grid, truth.x, truth.y);
    batch.places[i] = cells.nearest(cell, truth) * static_cast<int>(cells.grid.plane()) + static_cast<int>(cell);
  }
};

struct AssignBody {  // a slot of an image
  RegionBatch batch;
  DN_HD void operator()(size_t i) const {
    const int n = static_cast<int>(i / static_cast<size_t>(batch.slots)), t = static_cast<int>(i % static_cast<size_t>(batch.slots));
    if (t >= batch.truths.count(n)) return;
    const int* const places = batch.places + batch.slot(n, 0);
    const int place = places[t];
    for (int earlier = 0; earlier < t; ++earlier)
      if (places[earlier] == place) return;  // another assigns it
    const RegionCells cells = batch.image(n);
    const size_t plane = cells.grid.plane();
    for (int k = t; k < cells.truth_count; ++k) {
      if (places[k] != place) continue;
      LossReport match;
      cells.assign(place / static_cast<int>(plane), static_cast<size_t>(place) % plane, cells.truths[k], match);
      match.rewritten = k > t;
      batch.matches[batch.slot(n, k)] = match;
    }
  }
};

// Squares of the deltas: of boxes as iou_loss, of all else as class_loss. Blocks: parts of an image, images.
struct SquaresBody {
  static constexpr int kThreads = Sums::kThreads, kPhases = 3;
  using Shared = Sums;
  struct State {};
  RegionBatch batch;
  LossReport* parts;  // [image][block]

  template <int phase>
  DN_HD void run(const Place& place, State&, Shared& shared) const {
    if constexpr (phase == 0) {
      const RegionCells cells = batch.image(place.y);
      const size_t plane = cells.grid.plane(), entries = static_cast<size_t>(cells.rules.entries());
      LossReport sums;
      for (size_t i = static_cast<size_t>(place.x) * kThreads + static_cast<size_t>(place.thread); i < batch.per_image;
           i += static_cast<size_t>(batch.blocks) * kThreads)
        (i / plane % entries < 4 ? sums.iou_loss : sums.class_loss) += static_cast<double>(cells.delta[i]) * cells.delta[i];
      shared.of[place.thread] = sums;
    } else if constexpr (phase == 1) {
      shared.fold_runs(place.thread);
    } else if (place.thread == 0) {
      parts[place.y * batch.blocks + place.x] = shared.fold_all();
    }
  }
};

struct SumImageBody {  // an image
  static constexpr int kThreads = Sums::kThreads, kPhases = 3;
  using Shared = Sums;
  struct State {};
  RegionBatch batch;
  const LossReport* scored;   // [image][block]
  const LossReport* squares;  // [the same]
  LossReport* images;

  template <int phase>
  DN_HD void run(const Place& place, State&, Shared& shared) const {
    const int n = place.x;
    if constexpr (phase == 0) {
      LossReport sums;
      for (int i = place.thread; i < batch.blocks; i += kThreads) sums += scored[n * batch.blocks + i], sums += squares[n * batch.blocks + i];
      for (int t = place.thread; t < batch.truths.count(n); t += kThreads) sums += batch.matches[batch.slot(n, t)];
      shared.of[place.thread] = sums;
    } else if constexpr (phase == 1) {
      shared.fold_runs(place.thread);
    } else if (place.thread == 0) {
      LossReport sums = shared.fold_all();
      sums.truths = batch.truths.count(n);
      sums.predictions = static_cast<int64_t>(batch.cells.rules.anchor_count) * static_cast<int64_t>(batch.cells.grid.plane());
      sums.cost = sums.total_loss = sums.iou_loss + sums.class_loss;
      images[n] = sums;
    }
  }
};

class RegionCudaKernel : public cuda::HeadKernel {
 public:
  RegionCudaKernel(const Region& layer, cuda::Device& device, const KernelArgs& args)
      : HeadKernel(device, args, forms_of(layer.rules()), layer.rules().max_truths, [&layer](int label) { return layer.rules().class_of(label); }),
        lists_(device),
        rules_(view_of(layer.rules())),
        grid_(region_grid(args.y.shape.w, args.y.shape.h)) {
    const RegionRules& rules = layer.rules();
    blocks_ = static_cast<int>(std::min<size_t>(kMostBlocks, (rules.mask.size() * grid_.plane() + Sums::kThreads - 1) / Sums::kThreads));
    std::vector<ClassTree::Group> groups = rules.tree.groups;
    if (!rules.has_tree() && rules.softmax) groups = {{0, rules.classes, -1}};
    rules_.anchors = lists_.put(rules.anchors);
    rules_.mask = lists_.put(rules.mask);
    rules_.parent = lists_.put(rules.tree.parent);
    rules_.group = lists_.put(rules.tree.group);
    groups_ = lists_.put(groups);
    rules_.groups = groups_;
    group_count_ = static_cast<int>(groups.size());
    if (args.training) prior_ = device.allocate(sizeof(int));
  }

  Needs needs() const override {
    Needs n = HeadKernel::needs();
    if (args_.training) n.forward_scratch = scratch().bytes;
    return n;
  }

  void prepare(const Io& io, const Pass& pass) override {
    HeadKernel::prepare(io, pass);
    if (!pass.training) return;
    const int prior = images_seen(pass, static_cast<size_t>(images_)) < kPriorImages;
    device_.stream().to_device(prior_->data(), &prior, sizeof prior);
  }

 private:
  struct Scratch {
    size_t places = 0, matches = 0, scored = 0, squares = 0, images = 0, bytes = 0;  // offsets
  };
  Scratch scratch() const {
    const size_t images = static_cast<size_t>(images_), slots = static_cast<size_t>(rules_.max_truths), blocks = static_cast<size_t>(blocks_);
    Scratch s;
    const auto take = [&](size_t bytes) {
      const size_t at = s.bytes;
      s.bytes += round_up(bytes, kAlignment);
      return at;
    };
    s.places = take(checked_product({images, slots, sizeof(int)}));
    s.matches = take(checked_product({images, slots, sizeof(LossReport)}));
    s.scored = take(images * blocks * sizeof(LossReport));
    s.squares = take(images * blocks * sizeof(LossReport));
    s.images = take(images * sizeof(LossReport));
    return s;
  }

  void activate_parts(const PlainView& y) const override {
    cuda::for_each(device_.stream(), static_cast<size_t>(images_ * rules_.anchor_count * group_count_) * y.plane(),
                   SoftmaxBody{y, rules_, groups_, group_count_});
  }

  void put_loss(const Io& io, const PlainView& y, const HeadTruths& truths, float* delta, LossReport* report) const override {
    cuda::Stream& stream = device_.stream();
    const Scratch s = scratch();
    const auto reports = [&](size_t offset) { return reinterpret_cast<LossReport*>(io.scratch + offset); };
    RegionBatch batch;
    batch.cells = {rules_, grid_, y.data, delta, nullptr, 0};
    batch.per_image = args_.y.shape.per_image();
    batch.truths = truths;
    batch.images = images_;
    batch.slots = rules_.max_truths;
    batch.blocks = blocks_;
    batch.prior = reinterpret_cast<const int*>(prior_->data());
    batch.places = reinterpret_cast<int*>(io.scratch + s.places);
    batch.matches = reports(s.matches);
    const size_t slots = static_cast<size_t>(images_) * static_cast<size_t>(batch.slots);
    stream.fill(delta, 0, args_.y.bytes());
    cuda::launch_blocks(stream, {blocks_, images_}, ScoreBody{batch, reports(s.scored)});
    cuda::for_each(stream, slots, PlaceBody{batch});
    cuda::for_each(stream, slots, AssignBody{batch});
    cuda::launch_blocks(stream, {blocks_, images_}, SquaresBody{batch, reports(s.squares)});
    cuda::launch_blocks(stream, {images_, 1}, SumImageBody{batch, reports(s.scored), reports(s.squares), reports(s.images)});
    cuda::for_each(stream, 1, cuda::MiniBatchReportBody{reports(s.images), static_cast<size_t>(images_), report});
  }

  cuda::DeviceLists lists_;
  RegionView rules_;  // lists on the device
  AnchorGrid grid_;
  int blocks_ = 1, group_count_ = 0;
  const ClassTree::Group* groups_ = nullptr;  // of softmax; none without one
  std::unique_ptr<DeviceMemory> prior_;
};

}  // namespace

std::unique_ptr<Kernel> Region::compile_cuda(const Region& layer, cuda::Device& device, const KernelArgs& args) {
  return std::make_unique<RegionCudaKernel>(layer, device, args);
}

}  // namespace dn
