#include "train/snapshots.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>

#include "base/files.h"
#include "base/log.h"
#include "train/weights_file.h"

namespace dn {
namespace {

void check_writable(const fs::path& folder, const std::string& name, size_t snapshot_bytes) {
  write_file(folder / concat(".", name, ".test"), "can this folder be written?\n");
  std::error_code code;
  fs::remove(folder / concat(".", name, ".test"), code);
  const fs::space_info space = fs::space(folder, code);
  if (!code && space.available < 2 * snapshot_bytes)
    fail(folder.string(), ": ", bytes_text(static_cast<double>(space.available)), " free: expected room for two snapshots of ",
         bytes_text(static_cast<double>(snapshot_bytes)));
}

}  // namespace

std::string run_name(const fs::path& cfg) { return cfg.stem().string(); }

fs::path output_folder(const std::string& written, const fs::path& near) {
  const fs::path beside = resolve_path(written, near);
  std::error_code code;
  return fs::exists(beside, code) ? beside : fs::path(written);
}

SnapshotRules SnapshotRules::from(const DataFile& data, int64_t max_batches) {
  SnapshotRules rules;
  rules.numbered = data.saveweights > 0 ? data.saveweights : max_batches < 10000 ? 1000 : 10000;
  rules.last = data.savelast < rules.numbered ? data.savelast : 0;  // a `_last` beside every numbered one would be a copy
  return rules;
}

bool SnapshotRules::numbered_due(int64_t iteration, int64_t saved) const {
  return numbered > 0 && iteration > saved && (iteration % numbered == 0 || iteration >= saved + numbered);
}

bool SnapshotRules::last_due(int64_t iteration, int64_t saved) const {
  return last > 0 && iteration > saved && iteration > 1 && (iteration % last == 0 || iteration >= saved + last);
}

Snapshots::Snapshots(const Network& network, fs::path folder, std::string name, SnapshotRules rules, int64_t iteration)
    : network_(network),
      folder_(std::move(folder)),
      name_(std::move(name)),
      extension_(weights_extension(network)),
      rules_(rules),
      saved_numbered_(iteration),
      saved_last_(iteration) {
  if (folder_.empty()) folder_ = ".";
  make_directories(folder_);
  check_writable(folder_, name_, network.params().count() * sizeof(float));
  lock_path_ = folder_ / concat(".", name_, ".lock");
  lock_ = ::open(lock_path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
  if (lock_ < 0) fail(lock_path_.string(), ": cannot write: ", std::generic_category().message(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
  const int code = errno;
  ::close(lock_);
  lock_ = -1;
  if (code == EWOULDBLOCK)
    fail(folder_.string(), ": another run of ", name_, " writes its snapshots there; give one of the two another backup folder or another cfg name");
  // File systems without locks (some network drives) are no reason not to train.
}

Snapshots::~Snapshots() {
  if (lock_ < 0) return;
  std::error_code code;
  fs::remove(lock_path_, code);
  ::close(lock_);
}

fs::path Snapshots::save(std::string_view suffix, int64_t iteration) {
  const fs::path path = file(suffix);
  save_weights(network_, path, static_cast<uint64_t>(iteration) * static_cast<uint64_t>(network_.spec().batch));
  return path;
}

bool Snapshots::try_save(std::string_view suffix, int64_t iteration) {
  try {
    save(suffix, iteration);
    return true;
  } catch (const Error& e) {
    log::warn(concat(e.what(), " (iteration ", iteration, "; training goes on, older snapshots are kept)"));
    return false;
  }
}

std::vector<fs::path> Snapshots::maybe(int64_t iteration) {
  std::vector<fs::path> written;
  if (rules_.numbered_due(iteration, saved_numbered_)) {
    saved_numbered_ = iteration;
    if (try_save(concat(iteration), iteration)) written.push_back(file(concat(iteration)));
  }
  if (rules_.last_due(iteration, saved_last_)) {
    saved_last_ = iteration;
    if (try_save("last", iteration)) written.push_back(file("last"));
  }
  return written;
}

}  // namespace dn
