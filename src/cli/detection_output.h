// Detections as the family prints, writes and draws them.
#pragma once

#include <nlohmann/json.hpp>

#include "image/draw.h"
#include "nn/tracker.h"
#include "train/evaluator.h"

namespace dn::cli {

using Names = std::vector<std::string>;

bool hidden(const std::string& name);  // a class whose name begins with dont_show

// "name: NN%" lines by left edge, further classes of a box above the threshold on lines of their own; with `extended` the box in pixels behind it.
std::vector<std::string> detection_lines(const ImageDetections& image, const Names& names, float threshold, bool extended);

// {"frame_id": 1, "filename": ..., "objects": [{"class_id", "name", "relative_coordinates", "confidence"}]}, with "track_id" for what is tracked
nlohmann::ordered_json detection_json(const ImageDetections& image, const std::string& path, const Names& names, float threshold);

std::vector<DrawItem> draw_items(const ImageDetections& image, const Names& names, float threshold);

// Rows `class cx cy w h` with 4 decimals; the most probable class of each box.
std::string label_rows(const ImageDetections& image, const Names& names, float threshold);

// For -track: by the rules of the last head that has some. Throws Error when none has.
Tracker make_tracker(const Network& network);

}  // namespace dn::cli
