// The faster algorithm of a convolution, remembered in the process and, best effort, in the user's cache folder
// ($XDG_CACHE_HOME or ~/.cache, darknet/convolution.json), so that a second start measures nothing and computes bit for bit the same.
#pragma once

#include <optional>
#include <string>

namespace dn::cpu {

// True: Winograd was the faster one. Nothing: never measured on this machine.
std::optional<bool> remembered_choice(const std::string& key);
void remember_choice(const std::string& key, bool winograd);
void save_choices();   // to the cache folder; failures are silent, the file is only a convenience

// A file of that folder; empty: the user has none.
std::string cache_file(const std::string& name);

}  // namespace dn::cpu
