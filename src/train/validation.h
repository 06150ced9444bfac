// A validation list with its labels, and mAP over it.
#pragma once

#include <optional>

#include "data/dataset.h"
#include "train/evaluator.h"
#include "train/metrics.h"

namespace dn {

struct ValidationOptions {
  float confidence = .25f;      // of precision, recall, F1, average IoU
  float iou_threshold = .5f;    // a true positive overlaps by more
  int points = 0;               // 0: area under the curve; 11, 101: recall points
  EvaluatorOptions evaluator;
};

class Validation {
 public:
  // `difficult`: list parallel to `list` whose labels are neither found nor missed; empty: none. `names`: one per class.
  Validation(const fs::path& list, const fs::path& difficult, std::vector<std::string> names, ValidationOptions options);
  // Evaluates the network as it is and prints the family's report. Stops early (and returns nothing) on SIGINT or SIGTERM.
  std::optional<MapReport> run(Network& network, cpu::Device& device) const;
  const Dataset& images() const { return images_; }

 private:
  Dataset images_;
  std::optional<Dataset> difficult_;
  std::vector<std::string> names_;
  ValidationOptions options_;
};

// The family's lines for a report.
std::vector<std::string> map_lines(const MapReport& report, const std::vector<std::string>& names, const ValidationOptions& options, double seconds);

// Detections and labels of a validation list under their common name, `labels` being the images' (Error when a label file cannot be read).
std::vector<TruthBox> validation_truth(const Dataset& images, size_t index, int classes);

}  // namespace dn
