// Cameras through libavdevice, on Linux by Video4Linux.
extern "C" {
#include <libavdevice/avdevice.h>
}

#include "video/ffmpeg.h"

namespace dn::video {

const AVInputFormat* camera_format() {
  static void* const library = open_library("libavdevice.so." AV_STRINGIFY(LIBAVDEVICE_VERSION_MAJOR));
  reinterpret_cast<decltype(&::avdevice_register_all)>(symbol(library, "avdevice_register_all"))();
  return api().av_find_input_format("v4l2");
}

}  // namespace dn::video
