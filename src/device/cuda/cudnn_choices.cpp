#include "device/cuda/cudnn_choices.h"

#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/log.h"

namespace dn::cuda::cudnn {
namespace {

using nlohmann::json;

std::map<std::string, RememberedChoice> read_choices(const std::string& file) {
  std::map<std::string, RememberedChoice> out;
  std::error_code error;
  if (file.empty() || !fs::exists(file, error)) return out;
  try {
    const json root = json::parse(read_text(file));
    for (const auto& [key, entry] : root.at("choices").items())
      out[key] = {{entry.at("engine").get<int64_t>(), entry.at("knobs").get<std::vector<std::pair<int64_t, int64_t>>>()},
                  entry.at("measured").get<bool>()};
  } catch (const json::exception& e) {
    log::warn(concat(file, ": not a file of chosen convolutions, they are chosen anew: ", e.what()));
    return {};
  } catch (const Error& e) {
    log::warn(concat(e.what(), "; convolutions are chosen anew"));
    return {};
  }
  return out;
}

}  // namespace

Choices::Choices(std::string file) : file_(std::move(file)), all_(read_choices(file_)) {}

std::optional<RememberedChoice> Choices::find(const std::string& key) const {
  const auto found = all_.find(key);
  return found == all_.end() ? std::nullopt : std::optional(found->second);
}

void Choices::set(const std::string& key, const RememberedChoice& choice) {
  RememberedChoice& kept = all_[key];
  changed_ |= !(kept == choice);
  kept = choice;
}

void Choices::save() {
  if (file_.empty() || !changed_) return;
  all_.merge(read_choices(file_));
  json choices = json::object();
  for (const auto& [key, choice] : all_)
    choices[key] = {{"engine", choice.engine.engine}, {"knobs", choice.engine.knobs}, {"measured", choice.measured}};
  try {
    if (const fs::path folder = fs::path(file_).parent_path(); !folder.empty()) make_directories(folder);
    write_file(file_, json{{"choices", choices}}.dump(1) + "\n");
    changed_ = false;
  } catch (const Error& e) {
    log::warn(concat(e.what(), "; the chosen convolutions are not kept"));
  }
}

}  // namespace dn::cuda::cudnn
