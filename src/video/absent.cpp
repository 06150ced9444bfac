// Without FFmpeg: nothing opens.
#include "base/error.h"
#include "video/video.h"

namespace dn {
namespace {

[[noreturn]] void refuse(const std::string& what) {
  fail(what, ": this program was built without FFmpeg's libraries (libavformat, libavcodec, libswscale), which read and write videos");
}

}  // namespace

struct VideoReader::Impl {
  VideoInfo info;
};
struct VideoWriter::Impl {};

bool video_available() { return false; }

VideoReader::VideoReader(const std::string& source, std::function<bool()>) { refuse(source); }
VideoReader::VideoReader(int camera, std::function<bool()>) { refuse(concat("camera ", camera)); }
VideoReader::~VideoReader() = default;
VideoReader::VideoReader(VideoReader&&) noexcept = default;
const VideoInfo& VideoReader::info() const { return impl_->info; }
bool VideoReader::read(Image&) { return false; }
int64_t VideoReader::skipped() const { return 0; }

VideoWriter::VideoWriter(const fs::path& file, int, int, double) { refuse(file.string()); }
VideoWriter::~VideoWriter() = default;
void VideoWriter::write(const Image&) {}
void VideoWriter::finish() {}

}  // namespace dn
