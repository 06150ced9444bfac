// The points of the training chart, kept small however long the run, and the files they become: chart.png and chart_NAME.png.
#pragma once

#include "image/chart.h"
#include "train/iteration_log.h"

namespace dn {

// At most kMostPoints points: when full, every second one goes and from then on only every second one comes in.
class Curve {
 public:
  static constexpr size_t kMostPoints = 8192;
  void add(double x, double y);
  const std::vector<Point>& points() const { return points_; }

 private:
  std::vector<Point> points_;
  int64_t stride_ = 1, offered_ = 0;
};

class RunChart {
 public:
  RunChart(fs::path folder, std::string name, int64_t max_iterations, double max_loss);
  void start_from(const RunHistory& history);
  void add(const IterationNumbers& n);
  void add_map(int64_t iteration, double map);
  // A folder that cannot be written is one warning.
  void draw() const;
  fs::path file() const { return (folder_ / "chart.png").lexically_normal(); }

 private:
  fs::path folder_;
  std::string name_;
  int64_t max_iterations_;
  double max_loss_;
  Curve loss_, average_, rate_;
  std::vector<Point> map_;
};

}  // namespace dn
