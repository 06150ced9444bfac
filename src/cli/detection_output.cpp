#include "cli/detection_output.h"

#include <algorithm>

#include "base/text.h"

namespace dn::cli {
namespace {

// The visible class with the highest probability above the threshold; -1: none.
int best_class(const Detection& d, const Names& names, float threshold) {
  int best = -1;
  for (size_t c = 0; c < d.prob.size(); ++c)
    if (d.prob[c] > threshold && !hidden(names[c]) && (best < 0 || d.prob[c] > d.prob[static_cast<size_t>(best)])) best = static_cast<int>(c);
  return best;
}

std::vector<const Detection*> by_left_edge(const ImageDetections& image) {
  std::vector<const Detection*> sorted;
  for (const Detection& d : image.detections) sorted.push_back(&d);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Detection* a, const Detection* b) { return a->box.x - a->box.w / 2 < b->box.x - b->box.w / 2; });
  return sorted;
}

// " (object 3)"; empty without a track.
std::string track_text(const Detection& d) { return d.track > 0 ? concat(" (object ", d.track, ")") : std::string(); }

std::string pixels(double value) {
  std::string text = fixed(value, 0);
  if (text.size() < 4) text.insert(0, 4 - text.size(), ' ');
  return text;
}

std::string box_text(const Box& box, int width, int height) {
  const double w = static_cast<double>(box.w) * width, h = static_cast<double>(box.h) * height;
  return concat("\t(left_x: ", pixels(static_cast<double>(box.x) * width - w / 2), "   top_y: ", pixels(static_cast<double>(box.y) * height - h / 2),
                "   width: ", pixels(w), "   height: ", pixels(h), ")");
}

}  // namespace

bool hidden(const std::string& name) { return name.starts_with("dont_show"); }

std::vector<std::string> detection_lines(const ImageDetections& image, const Names& names, float threshold, bool extended) {
  std::vector<std::string> lines;
  for (const Detection* d : by_left_edge(image)) {
    const int best = best_class(*d, names, threshold);
    if (best < 0) continue;
    const auto line = [&](size_t c) {
      return concat(names[c], ": ", fixed(100 * static_cast<double>(d->prob[c]), 0), "%", track_text(*d),
                    extended ? box_text(d->box, image.width, image.height) : "");
    };
    lines.push_back(line(static_cast<size_t>(best)));
    for (size_t c = 0; c < d->prob.size(); ++c)
      if (static_cast<int>(c) != best && d->prob[c] > threshold && !hidden(names[c])) lines.push_back(line(c));
  }
  return lines;
}

nlohmann::ordered_json detection_json(const ImageDetections& image, const std::string& path, const Names& names, float threshold) {
  nlohmann::ordered_json objects = nlohmann::ordered_json::array();
  for (const Detection& d : image.detections)
    for (size_t c = 0; c < d.prob.size(); ++c) {
      if (d.prob[c] <= threshold || hidden(names[c])) continue;
      objects.push_back({{"class_id", c},
                         {"name", names[c]},
                         {"relative_coordinates", {{"center_x", d.box.x}, {"center_y", d.box.y}, {"width", d.box.w}, {"height", d.box.h}}},
                         {"confidence", d.prob[c]}});
      if (d.track > 0) objects.back()["track_id"] = d.track;
    }
  nlohmann::ordered_json frame = {{"frame_id", image.index + 1}, {"filename", path}, {"objects", std::move(objects)}};
  if (!image.error.empty()) frame["error"] = image.error;
  return frame;
}

std::vector<DrawItem> draw_items(const ImageDetections& image, const Names& names, float threshold) {
  std::vector<DrawItem> items;
  for (const Detection& d : image.detections)
    if (const int best = best_class(d, names, threshold); best >= 0)
      items.push_back({d.box, names[static_cast<size_t>(best)] + track_text(d), d.prob[static_cast<size_t>(best)], best});
  return items;
}

std::string label_rows(const ImageDetections& image, const Names& names, float threshold) {
  std::string text;
  for (const Detection& d : image.detections)
    if (const int best = best_class(d, names, threshold); best >= 0)
      text += concat(best, " ", fixed(static_cast<double>(d.box.x), 4), " ", fixed(static_cast<double>(d.box.y), 4), " ",
                     fixed(static_cast<double>(d.box.w), 4), " ", fixed(static_cast<double>(d.box.h), 4), "\n");
  return text;
}

Tracker make_tracker(const Network& network) {
  const TrackRules* rules = nullptr;
  for (const Head* head : network.heads())
    if (head->tracking()) rules = head->tracking();
  if (!rules) fail(network.file(), ": -track: no [yolo] has an embedding_layer; expected one whose output tells objects apart");
  return Tracker(*rules);
}

}  // namespace dn::cli
