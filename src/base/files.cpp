#include "base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/error.h"

namespace dn {
namespace {

std::string reason(int code) { return std::generic_category().message(code); }

template <class Container>
Container read_whole(const fs::path& path, uint64_t limit) {
  const InputFile file(path);
  const uint64_t size = file.size();
  if (size > limit) fail(path.string(), ": ", bytes_text(static_cast<double>(size)), ": expected at most ", bytes_text(static_cast<double>(limit)));
  Container contents(size, typename Container::value_type{});
  contents.resize(file.read(0, contents.data(), size));
  return contents;
}

}  // namespace

InputFile::InputFile(fs::path path) : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  if (descriptor_ < 0) fail(path_.string(), ": cannot open: ", reason(errno));
  struct stat info {};
  const int code = ::fstat(descriptor_, &info) == 0 ? 0 : errno;
  size_ = static_cast<uint64_t>(info.st_size);
  if (code == 0 && S_ISREG(info.st_mode)) return;
  ::close(descriptor_);
  fail(path_.string(), ": cannot open: ", code != 0 ? reason(code) : S_ISDIR(info.st_mode) ? "it is a directory" : "not a regular file");
}

InputFile::~InputFile() { ::close(descriptor_); }

size_t InputFile::read(uint64_t at, void* to, size_t bytes) const {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t got = ::pread(descriptor_, static_cast<char*>(to) + done, bytes - done, static_cast<off_t>(at + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path_.string(), ": cannot read: ", reason(errno));
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  return done;
}

uint64_t file_size(const fs::path& path) { return InputFile(path).size(); }

std::string read_text(const fs::path& path, uint64_t limit) { return read_whole<std::string>(path, limit); }

std::vector<std::byte> read_bytes(const fs::path& path, uint64_t limit) { return read_whole<std::vector<std::byte>>(path, limit); }

std::vector<std::string> read_lines(const fs::path& path, uint64_t limit) {
  const std::string text = read_text(path, limit);
  std::string_view rest = text;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  std::vector<std::string> lines;
  while (!rest.empty()) {
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    while (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
  }
  return lines;
}

void make_directories(const fs::path& path) {
  if (path.empty()) return;
  std::error_code code;
  fs::create_directories(path, code);
  if (code) fail(path.string(), ": cannot create the folder: ", code.message());
  if (!fs::is_directory(path, code)) fail(path.string(), ": exists and is not a folder");
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  temporary_ = path_;
  temporary_ += concat(".tmp", static_cast<int>(::getpid()));
  descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) fail(path_.string(), ": cannot write: ", reason(errno));
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* data, size_t bytes) {
  const char* from = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t done = ::write(descriptor_, from, bytes);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail(path_.string(), ": cannot write: ", reason(errno));
    from += done;
    bytes -= static_cast<size_t>(done);
  }
}

void AtomicFile::commit() {
  if (::fsync(descriptor_) != 0) fail(path_.string(), ": cannot write: ", reason(errno));
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(path_.string(), ": cannot write: ", reason(errno));
  ::close(descriptor_);
  descriptor_ = -1;
  // The rename is durable once the folder is synced; a file system that refuses to sync folders loses nothing but that.
  const fs::path folder = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
  if (const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); fd >= 0) {
    ::fsync(fd);
    ::close(fd);
  }
}

void write_file(const fs::path& path, std::string_view contents) {
  AtomicFile file(path);
  file.write(contents);
  file.commit();
}

}  // namespace dn
