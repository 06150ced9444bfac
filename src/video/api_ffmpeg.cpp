// Opening FFmpeg's libraries, in the versions whose headers the program was built with.
#include <dlfcn.h>

#include "video/ffmpeg.h"

namespace dn::video {
namespace {

Api open_all() {
  Api opened;
  void* library = nullptr;
#define DN_FIND(name) opened.name = reinterpret_cast<decltype(opened.name)>(symbol(library, #name));
  library = open_library("libavutil.so." AV_STRINGIFY(LIBAVUTIL_VERSION_MAJOR));
  DN_AVUTIL(DN_FIND)
  library = open_library("libavcodec.so." AV_STRINGIFY(LIBAVCODEC_VERSION_MAJOR));
  DN_AVCODEC(DN_FIND)
  library = open_library("libavformat.so." AV_STRINGIFY(LIBAVFORMAT_VERSION_MAJOR));
  DN_AVFORMAT(DN_FIND)
  library = open_library("libswscale.so." AV_STRINGIFY(LIBSWSCALE_VERSION_MAJOR));
  DN_SWSCALE(DN_FIND)
#undef DN_FIND
  opened.av_log_set_level(AV_LOG_FATAL);   // what is wrong with a file is counted and said here
  return opened;
}

}  // namespace

// Libraries stay open until the program ends: they have threads and tables of their own.
void* open_library(const std::string& name) {
  if (void* library = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  const char* why = ::dlerror();
  fail("videos need FFmpeg's library ", name, ": ", why ? why : "cannot be opened");
}

void* symbol(void* library, const char* name) {
  if (void* found = ::dlsym(library, name)) return found;
  fail("FFmpeg's function ", name, " is missing in its library");
}

const Api& api() {
  static const Api opened = open_all();
  return opened;
}

}  // namespace dn::video
