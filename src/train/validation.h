// A validation list with its labels, and mean average precision over it, reported in the family's words.
#pragma once

#include <optional>

#include <nlohmann/json.hpp>

#include "config/data_file.h"
#include "data/dataset.h"
#include "train/evaluator.h"
#include "train/metrics.h"

namespace dn {

struct ValidationOptions {
  double confidence = .25;    // of precision, recall, F1, average IoU
  double iou_threshold = .5;  // a true positive overlaps by more
  int points = 0;             // 0: area under the curve; 11, 101: recall points
  bool letter_box = false;    // keep the images' aspect even where the cfg does not ask for it
  double hierarchy = .5;      // class trees: a node is entered while its probability is above this
};

class Validation {
 public:
  // Reads the labels of `valid` (and of `difficult`, when there is one) and the names. Throws Error when something is missing, no image has a
  // label, or the number of names is not the network's number of classes. A head with a class map is asked for the classes of the labels.
  Validation(const DataFile& data, const Head& head, const ValidationOptions& options);

  // Evaluates the network as it is, with thresholds .005 and NMS .45 as in the family. Ends early, with nothing, on SIGINT or SIGTERM.
  std::optional<MapReport> run(Network& network, Device& device) const;

  const Dataset& images() const { return images_; }
  const std::vector<std::string>& paths() const { return paths_; }
  const std::vector<TruthBox>& truths(size_t image) const { return truths_[image]; }
  std::span<const TruthBox> difficult(size_t image) const { return difficult_.empty() ? std::span<const TruthBox>{} : difficult_[image]; }
  const std::vector<std::string>& names() const { return names_; }
  // The family's lines, and AP@[.5:.95] beside them.
  std::vector<std::string> report(const MapReport& result) const;

 private:
  Dataset images_;
  std::vector<std::string> paths_, names_;
  std::vector<std::vector<TruthBox>> truths_, difficult_;  // per image
  ValidationOptions options_;
  std::vector<int> report_;                                // the head's class of each class of the labels; empty: the same
};

// The names of the classes in `report`, in its order; all when it is empty. Names are those of the head's classes.
std::vector<std::string> reported_names(std::vector<std::string> names, std::span<const int> report);

// Names of the .data file, exactly `classes` of them. Throws Error otherwise. When only the classes in `report` are asked for, the file may also hold
// just their names.
std::vector<std::string> class_names(const DataFile& data, int classes, std::span<const int> report = {});

// Half the machine helps with decoding at most; the network has the rest.
EvaluatorOptions evaluator_options(const Network& network, const Device& device, size_t images);
// With the thresholds by which the family writes results for benchmarks: probability .001, suppression .6.
EvaluatorOptions benchmark_options(const Network& network, const Device& device, size_t images);

}  // namespace dn
