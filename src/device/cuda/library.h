// Shared libraries that are opened when they are needed, so that the program starts on machines without them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace dn::cuda {

// A folder, or the loader's own path where it is empty; and how messages call it.
struct LibraryPlace {
  std::string folder, name;
};

// Where libraries of CUDA are, the first to be tried first: $DARKNET_CUDA_LIBS, the loader's path, /usr/local/cuda/lib64, and what Python packages of
// NVIDIA brought (nvidia/*/lib in the site-packages of every python3 on the $PATH and in the usual ones).
std::vector<LibraryPlace> library_places();

// An open library. It stays in the process: those of CUDA do not survive being closed, nor do their neighbours, and would be read from the disk again.
class Library {
 public:
  struct Wanted {
    std::string what;                                      // of messages: "cuDNN 9.0 or later"
    std::vector<std::string> names;                        // file names, the best first
    std::function<std::string(const Library&)> objection;  // why this one will not do; empty: it does
  };
  // The first that will do. Throws Error, one line: what was wanted, where it was looked for, and what was wrong with those that were found.
  static Library open(const Wanted& wanted, const std::vector<LibraryPlace>& places);

  const std::string& path() const { return path_; }
  void* find(const char* symbol) const;  // null: has none of that name
  // Sets a pointer to a function; adds the name to `missing` where there is none.
  template <class Function>
  void read(const char* symbol, Function*& function, std::string& missing) const {
    function = reinterpret_cast<Function*>(find(symbol));
    if (!function) missing += missing.empty() ? std::string(symbol) : std::string(", ") + symbol;
  }

 private:
  Library(void* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  void* handle_;
  std::string path_;
};

}  // namespace dn::cuda
