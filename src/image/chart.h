// The training chart as a PNG: loss and its average on the left axis, mAP in percent on the right one, over the iterations.
#pragma once

#include <string>
#include <vector>

#include "base/files.h"
#include "image/canvas.h"

namespace dn {

struct ChartData {
  std::string title;
  int max_iterations = 0;                 // right end of the x axis; 0: the last point
  double max_loss = 0;                    // top of the left axis (max_chart_loss); 0: from the data
  std::vector<Point> loss, average_loss;  // x = iteration
  std::vector<Point> map;                 // y = 0..1
  std::vector<Point> learning_rate;       // optional: a thin line without an axis, its last value in the legend
};

// 1000 x 700 pixels, written atomically. Points that are not finite are left out; a loss that is not finite at the end is named in the heading.
void draw_chart(const fs::path& path, const ChartData& data);
Image render_chart(const ChartData& data);

}  // namespace dn
