// Video files, streams and cameras as images, and images as a video file, through FFmpeg's libraries where the build found them (reader_ffmpeg.cpp,
// writer_ffmpeg.cpp, camera_ffmpeg.cpp); otherwise opening either is an error that says so (absent.cpp, camera_absent.cpp).
// Only pictures: sound is left out, and so is the rotation that a file may ask a player for.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "image/image.h"

namespace dn {

struct VideoInfo {
  int width = 0, height = 0;   // of every frame
  double fps = 0;              // frames per second
  double seconds = 0;          // length; 0: unknown, as of a camera
  int64_t frames = 0;          // an estimate from the two, or what the file says; 0: unknown
};

// Whether this program was built with FFmpeg, for tests.
bool video_available();

class VideoReader {
 public:
  // A file or a URL. `stop` is asked while a stream keeps the reader waiting; true ends the video. Throws Error "SOURCE: ...".
  explicit VideoReader(const std::string& source, std::function<bool()> stop = {});
  explicit VideoReader(int camera, std::function<bool()> stop = {});   // /dev/videoN
  ~VideoReader();
  VideoReader(VideoReader&&) noexcept;

  const VideoInfo& info() const;
  // The next frame, RGB; false at the end. What cannot be decoded is left out and counted.
  bool read(Image& frame);
  int64_t skipped() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Frames of one size, written beside the file and renamed to it by finish(). The extension says the format; odd sides lose their last pixel.
class VideoWriter {
 public:
  VideoWriter(const fs::path& file, int width, int height, double fps);
  ~VideoWriter();   // without finish() nothing is left
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  void write(const Image& frame);
  void finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dn
