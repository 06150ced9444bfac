// What is kept and what is computed again, without kernels: whatever is kept, everything that is read is there; the search finds cheap plans.
#include "graph/recompute.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace dn {
namespace {

// A network with the needs that its kernels would have, in plain numbers.
struct Compiled {
  Network network;
  Wiring wiring;
  std::vector<Shape> shapes;
  Slices slices;
  std::vector<TensorDesc> descs;
  std::vector<Needs> needs;
  std::vector<double> operations;
  Shape input;

  Compiled(Network net, int images) : network(std::move(net)), wiring(wire(network, true, 0)), input(network.input(images)) {
    shapes = network.output_shapes(input);
    slices = place_slices(network, shapes, {.training = true, .enabled = true, .block = 16, .sums = true}, wiring);
    for (const auto& layer : network.layers()) {
      const std::vector<Shape> in = network.source_shapes(layer->index(), input, shapes);
      const TensorDesc y{shapes[static_cast<size_t>(layer->index())], layer->writes_plain() ? 1 : 16};
      Needs need;
      if (layer->type() == "convolutional") {
        need.x_in_backward = true;
        need.forward_scratch = need.backward_scratch = 1000;
        need.saved = {y.bytes(), 256};
        need.saved_once = need.output_phase = 1;
      } else if (layer->type() == "maxpool") {
        need.saved = {y.bytes() / 4};
      } else if (layer->type() == "shortcut") {
        need.y_in_backward = !layer->is_sum(in);
      } else if (layer->has_loss()) {
        need.saved = {y.bytes()};
      }
      descs.push_back(y);
      needs.push_back(need);
      operations.push_back(layer->forward_flops(in));
    }
  }
  PlanFacts facts() const { return {network, wiring, slices, descs, {input, 1}, needs, operations, true, false}; }
};

std::string small_net() {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=3\npad=1\nactivation=leaky\nfilters=";
  const std::string yolo = "[convolutional]\nsize=1\nfilters=14\nactivation=linear\n[yolo]\nmask=0,1\nanchors=4,5, 9,8\nclasses=2\nnum=2\nmax=10\n";
  return "[net]\nbatch=4\nwidth=64\nheight=64\nchannels=3\n"
         + conv + "32\n"                                             // 0
         + "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"              // 1
         + conv + "16\n" + conv + "16\n"                             // 2, 3
         + "[route]\nlayers=-1,-2\n"                                 // 4: takes 3 in
         + "[shortcut]\nfrom=0\nactivation=leaky\n"                  // 5
         + "[maxpool]\nsize=2\nstride=2\n"                           // 6
         + conv + "64\n" + yolo                                      // 7; 8, 9
         + "[route]\nlayers=7\n[upsample]\nstride=2\n"               // 10: a view; 11
         + "[route]\nlayers=-1,5\n" + conv + "32\n" + yolo;          // 12; 13; 14, 15
}

// Two sums that the convolution before them finishes, the second of a chain.
std::string residual_net() {
  const std::string conv = "[convolutional]\nbatch_normalize=1\nsize=3\npad=1\nactivation=leaky\nfilters=32\n", sum = "[shortcut]\nactivation=linear\nfrom=-3\n";
  return "[net]\nbatch=4\nwidth=64\nheight=64\nchannels=3\n" + conv + conv + conv + sum + conv + conv + sum + conv +   // 0..7
         "[convolutional]\nsize=1\nfilters=14\nactivation=linear\n[yolo]\nmask=0,1\nanchors=4,5, 9,8\nclasses=2\nnum=2\nmax=10\n";
}

// Goes through the events and asks of each tensor that is read whether its buffer is alive and was written, in this order.
void expect_everything_is_there(const PlanFacts& facts, const Keep& keep) {
  const StepOrder time(facts, keep);
  const Lifetimes life = plan_lifetimes(facts, keep, time);
  const auto alive = [&](int buffer, int moment) {
    return buffer >= 0 && life.requests[static_cast<size_t>(buffer)].first <= moment && moment <= life.requests[static_cast<size_t>(buffer)].last;
  };
  const auto expect_output = [&](int layer, int moment) {
    const int home = facts.home(layer);
    const LayerBuffers& b = life.layers[static_cast<size_t>(home)];
    EXPECT_TRUE(alive(b.late.y, moment)) << "output " << layer << " at " << moment;
    if (b.late.y != b.now.y) {
      EXPECT_TRUE(time.again(layer) >= 0 && time.again(layer) < moment && alive(b.late.y, time.again(layer))) << "output " << layer << " at " << moment;
    } else {
      EXPECT_TRUE(alive(b.now.y, time.forward(layer))) << layer;
    }
  };
  const auto expect_sources = [&](int layer, int moment) {
    for (const int source : facts.wiring.sources[static_cast<size_t>(layer)])
      if (const int root = facts.wiring.root_of(source); root != kNetworkInput) expect_output(root, moment);
  };
  for (int i = 0; i < facts.count(); ++i)
    if (const int other = facts.residual(i); other != kNetworkInput) {
      EXPECT_TRUE(alive(life.layers[static_cast<size_t>(facts.home(other))].now.y, time.forward(i))) << "output " << other << " for the sum in " << i;
    }
  std::vector<int> runs(facts.outputs.size(), 0);
  for (size_t e = 0; e < time.events().size(); ++e) {
    const Event& event = time.events()[e];
    const int moment = 1 + facts.count() + static_cast<int>(e);
    const Needs& need = facts.needs[static_cast<size_t>(event.layer)];
    const LayerBuffers& b = life.layers[static_cast<size_t>(event.layer)];
    for (const int saved : b.late.saved) EXPECT_TRUE(alive(saved, moment)) << event.layer;
    if (event.again) {
      EXPECT_EQ(++runs[static_cast<size_t>(event.layer)], 1) << "layer " << event.layer << " is computed again twice";
      if (event.from == 0) expect_sources(event.layer, moment);
      if (const int other = facts.residual(event.layer); event.output && other != kNetworkInput) expect_output(other, moment);
      EXPECT_TRUE(!event.output || alive(life.layers[static_cast<size_t>(facts.home(event.layer))].late.y, moment)) << event.layer;
      EXPECT_TRUE(event.from == 0 || b.late.saved == b.now.saved) << event.layer;
      continue;
    }
    if (need.x_in_backward) expect_sources(event.layer, moment);
    if (need.y_in_backward) expect_output(event.layer, moment);
    EXPECT_TRUE(b.late.saved == b.now.saved || runs[static_cast<size_t>(event.layer)] == 1) << event.layer;
  }
}

void expect_everything_is_there_whatever_is_kept(const PlanFacts& facts) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rng rng(seed, RandomUse::test);
    Keep keep(facts);
    for (auto* bits : {&keep.saved, &keep.output})
      for (size_t i = 0; i < bits->size(); ++i) (*bits)[i] = rng.below(2) == 0;
    SCOPED_TRACE(seed);
    expect_everything_is_there(facts, keep);
  }
}

TEST(step_order, whatever_is_kept_everything_that_is_read_is_there) {
  const Compiled compiled(Network::from_text(small_net()), 4);
  const PlanFacts facts = compiled.facts();
  ASSERT_EQ(facts.home(3), 4);
  expect_everything_is_there_whatever_is_kept(facts);
}

TEST(step_order, what_is_added_to_an_output_is_there) {
  const Compiled compiled(Network::from_text(residual_net()), 4);
  const PlanFacts facts = compiled.facts();
  ASSERT_EQ(facts.residual(2), 0);
  ASSERT_EQ(facts.residual(5), 3);
  expect_everything_is_there_whatever_is_kept(facts);
}

TEST(step_order, nothing_is_computed_again_that_is_kept) {
  const Compiled compiled(Network::from_text(small_net()), 4);
  const PlanFacts facts = compiled.facts();
  const StepOrder all(facts, Keep(facts));
  for (const Event& event : all.events()) EXPECT_FALSE(event.again) << event.layer;
  // z at hand: the convolution is not run, only what follows it.
  Keep light(facts);
  std::fill(light.output.begin(), light.output.end(), false);
  const StepOrder sweeps(facts, light);
  for (const Event& event : sweeps.events()) {
    const bool normalized = facts.needs[static_cast<size_t>(event.layer)].output_phase > 0;
    EXPECT_TRUE(!event.again || !normalized || event.from == 1) << event.layer;
  }
}

TEST(recompute, every_budget_that_can_be_met_is) {
  const Compiled compiled(Network::from_text(small_net()), 4);
  const PlanFacts facts = compiled.facts();
  const RecomputeSearch search(facts);
  const size_t least = search.smallest().bytes, all = plan_memory(plan_lifetimes(facts, Keep(facts), StepOrder(facts, Keep(facts))).requests).bytes;
  EXPECT_LT(least, all / 3 * 2);
  EXPECT_FALSE(search.within(least - 1));
  for (size_t budget = least; budget < all; budget += (all - least) / 16) {
    const auto found = search.within(budget);
    ASSERT_TRUE(found) << budget;
    EXPECT_LE(found->bytes, budget);
    EXPECT_LE(found->operations, search.smallest().operations) << budget;
  }
  EXPECT_EQ(search.within(all)->operations, 0);
  EXPECT_EQ(search.within(all)->segments, 0);
}

TEST(recompute, more_segments_never_need_more_memory_and_the_search_is_deterministic) {
  const Compiled compiled(Network::from_text(small_net()), 4);
  const PlanFacts facts = compiled.facts();
  const RecomputeSearch search(facts), other(facts);
  size_t before = SIZE_MAX;
  for (int segments = 1; segments <= RecomputeSearch::kMostSegments; ++segments) {
    const Recompute found = search.smallest(segments), same = other.smallest(segments);
    EXPECT_LE(found.segments, segments);
    EXPECT_LE(found.bytes, before);
    EXPECT_EQ(found.keep.saved, same.keep.saved);
    EXPECT_EQ(found.keep.output, same.keep.output);
    before = found.bytes;
  }
}

// 64 images of 416 x 416 through networks that people train: half the memory is free but for sweeps, a third costs little.
TEST(recompute, whole_batches_of_known_networks) {
  for (const char* name : {"yolov4-tiny", "yolov3"}) {
    const Compiled compiled(Network::from_cfg(fs::path(DN_SOURCE_DIR) / "cfg" / concat(name, ".cfg")), 64);
    const PlanFacts facts = compiled.facts();
    const RecomputeSearch search(facts);
    const size_t all = plan_memory(plan_lifetimes(facts, Keep(facts), StepOrder(facts, Keep(facts))).requests).bytes;
    const auto half = search.within(all / 10 * 7), third = search.within(all / 2);
    ASSERT_TRUE(half && third) << name;
    EXPECT_LT(share_of_step(facts, half->operations), .005) << name;
    EXPECT_LT(share_of_step(facts, third->operations), .04) << name;
    EXPECT_LT(search.smallest().bytes, all / 20 * 9) << name;
  }
}

}  // namespace
}  // namespace dn
