#include "cli/common.h"

#include <algorithm>
#include <functional>

#include "base/log.h"
#include "config/keys.h"
#include "device/cpu/conv_choice.h"
#include "train/weights_file.h"

namespace dn::cli {
namespace {

bool has_extension(const std::string& word, std::string_view extension) { return lower(fs::path(word).extension().string()) == extension; }
bool is_weights(const std::string& word) { return has_extension(word, ".weights") || is_safetensors(word); }

// Removes and returns the first word with that extension, else the first that is not taken for something else.
std::string take(std::vector<std::string>& words, std::string_view extension, const std::function<bool(const std::string&)>& other) {
  auto found = std::find_if(words.begin(), words.end(), [&](const std::string& w) { return has_extension(w, extension); });
  if (found == words.end()) found = std::find_if_not(words.begin(), words.end(), other);
  if (found == words.end()) found = words.begin();
  const std::string word = *found;
  words.erase(found);
  return word;
}

}  // namespace

ModelFiles model_files(const Arguments& arguments) {
  std::vector<std::string> words = arguments.positional;
  if (arguments.knows("data")) words.insert(words.begin(), arguments.text("data"));
  ensure(words.size() >= 2, "the table asks for DATA and CFG");
  ModelFiles files;
  // Only the first three places are model files; an image that ends in .data stays an image.
  std::vector<std::string> models(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(3, words.size())));
  words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(models.size()));
  files.data = take(models, ".data", [](const std::string& word) { return has_extension(word, ".cfg"); });
  files.cfg = take(models, ".cfg", is_weights);
  if (!models.empty()) files.weights = models.front();
  files.others = std::move(words);
  return files;
}

cpu::DeviceOptions cpu_options(const Arguments& arguments) {
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

namespace {

constexpr int kMostGpus = 1024;

// -gpus 0,1.
void read_gpus(const Arguments& arguments, DeviceChoice& choice) {
  const std::string list = arguments.text("gpus");
  std::vector<int64_t> gpus;
  for (const std::string_view word : split(list, ',')) gpus.push_back(parse_integer(trim(word)).value_or(-1));
  if (gpus.empty() || !std::ranges::all_of(gpus, [](int64_t gpu) { return gpu >= 0 && gpu <= kMostGpus; }))
    fail("option -gpus = ", list, ": expected numbers of GPUs from 0 on, such as 0,1");
  for (auto gpu = gpus.begin(); gpu != gpus.end(); ++gpu)
    if (std::find(gpus.begin(), gpu, *gpu) != gpu) fail("option -gpus = ", list, ": GPU ", *gpu, " is there twice");
  choice.gpu.gpu = static_cast<int>(gpus.front());
  choice.others.assign(gpus.begin() + 1, gpus.end());
}

cuda::Precision read_precision(const std::string& text) {
  using cuda::Precision;
  for (const Precision precision : {Precision::bf16, Precision::tf32, Precision::fp32, Precision::fp16})
    if (lower(text) == cuda::precision_name(precision)) return precision;
  fail("option -prec = ", text, ": expected bf16, tf32, fp32 or fp16");
}

}  // namespace

DeviceChoice device_choice(const Arguments& arguments) {
  DeviceChoice choice;
  choice.which = DeviceChoice::Which::automatic;
  choice.cpu = cpu_options(arguments);
  if (arguments.has("i")) choice.gpu.gpu = static_cast<int>(arguments.integer("i", -kMostGpus, kMostGpus));
  if (arguments.has("gpus")) read_gpus(arguments, choice);
  if (arguments.has("nogpu") || choice.gpu.gpu < 0)   // -i -1, as in the family
    choice.which = DeviceChoice::Which::cpu;
  else if (arguments.has("i") || arguments.has("gpus"))
    choice.which = DeviceChoice::Which::gpu;
  if (arguments.has("prec")) choice.precision = read_precision(arguments.text("prec"));
  choice.gpu.convolutions.deterministic = arguments.has("deterministic");
  choice.gpu.convolutions.measure = !choice.gpu.convolutions.deterministic;   // what is the fastest today may be another tomorrow
  choice.gpu.conv_cache = cpu::cache_file("cudnn.json");
  return choice;
}

std::unique_ptr<Device> inference_device(const Arguments& arguments) {
  const DeviceChoice choice = device_choice(arguments);
  if (!choice.others.empty()) log::warn(concat("-gpus ", arguments.text("gpus"), ": several GPUs train; here the first computes, ", choice.gpu.gpu));
  return open_device(choice, DeviceUse::inference);
}

size_t memory_option(const Arguments& arguments) {
  if (!arguments.has("memory")) return 0;
  const auto bytes = parse_bytes(arguments.text("memory"));
  if (!bytes || *bytes < (size_t{1} << 20)) fail("-memory ", arguments.text("memory"), ": expected a size such as 8G or 900M, at least 1M");
  return *bytes;
}

Network load_model(const fs::path& cfg, const fs::path& weights, uint64_t* seen) {
  Network network = Network::from_cfg(cfg);
  network.params().initialize(1);
  const WeightsInfo info = load_weights(network, weights);
  if (!info.complete())
    fail(weights.string(), ": holds ", info.loaded, " of the ", info.layers, " layers of ", cfg.string(),
         ": expected all (this looks like a "
         "pretrained part, good for `detector train` only)");
  if (seen) *seen = info.seen;
  return network;
}

void say_notes(const Arguments& arguments) {
  for (const std::string& note : arguments.notes) log::warn(note);
}

}  // namespace dn::cli
