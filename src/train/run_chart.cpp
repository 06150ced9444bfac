#include "train/run_chart.h"

#include "base/log.h"

namespace dn {

void Curve::add(double x, double y) {
  if (offered_++ % stride_ != 0) return;
  points_.push_back({x, y});
  if (points_.size() < kMostPoints) return;
  for (size_t i = 0; i < points_.size() / 2; ++i) points_[i] = points_[2 * i];
  points_.resize(points_.size() / 2);
  stride_ *= 2;
}

RunChart::RunChart(fs::path folder, std::string name, int64_t max_iterations, double max_loss)
    : folder_(std::move(folder)), name_(std::move(name)), max_iterations_(max_iterations), max_loss_(max_loss) {}

void RunChart::start_from(const RunHistory& history) {
  for (const auto& s : history.loss) loss_.add(static_cast<double>(s.iteration), s.value);
  for (const auto& s : history.average_loss) average_.add(static_cast<double>(s.iteration), s.value);
  for (const auto& s : history.rate) rate_.add(static_cast<double>(s.iteration), s.value);
  for (const auto& s : history.map) add_map(s.iteration, s.value);
}

void RunChart::add(const IterationNumbers& n) {
  const double x = static_cast<double>(n.iteration);
  loss_.add(x, n.loss);
  average_.add(x, n.average_loss);
  rate_.add(x, n.rate);
}

void RunChart::add_map(int64_t iteration, double map) { map_.push_back({static_cast<double>(iteration), map}); }

void RunChart::draw() const {
  ChartData data;
  data.title = name_;
  data.max_iterations = static_cast<int>(max_iterations_);
  data.max_loss = max_loss_;
  data.loss = loss_.points();
  data.average_loss = average_.points();
  data.learning_rate = rate_.points();
  data.map = map_;
  try {
    draw_chart(file(), data);
    draw_chart(folder_ / concat("chart_", name_, ".png"), data);
  } catch (const Error& e) {
    log::warn(concat("no chart: ", e.what()));
  }
}

}  // namespace dn
