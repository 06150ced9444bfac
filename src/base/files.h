// Files: bounded reads, atomic writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace dn {

namespace fs = std::filesystem;

inline constexpr uint64_t kMaxTextFile = 64ull << 20;    // cfg, lists, names, labels
inline constexpr uint64_t kMaxImageFile = 256ull << 20;

// Size of a regular file. Throws Error "PATH: cannot open: REASON" for anything else (missing, a directory, a pipe).
uint64_t file_size(const fs::path& path);
// Whole contents. Throws Error when missing, not regular, larger than `limit` bytes, or unreadable. The limit is checked before memory is taken.
std::string read_text(const fs::path& path, uint64_t limit = kMaxTextFile);
std::vector<std::byte> read_bytes(const fs::path& path, uint64_t limit);
// Lines without their ends (LF or CRLF) and without a UTF-8 BOM; a missing last newline makes no difference.
std::vector<std::string> read_lines(const fs::path& path, uint64_t limit = kMaxTextFile);

// A regular file that is read in pieces. Throws Error as the functions above do.
class InputFile {
 public:
  explicit InputFile(fs::path path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;
  const fs::path& path() const { return path_; }
  uint64_t size() const { return size_; }
  // Fills `to` from byte `at` on; returns how many bytes there were before the file's end.
  size_t read(uint64_t at, void* to, size_t bytes) const;

 private:
  fs::path path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
};

void make_directories(const fs::path& path);  // like mkdir -p; Error with the reason

// Replaces `path` atomically: a temporary file beside it is written, synced and renamed, so a reader sees the old contents or the new, never a part.
// Throws Error (and removes the temporary) when the disk is full or the folder cannot be written.
class AtomicFile {
 public:
  explicit AtomicFile(fs::path path);
  ~AtomicFile();  // without commit() the temporary is removed and the old file stays
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(const void* data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  void commit();

 private:
  fs::path path_, temporary_;
  int descriptor_ = -1;
};

void write_file(const fs::path& path, std::string_view contents);  // through AtomicFile

}  // namespace dn
