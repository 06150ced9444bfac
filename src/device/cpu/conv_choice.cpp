#include "device/cpu/conv_choice.h"

#include <cstdlib>
#include <fstream>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "device/cpu/onednn.h"

namespace dn::cpu {
namespace {

struct Choices {
  std::mutex mutex;
  std::map<std::string, bool> winograd;
  bool loaded = false, changed = false;
};

Choices& choices() {
  static Choices all;
  return all;
}

constexpr const char* kFile = "convolution.json";

// Choices are only good for the processor and the library they were measured with.
std::string machine() {
  const dnnl_version_t* v = dnnl_version();
  std::string model = "unknown";
  std::ifstream cpus("/proc/cpuinfo");  // not a regular file: it has no size
  for (std::string line; std::getline(cpus, line);)
    if (line.starts_with("model name")) {
      model = trim(std::string_view(line).substr(line.find(':') + 1));
      break;
    }
  return concat(model, ", oneDNN ", v->major, ".", v->minor, ".", v->patch, ", ISA ", static_cast<int>(dnnl::get_effective_cpu_isa()), ", cold caches");
}

void load(Choices& all) {
  if (std::exchange(all.loaded, true)) return;
  try {
    const auto json = nlohmann::json::parse(read_text(cache_file(kFile)), nullptr, false);
    if (!json.is_object() || !json.contains(machine())) return;
    for (const auto& [key, value] : json[machine()].items())
      if (value.is_boolean()) all.winograd.emplace(key, value.get<bool>());
  } catch (const std::exception&) {
    // no cache, or not ours to read: measure again
  }
}

}  // namespace

std::string cache_file(const std::string& name) {
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg && *xdg) return fs::path(xdg) / "darknet" / name;
  if (const char* home = std::getenv("HOME"); home && *home) return fs::path(home) / ".cache" / "darknet" / name;
  return {};
}

std::optional<bool> remembered_choice(const std::string& key) {
  Choices& all = choices();
  const std::lock_guard lock(all.mutex);
  load(all);
  const auto found = all.winograd.find(key);
  if (found == all.winograd.end()) return std::nullopt;
  return found->second;
}

void remember_choice(const std::string& key, bool winograd) {
  Choices& all = choices();
  const std::lock_guard lock(all.mutex);
  all.winograd[key] = winograd;
  all.changed = true;
}

void save_choices() {
  Choices& all = choices();
  const std::lock_guard lock(all.mutex);
  if (!std::exchange(all.changed, false)) return;
  try {
    const fs::path path = cache_file(kFile);
    if (path.empty()) return;
    make_directories(path.parent_path());
    nlohmann::json json = nlohmann::json::object();
    std::error_code code;
    if (fs::exists(path, code)) json = nlohmann::json::parse(read_text(path), nullptr, false);
    if (!json.is_object()) json = nlohmann::json::object();
    for (const auto& [key, winograd] : all.winograd) json[machine()][key] = winograd;
    write_file(path, json.dump(1));
  } catch (const std::exception&) {
  }
}

}  // namespace dn::cpu
