// Numbers the objects of successive frames through what an embedding layer says of them, for heads that have one (embedding_layer of [yolo]).
//
//   similarity of a detection and a track of its class = (1 - ciou_share) cosine of their embeddings + ciou_share CIoU of their boxes
//
// Pairs above TrackRules::similarity are joined, the most similar first, each detection and each track once; the track's box and embedding are those of
// its last sighting. A detection without a track begins one; a track that was not seen for more than `history` frames ends. Only the most probable class
// of a detection counts. Nothing here depends on the order of the detections except between equal similarities, where the earlier one goes first.
#pragma once

#include <vector>

#include "nn/detection.h"

namespace dn {

class Tracker {
 public:
  explicit Tracker(const TrackRules& rules) : rules_(rules) {}
  // Of the next frame, after non-maximum suppression. Sets Detection::track of objects seen in frames_to_track frames (1, 2, ... in the order in which
  // they got there); those not yet seen in frames_to_show frames lose their probabilities. Detections without embedding or probability stay as they are.
  void next(std::vector<Detection>& detections);
  size_t tracks() const { return tracks_.size(); }

 private:
  struct Track {
    int64_t number = 0;  // 0: none yet
    int class_id = 0;
    Box box;
    std::vector<float> embedding;
    int64_t last_seen = 0, sightings = 0;
  };
  double similarity(const Track& track, const Detection& detection) const;
  void see(Track& track, int class_id, Detection& detection);

  TrackRules rules_;
  std::vector<Track> tracks_;  // oldest first
  int64_t frame_ = 0, numbers_ = 0;
};

}  // namespace dn
