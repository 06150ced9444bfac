// What a run says while it trains, for people, for the log scrapers written for the family, and for machines.
//
//   stdout  ` <it>: <loss>, <avg> avg loss, <rate> rate, <s> seconds, <images> images, <h> hours left`, one line per iteration; on a terminal a live
//           line is redrawn in place instead and the classic line appears every 100 iterations
//   file    metrics.jsonl: one object per line, `"event"` says which: start, iteration, map, save, resize, skipped, bad_sample, rejection, end
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "base/files.h"
#include "nn/kernel.h"
#include "nn/label_rejection.h"

namespace dn {

struct HeadNumbers {
  int layer = 0;
  LossReport sum;  // over the batch
};

struct IterationNumbers {
  int64_t iteration = 0;  // updates done, this one included
  double loss = 0, average_loss = 0, rate = 0;
  double seconds = 0;    // of the training step; without the wait for data
  double load_wait = 0;  // seconds waited for the loader
  int64_t images = 0;    // seen so far
  int batch = 0, width = 0, height = 0;
  double gradient_norm = 0;
  bool skipped = false;  // the update was left out
  std::vector<HeadNumbers> heads;
};

// The classic line, first tokens and wording exactly as the family's.
std::string classic_line(const IterationNumbers& n, double hours_left);

// Family's estimate: the first value as it comes, then 1 % of each new one; in hours.
class TimeLeft {
 public:
  double update(int64_t iterations_left, double seconds_per_iteration);

 private:
  double hours_ = -1;
};

// Loss averaged as the family does: the first value, then 0.9 old + 0.1 new; values that are not finite are left out.
class AverageLoss {
 public:
  double update(double loss);
  void start_from(double value) {
    value_ = value;
    set_ = true;
  }

 private:
  double value_ = 0;
  bool set_ = false;
};

class MetricsFile {
 public:
  // Appends; every object gets "run": name. Throws Error when the file cannot be opened.
  MetricsFile(fs::path path, std::string name);
  ~MetricsFile();
  MetricsFile(const MetricsFile&) = delete;
  MetricsFile& operator=(const MetricsFile&) = delete;
  // One line in one write. NaN and infinity become null. A full disk is one warning, not the end of the run.
  void write(std::string_view event, nlohmann::ordered_json object);
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  std::string name_;
  int descriptor_ = -1;
};

nlohmann::ordered_json to_json(const IterationNumbers& n);
// The "rejection" line: what labels are left out by from now on, and how many entries of this batch's gradients were.
nlohmann::ordered_json rejection_event(const LabelRejection::State& state, const DeltaSums& batch, int64_t iteration);

// What earlier sessions of this run left in metrics.jsonl, up to and including `iteration`: a resumed chart starts with it and _best is not
// overwritten by a worse first mAP. Lines that do not parse are left out.
struct RunHistory {
  struct Sample {
    int64_t iteration;
    double value;
  };
  std::vector<Sample> loss, average_loss, map, rate;
  double best_map = -1;
  int64_t best_iteration = 0;
  std::optional<LabelRejection::State> rejection;   // after the last of these iterations that has one
};
RunHistory read_history(const fs::path& metrics, const std::string& name, int64_t iteration);

}  // namespace dn
