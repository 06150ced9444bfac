#include "nn/tracker.h"

#include <algorithm>
#include <cmath>

namespace dn {
namespace {

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return -1;  // of different heads
  double dot = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double p = static_cast<double>(a[i]), q = static_cast<double>(b[i]);
    dot += p * q, aa += p * p, bb += q * q;
  }
  return aa > 0 && bb > 0 ? dot / std::sqrt(aa * bb) : 0;
}

// The most probable class; -1: none has a probability.
int class_of(const Detection& detection) {
  const auto best = std::max_element(detection.prob.begin(), detection.prob.end());
  return best == detection.prob.end() || !(*best > 0) ? -1 : static_cast<int>(best - detection.prob.begin());
}

struct Pair {
  double similarity;
  size_t track, detection;
};

}  // namespace

double Tracker::similarity(const Track& track, const Detection& detection) const {
  const double share = static_cast<double>(rules_.ciou_share);
  return (1 - share) * cosine(track.embedding, detection.embedding) + share * static_cast<double>(ciou(detection.box, track.box));
}

void Tracker::see(Track& track, int class_id, Detection& detection) {
  track.class_id = class_id;
  track.box = detection.box;
  track.embedding = detection.embedding;
  track.last_seen = frame_;
  ++track.sightings;
  if (track.number == 0 && track.sightings >= rules_.frames_to_track) track.number = ++numbers_;
  detection.track = track.number;
  if (track.sightings < rules_.frames_to_show) std::ranges::fill(detection.prob, 0.f);
}

void Tracker::next(std::vector<Detection>& detections) {
  ++frame_;
  std::erase_if(tracks_, [&](const Track& track) { return frame_ - track.last_seen > rules_.history; });
  std::vector<int> classes;
  for (const Detection& detection : detections) classes.push_back(detection.embedding.empty() ? -1 : class_of(detection));
  std::vector<Pair> pairs;
  for (size_t d = 0; d < detections.size(); ++d)
    for (size_t t = 0; t < tracks_.size() && classes[d] >= 0; ++t) {
      if (tracks_[t].class_id != classes[d]) continue;
      const double value = similarity(tracks_[t], detections[d]);
      if (value > static_cast<double>(rules_.similarity)) pairs.push_back({value, t, d});
    }
  std::ranges::stable_sort(pairs, [](const Pair& a, const Pair& b) { return a.similarity > b.similarity; });
  std::vector<bool> continued(tracks_.size(), false), known(detections.size(), false);
  for (const Pair& pair : pairs) {
    if (continued[pair.track] || known[pair.detection]) continue;
    continued[pair.track] = known[pair.detection] = true;
    see(tracks_[pair.track], classes[pair.detection], detections[pair.detection]);
  }
  for (size_t d = 0; d < detections.size(); ++d)
    if (classes[d] >= 0 && !known[d]) see(tracks_.emplace_back(), classes[d], detections[d]);
}

}  // namespace dn
