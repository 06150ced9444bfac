#include "data/bulk_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "base/error.h"

namespace dn {

void write_plainly(const fs::path& path, std::string_view contents) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  file.close();
  if (!file) fail(path.string(), ": cannot write: ", std::generic_category().message(errno));
}

void sync_all(const fs::path& folder) {
  if (const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); fd >= 0) {
    const int code = ::syncfs(fd);
    ::close(fd);
    if (code != 0) fail(folder.string(), ": cannot write: ", std::generic_category().message(errno));
  }
}

}  // namespace dn
