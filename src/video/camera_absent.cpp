// Without libavdevice: no cameras.
#include "video/ffmpeg.h"

namespace dn::video {

const AVInputFormat* camera_format() { return nullptr; }

}  // namespace dn::video
