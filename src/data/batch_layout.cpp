#include "data/batch_layout.h"

#include <algorithm>

#include "base/error.h"
#include "base/log.h"
#include "config/net_spec.h"

namespace dn {
namespace {

int mini_batch_of(const BatchLayout& layout, int batch) { return layout.mini_batch > 0 ? std::min(layout.mini_batch, batch) : batch; }
int sequences_of(const BatchLayout& layout, int mini_batch) {
  ensure(mini_batch % layout.time_steps == 0, "a mini-batch holds whole sequences");
  return mini_batch / layout.time_steps;
}

}  // namespace

BatchLayout make_batch_layout(const NetSpec& net) {
  BatchLayout layout;
  layout.mini_batch = net.mini_batch();
  layout.track = net.track;
  layout.time_steps = net.time_steps;
  if (net.track) {
    layout.chain = net.chain;
    layout.max_speed = net.augment_speed;
  }
  layout.contrastive = net.contrastive && !net.track;
  if (net.contrastive && net.track) log::warn(concat(net.section.where(), ": contrastive has no pairs with track = 1: every sequence is different"));
  layout.own_crop = net.contrastive_jit_flip;
  layout.own_colour = net.contrastive_color;
  return layout;
}

SamplePlace place_of(const BatchLayout& layout, int batch, int index) {
  ensure(index >= 0 && index < batch, "a sample lies within its batch");
  const int size = mini_batch_of(layout, batch), part = index / size, s = index % size;
  const auto self = static_cast<uint64_t>(index);
  if (layout.track) {
    const int sequences = sequences_of(layout, size);
    const FramePlace frame = frame_place(index, size, layout.time_steps);
    const int q = frame.sequence % sequences;
    const int first_part = part / layout.chain * layout.chain;
    const auto first = static_cast<uint64_t>(first_part * size + q);
    const auto sequence = static_cast<uint64_t>(part / layout.chain * sequences + q);
    return {sequence, (part - first_part) * layout.time_steps + frame.step, first, first, first};
  }
  if (layout.contrastive) {
    const auto first = self - static_cast<uint64_t>(s % 2);
    const auto pair = static_cast<uint64_t>(part * ((size + 1) / 2) + s / 2);
    return {pair, 0, self, layout.own_crop ? self : first, layout.own_colour ? self : first};
  }
  return {self, 0, self, self, self};
}

uint64_t groups_of(const BatchLayout& layout, int batch) {
  const int size = mini_batch_of(layout, batch), parts = (batch + size - 1) / size;
  if (layout.track) return static_cast<uint64_t>((parts + layout.chain - 1) / layout.chain * sequences_of(layout, size));
  if (layout.contrastive) return static_cast<uint64_t>(parts * ((size + 1) / 2));
  return static_cast<uint64_t>(batch);
}

}  // namespace dn
