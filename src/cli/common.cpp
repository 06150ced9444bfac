#include "cli/common.h"

#include <algorithm>

#include "base/log.h"
#include "config/keys.h"
#include "train/weights_file.h"

namespace dn::cli {
namespace {

// Removes and returns the first word with that extension, else the first word.
std::string take(std::vector<std::string>& words, std::string_view extension, std::string_view other) {
  auto found = std::find_if(words.begin(), words.end(), [&](const std::string& w) { return lower(fs::path(w).extension().string()) == extension; });
  if (found == words.end())
    found = std::find_if(words.begin(), words.end(), [&](const std::string& w) { return lower(fs::path(w).extension().string()) != other; });
  if (found == words.end()) found = words.begin();
  const std::string word = *found;
  words.erase(found);
  return word;
}

}  // namespace

ModelFiles model_files(const std::vector<std::string>& positional) {
  std::vector<std::string> words = positional;
  ensure(words.size() >= 2, "the table asks for DATA and CFG");
  ModelFiles files;
  // Only the first three places are model files; an image that ends in .data stays an image.
  std::vector<std::string> models(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(3, words.size())));
  words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(models.size()));
  files.data = take(models, ".data", ".cfg");
  files.cfg = take(models, ".cfg", ".weights");
  if (!models.empty()) files.weights = models.front();
  files.others = std::move(words);
  return files;
}

cpu::DeviceOptions device_options(const Arguments& arguments) {
  cpu::DeviceOptions options;
  options.threads = static_cast<int>(arguments.integer("threads", 0, 1024));
  const std::string conv = lower(arguments.text("conv"));
  if (conv == "direct")
    options.convolution = cpu::ConvAlgorithm::direct;
  else if (conv == "winograd")
    options.convolution = cpu::ConvAlgorithm::winograd;
  else if (conv != "automatic" && conv != "auto")
    fail("option -conv = ", conv, ": expected direct, winograd or automatic");
  return options;
}

Network load_model(const fs::path& cfg, const fs::path& weights) {
  Network network = Network::from_cfg(cfg);
  network.params().initialize(1);
  const WeightsInfo info = load_weights(network, weights);
  if (!info.complete())
    fail(weights.string(), ": holds ", info.loaded, " of the ", info.layers, " layers of ", cfg.string(),
         ": expected all (this looks like a "
         "pretrained part, good for `detector train` only)");
  return network;
}

void say_notes(const Arguments& arguments) {
  for (const std::string& note : arguments.notes) log::warn(note);
}

}  // namespace dn::cli
