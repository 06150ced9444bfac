#include "device/cuda/library.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/files.h"

namespace dn::cuda {
namespace {

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value ? value : "";
}

// Folders in `folder` whose names begin so, in the order of their names.
std::vector<fs::path> subfolders(const fs::path& folder, std::string_view begin) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error))
    if (at->path().filename().string().starts_with(begin) && at->is_directory(error)) found.push_back(at->path());
  std::sort(found.begin(), found.end());
  return found;
}

// Where Pythons are installed, once each: /opt/torch/.venv for /opt/torch/.venv/bin/python3.
std::vector<fs::path> python_prefixes() {
  std::vector<fs::path> out;
  const auto add = [&](const fs::path& prefix) {
    if (!prefix.empty() && std::ranges::find(out, prefix) == out.end()) out.push_back(prefix);
  };
  add(variable("VIRTUAL_ENV"));
  add(variable("CONDA_PREFIX"));
  const std::string path = variable("PATH");
  for (std::string_view folder : split(path, ':')) {
    while (folder.ends_with('/')) folder.remove_suffix(1);
    if (std::error_code error; !folder.empty() && fs::exists(fs::path(folder) / "python3", error)) add(fs::path(folder).parent_path());
  }
  if (const std::string home = variable("HOME"); !home.empty()) add(home + "/.local");
  for (const char* usual : {"/usr/local", "/usr", "/opt/conda"}) add(usual);
  return out;
}

// lib/python3.12/site-packages and the like.
std::vector<fs::path> package_folders() {
  std::vector<fs::path> out;
  for (const fs::path& prefix : python_prefixes())
    for (const fs::path& python : subfolders(prefix / "lib", "python3"))
      for (const char* kind : {"site-packages", "dist-packages"}) out.push_back(python / kind);
  return out;
}

// What the loader says of a file that is not there is no objection to it.
bool is_absent(std::string_view message, std::string_view path) {
  return message.starts_with(path) && message.find("No such file or directory") != message.npos;
}

}  // namespace

std::vector<LibraryPlace> library_places() {
  std::vector<LibraryPlace> places;
  if (const std::string own = variable("DARKNET_CUDA_LIBS"); !own.empty()) places.push_back({own, concat("$DARKNET_CUDA_LIBS (", own, ")")});
  places.push_back({"", "the loader's path"});
  places.push_back({"/usr/local/cuda/lib64", "/usr/local/cuda/lib64"});
  for (const fs::path& packages : package_folders())
    for (const fs::path& package : subfolders(packages / "nvidia", ""))
      if (std::error_code error; fs::is_directory(package / "lib", error)) places.push_back({package / "lib", (package / "lib").string()});
  return places;
}

Library Library::open(const Wanted& wanted, const std::vector<LibraryPlace>& places) {
  std::vector<std::string> names, objections;
  for (const LibraryPlace& place : places) {
    names.push_back(place.name);
    for (const std::string& name : wanted.names) {
      const std::string path = place.folder.empty() ? name : place.folder + "/" + name;
      void* const handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
      if (!handle) {
        const char* const message = dlerror();
        if (message && !is_absent(message, path)) objections.emplace_back(message);
        continue;
      }
      Library library(handle, path);
      const std::string objection = wanted.objection ? wanted.objection(library) : "";
      if (objection.empty()) return library;
      objections.push_back(concat(path, " ", objection));
      dlclose(handle);
    }
  }
  fail(wanted.what, " was not found: looked for ", join(wanted.names, " or "), " in ", join(names, ", "), objections.empty() ? "" : "; ",
       join(objections, "; "));
}

void* Library::find(const char* symbol) const { return dlsym(handle_, symbol); }

}  // namespace dn::cuda
