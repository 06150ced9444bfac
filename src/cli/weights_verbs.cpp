// Weights in, weights out: average, rescale, rgbgr, normalize, denormalize, reset; and what they are made of: statistics. The mathematics is in
// train/weights_edit.h. OUT is a .weights file, or safetensors where its name says so.
#include <algorithm>
#include <limits>

#include "base/log.h"
#include "cli/common.h"
#include "cli/text_table.h"
#include "train/weights_edit.h"
#include "train/weights_file.h"

namespace dn::cli {
namespace {

void say_written(const fs::path& out, const std::string& what) {
  log::say(concat(out.string(), ": ", what, ", ", bytes_text(static_cast<double>(dn::file_size(out)))));
}

// CFG WEIGHTS OUT, with the same cfg for both files.
template <class Change>
int change_weights(const Arguments& arguments, std::string_view what, const Change& change) {
  const fs::path out = arguments.positional[2];
  uint64_t seen = 0;
  Network network = load_model(arguments.positional[0], arguments.positional[1], &seen);
  change(network);
  save_weights(network, out, seen);
  say_written(out, std::string(what));
  return 0;
}

// CFG WEIGHTS OUT, where OUT goes with another cfg, which -out_cfg has written.
int change_cfg(const Arguments& arguments, EditedNetwork (*change)(const Network&), std::string_view what, int value) {
  const fs::path out = arguments.positional[2], cfg = arguments.text("out_cfg");
  uint64_t seen = 0;
  const EditedNetwork edited = change(load_model(arguments.positional[0], arguments.positional[1], &seen));
  save_weights(edited.network, out, seen);
  if (!cfg.empty()) write_file(cfg, edited.cfg);
  say_written(out, concat(edited.layers, " layers ", what));
  log::say(cfg.empty() ? concat("it goes with a cfg that has batch_normalize=", value, " in these layers (-out_cfg FILE writes one)")
                       : concat("it goes with ", cfg.string()));
  return 0;
}

struct Moments {
  double mean = 0, variance = 0, least = std::numeric_limits<double>::infinity(), most = -std::numeric_limits<double>::infinity();
};

Moments moments(std::span<const float> values) {
  Moments m;
  for (const float v : values) {
    m.mean += static_cast<double>(v) / static_cast<double>(values.size());
    m.least = std::min(m.least, static_cast<double>(v));
    m.most = std::max(m.most, static_cast<double>(v));
  }
  for (const float v : values) m.variance += (static_cast<double>(v) - m.mean) * (static_cast<double>(v) - m.mean) / static_cast<double>(values.size());
  return m;
}

}  // namespace

int average(const Arguments& arguments) {
  const std::string &cfg = arguments.positional[0], &out = arguments.positional[1];
  std::vector<double> sums;
  const std::vector<std::string> files(arguments.positional.begin() + 2, arguments.positional.end());
  uint64_t seen = 0, most_seen = 0;
  Network network = load_model(cfg, files[0], &seen);
  for (size_t i = 0; i < files.size(); ++i) {
    if (i > 0) network = load_model(cfg, files[i], &seen);
    most_seen = std::max(most_seen, seen);
    add_parameters(network, sums);
  }
  set_mean_parameters(network, sums, static_cast<int>(files.size()));
  save_weights(network, out, most_seen);
  say_written(out, concat("the mean of ", files.size(), " files"));
  return 0;
}

int rescale(const Arguments& arguments) {
  return change_weights(arguments, "for images in 0..1 instead of -1..1", rescale_input);
}

int rgbgr(const Arguments& arguments) {
  return change_weights(arguments, "red and blue of the first convolution swapped", swap_red_and_blue);
}

int reset(const Arguments& arguments) {
  return change_weights(arguments, "scales 1, means 0, variances 1, the weights make up for it", reset_normalizations);
}

int normalize(const Arguments& arguments) { return change_cfg(arguments, normalized, "with a normalization that changes nothing", 1); }

int denormalize(const Arguments& arguments) { return change_cfg(arguments, denormalized, "without normalization, which the weights hold now", 0); }

int statistics(const Arguments& arguments) {
  const Network network = load_model(arguments.positional[0], arguments.positional[1]);
  std::vector<std::vector<std::string>> rows = {{"layer", "tensor", "values", "mean", "variance", "least", "most"}};
  for (const ParamSegment& segment : network.params().segments()) {
    const Moments m = moments(network.params().values(segment));
    const std::string& type = network.layers()[static_cast<size_t>(segment.layer)]->type();
    rows.push_back({concat(segment.layer), concat(type, ".", segment.spec.name), concat(segment.spec.count), fixed(m.mean, 6), fixed(m.variance, 6),
                    fixed(m.least, 6), fixed(m.most, 6)});
  }
  for (const std::string& line : text_table(rows)) log::say(line);
  return 0;
}

}  // namespace dn::cli
