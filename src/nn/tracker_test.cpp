#include "nn/tracker.h"

#include <gtest/gtest.h>

namespace dn {
namespace {

Detection seen(const std::vector<float>& embedding, float x, int class_id = 0) {
  Detection d;
  d.box = {x, .5f, .2f, .2f};
  d.objectness = .9f;
  d.prob.assign(2, 0);
  d.prob[static_cast<size_t>(class_id)] = .8f;
  d.embedding = embedding;
  return d;
}

std::vector<int64_t> numbers(Tracker& tracker, std::vector<Detection> frame) {
  tracker.next(frame);
  std::vector<int64_t> found;
  for (const Detection& d : frame) found.push_back(d.track);
  return found;
}

using Numbers = std::vector<int64_t>;

// Two objects change places: the embeddings say who is who, not the boxes and not the order.
TEST(tracker, objects_keep_their_numbers) {
  Tracker tracker({.similarity = .8f, .ciou_share = .01f});
  EXPECT_EQ(numbers(tracker, {seen({1, 0}, .2f), seen({0, 1}, .8f)}), (Numbers{1, 2}));
  EXPECT_EQ(numbers(tracker, {seen({.1f, 2}, .2f), seen({3, .1f}, .8f)}), (Numbers{2, 1}));
  EXPECT_EQ(numbers(tracker, {seen({-1, 0}, .5f)}), (Numbers{3}));
}

TEST(tracker, the_most_similar_pair_goes_first) {
  Tracker tracker({.similarity = .5f, .ciou_share = 0});
  EXPECT_EQ(numbers(tracker, {seen({1, 0}, .2f)}), (Numbers{1}));
  EXPECT_EQ(numbers(tracker, {seen({1, .5f}, .2f), seen({1, .1f}, .8f)}), (Numbers{2, 1}));
}

TEST(tracker, boxes_decide_as_far_as_they_are_asked) {
  const std::vector<Detection> frame{seen({1, 0}, .8f), seen({1, 0}, .2f)};
  Tracker boxes({.similarity = .3f, .ciou_share = .5f}), none({.similarity = .3f, .ciou_share = 0});
  for (Tracker* tracker : {&boxes, &none}) EXPECT_EQ(numbers(*tracker, {seen({1, 0}, .2f)}), (Numbers{1}));
  EXPECT_EQ(numbers(boxes, frame), (Numbers{2, 1}));
  EXPECT_EQ(numbers(none, frame), (Numbers{1, 2}));  // equal similarities
}

TEST(tracker, another_class_is_another_object) {
  Tracker tracker({});
  EXPECT_EQ(numbers(tracker, {seen({1, 0}, .2f, 0)}), (Numbers{1}));
  EXPECT_EQ(numbers(tracker, {seen({1, 0}, .2f, 1)}), (Numbers{2}));
}

TEST(tracker, remembers_for_history_frames) {
  for (const auto& [gap, expected] : {std::pair(2, 1), std::pair(3, 2)}) {
    Tracker tracker({.history = 3});
    EXPECT_EQ(numbers(tracker, {seen({1, 0}, .2f)}), (Numbers{1}));
    std::vector<Detection> nothing;
    for (int i = 0; i < gap; ++i) tracker.next(nothing);
    EXPECT_EQ(numbers(tracker, {seen({1, 0}, .2f)}), (Numbers{expected})) << gap;
    EXPECT_EQ(tracker.tracks(), 1u);
  }
}

TEST(tracker, sightings_before_a_number_and_before_it_is_shown) {
  Tracker tracker({.frames_to_track = 2, .frames_to_show = 3});
  for (int frame = 1; frame <= 4; ++frame) {
    std::vector<Detection> found{seen({1, 0}, .2f)};
    tracker.next(found);
    EXPECT_EQ(found[0].track, frame < 2 ? 0 : 1) << frame;
    EXPECT_EQ(found[0].prob[0] > 0, frame >= 3) << frame;
  }
}

TEST(tracker, what_has_no_embedding_or_probability_is_left_alone) {
  Tracker tracker({.frames_to_show = 5});
  std::vector<Detection> frame{seen({}, .2f), seen({1, 0}, .4f)};
  frame[1].prob = {0, 0};
  tracker.next(frame);
  EXPECT_EQ(frame[0].track, 0);
  EXPECT_EQ(frame[0].prob[0], .8f);
  EXPECT_EQ(tracker.tracks(), 0u);
}

TEST(tracker, embeddings_come_from_their_cells_in_every_layout) {
  const Shape shape{2, 6, 2, 3};  // two anchors with three channels each
  for (const int block : {1, 8, 16}) {
    const TensorDesc desc{shape, block};
    std::vector<float> v(desc.count(), -1);
    const Tensor t{desc, v.data()};
    for (int n = 0; n < shape.n; ++n)
      for (int c = 0; c < shape.c; ++c)
        for (int y = 0; y < shape.h; ++y)
          for (int x = 0; x < shape.w; ++x) t.at(n, c, y, x) = static_cast<float>(1000 * n + 100 * c + 10 * y + x);
    std::vector<Detection> found(2);
    found[0].anchor = 1, found[0].cell = 5;
    found[1].anchor = 0, found[1].cell = 1;
    take_embeddings(t, 1, 2, found);
    EXPECT_EQ(found[0].embedding, (std::vector<float>{1312, 1412, 1512}));
    EXPECT_EQ(found[1].embedding, (std::vector<float>{1001, 1101, 1201}));
  }
}

}  // namespace
}  // namespace dn
