// detector train: options into a Trainer, or, with -check cpu, into a comparison of the GPU with the CPU. What is wrong with the input ends with 2, what
// goes wrong during the run with 1.
#include <algorithm>
#include <charconv>
#include <iostream>

#include "base/log.h"
#include "cli/common.h"
#include "cli/text_table.h"
#include "train/device_check.h"
#include "train/trainer.h"

namespace dn::cli {
namespace {

constexpr int kShownSamples = 36;

std::string short_number(double value) {
  char text[32];
  return value == 0 ? "0" : std::string(text, std::to_chars(text, text + sizeof text, value, std::chars_format::scientific, 1).ptr);
}

std::vector<std::string> error_row(const DeviceCheck::Row& row) {
  const ErrorHistogram& errors = row.errors;
  std::vector<std::string> cells = {concat(row.layer, " ", row.type, " ", row.name), short_number(errors.distance()), short_number(errors.largest())};
  for (const int64_t count : errors.counts())
    cells.push_back(count == 0 ? "" : fixed(100 * static_cast<double>(count) / static_cast<double>(errors.elements()), 2));
  cells.push_back(errors.not_finite() > 0 ? concat(errors.not_finite()) : "");
  return cells;
}

void say_errors(const std::string& title, const std::vector<DeviceCheck::Row>& rows) {
  std::vector<std::vector<std::string>> table = {{title, "L2", "largest", "<1e-7", "<1e-6", "<1e-5", "<1e-4", "<1e-3", "<.01", "<.1", "<1", ">=1", "not finite"}};
  for (const DeviceCheck::Row& row : rows) table.push_back(error_row(row));
  for (const std::string& line : text_table(table)) log::say(line);
}

std::string worst(const std::vector<DeviceCheck::Row>& rows) {
  const auto found = std::ranges::max_element(rows, {}, [](const DeviceCheck::Row& row) { return row.errors.distance(); });
  return found == rows.end() ? "none" : concat(short_number(found->errors.distance()), " in layer ", found->layer, " [", found->type, "] ", found->name);
}

// 1 where one device has numbers and the other has none.
int check(const TrainOptions& options, const std::string& against) {
  if (lower(against) != "cpu") fail("option -check = ", against, ": expected cpu");
  const DeviceCheck result = check_device(options);
  log::say(concat("GPU: ", result.gpu));
  log::say(concat("CPU: ", result.cpu));
  log::say(concat(result.iterations, " batches of ", result.images, " images on both, with the same weights. Of each element the difference, divided by the larger of",
                  " the CPU's value and the root mean square of its tensor; columns say how many in a hundred are of which size"));
  say_errors("outputs", result.outputs);
  log::say("");
  say_errors("gradients", result.gradients);
  log::say("");
  log::say(concat("loss: GPU ", fixed(result.gpu_loss, 6), ", CPU ", fixed(result.cpu_loss, 6)));
  log::say(concat("farthest (L2): outputs ", worst(result.outputs), ", gradients ", worst(result.gradients)));
  const auto broken = [](const DeviceCheck::Row& row) { return row.errors.not_finite() > 0; };
  return std::ranges::any_of(result.outputs, broken) || std::ranges::any_of(result.gradients, broken) ? 1 : 0;
}

}  // namespace

int train(const Arguments& arguments) {
  const ModelFiles files = model_files(arguments);
  TrainOptions options;
  options.data = files.data;
  options.cfg = files.cfg;
  options.weights = files.weights;
  options.clear = arguments.has("clear");
  options.map = arguments.has("map");
  options.map_epochs = arguments.real("mAP_epochs", .01, 1e6);
  options.confidence = arguments.real("thresh", 0, 1);
  options.iou_threshold = arguments.real("iou_thresh", 0, 1);
  options.points = static_cast<int>(arguments.integer("points", 0, 1001));
  options.seed = static_cast<uint64_t>(arguments.integer("seed", 0, INT64_MAX));
  options.device = device_choice(arguments);
  options.memory = memory_option(arguments);
  options.auto_subdivisions = arguments.has("auto_subdivisions");
  options.loader_threads = static_cast<int>(arguments.integer("loader_threads", 0, 256));
  if (arguments.has("show_imgs")) options.show_samples = kShownSamples;
  if (arguments.has("check")) return check(options, arguments.text("check"));
  Trainer trainer(options);
  try {
    return trainer.run();
  } catch (const Error& e) {
    std::cerr << "error: " << e.what() << std::endl;
    return 1;
  }
}

}  // namespace dn::cli
