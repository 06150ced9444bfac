// Many small files that are worth something only together: written plainly, synced once at the end. (A file that counts alone goes through AtomicFile.)
#pragma once

#include <string_view>

#include "base/files.h"

namespace dn {

void write_plainly(const fs::path& path, std::string_view contents);  // Error when it cannot be written
void sync_all(const fs::path& folder);                                // everything on the folder's file system is on the disk afterwards

}  // namespace dn
