// Demultiplexing, decoding, conversion to RGB.
#include "video/ffmpeg.h"
#include "video/video.h"

namespace dn {

using video::api;
using video::check;

namespace {

constexpr double kUnknownRate = 25;     // frames per second of a source that does not say
constexpr int kMaxReadErrors = 100;     // one after another, before a source counts as ended

struct FormatEnd {
  void operator()(AVFormatContext* p) const { api().avformat_close_input(&p); }
};
using Input = std::unique_ptr<AVFormatContext, FormatEnd>;

}  // namespace

bool video_available() { return true; }

struct VideoReader::Impl {
  Impl(std::string source, const AVInputFormat* wanted, std::function<bool()> stopped);
  void open(const AVInputFormat* wanted);
  void open_decoder();
  void describe();
  bool feed();
  void convert(Image& out);
  bool read(Image& out);

  std::string name;
  std::function<bool()> stop;
  Input input;
  video::Codec codec;
  video::Frame frame;
  video::Packet packet;
  video::Scaler scaler;
  int scaled_from[3] = {0, 0, 0};   // width, height, pixel format that the scaler is for
  int stream = -1;
  bool draining = false;
  int64_t skipped = 0;
  VideoInfo info;
};

VideoReader::Impl::Impl(std::string source, const AVInputFormat* wanted, std::function<bool()> stopped)
    : name(std::move(source)), stop(std::move(stopped)), frame(video::made(api().av_frame_alloc())), packet(video::made(api().av_packet_alloc())) {
  open(wanted);
  open_decoder();
  describe();
}

void VideoReader::Impl::open(const AVInputFormat* wanted) {
  AVFormatContext* context = video::made(api().avformat_alloc_context());
  if (stop) {
    context->interrupt_callback.callback = [](void* self) { return static_cast<Impl*>(self)->stop() ? 1 : 0; };
    context->interrupt_callback.opaque = this;
  }
  // On failure the context is freed.
  check(api().avformat_open_input(&context, name.c_str(), wanted, nullptr), name, "cannot open");
  input.reset(context);
  check(api().avformat_find_stream_info(context, nullptr), name, "not a video");
}

void VideoReader::Impl::open_decoder() {
  const AVCodec* decoder = nullptr;
  stream = api().av_find_best_stream(input.get(), AVMEDIA_TYPE_VIDEO, -1, -1, &decoder, 0);
  if (stream < 0 || !decoder) fail(name, ": no video that can be decoded: ", video::reason(stream));
  codec.reset(video::made(api().avcodec_alloc_context3(decoder)));
  check(api().avcodec_parameters_to_context(codec.get(), input->streams[stream]->codecpar), name, "cannot be decoded");
  codec->thread_count = video::kCodecThreads;
  codec->max_pixels = kMaxImagePixels;
  check(api().avcodec_open2(codec.get(), decoder, nullptr), name, "cannot be decoded");
}

void VideoReader::Impl::describe() {
  AVStream* s = input->streams[stream];
  info.width = codec->width;
  info.height = codec->height;
  if (info.width < 1 || info.height < 1 || info.width > kMaxImageSide || info.height > kMaxImageSide)
    fail(name, ": frames of ", info.width, " x ", info.height, ": expected sides of 1..", kMaxImageSide);
  const AVRational rate = api().av_guess_frame_rate(input.get(), s, nullptr);
  info.fps = rate.num > 0 && rate.den > 0 ? av_q2d(rate) : kUnknownRate;
  if (input->duration > 0) info.seconds = static_cast<double>(input->duration) / AV_TIME_BASE;
  info.frames = s->nb_frames > 0 ? s->nb_frames : static_cast<int64_t>(info.seconds * info.fps + .5);
}

// The next packet of the video into the decoder; at the end it is told to give what it still has. False: the source has ended before.
bool VideoReader::Impl::feed() {
  if (draining) return false;
  for (int errors = 0; errors < kMaxReadErrors && !(stop && stop());) {
    const int code = api().av_read_frame(input.get(), packet.get());
    if (code == AVERROR_EOF || code == AVERROR_EXIT) break;
    if (code < 0) {
      ++errors;
      continue;
    }
    const bool mine = packet->stream_index == stream;
    const int sent = mine ? api().avcodec_send_packet(codec.get(), packet.get()) : 0;
    api().av_packet_unref(packet.get());
    if (sent < 0) ++skipped;
    if (mine) return true;
  }
  draining = true;
  api().avcodec_send_packet(codec.get(), nullptr);
  return true;
}

void VideoReader::Impl::convert(Image& out) {
  const int from[3] = {frame->width, frame->height, frame->format};
  if (!scaler || !std::equal(from, from + 3, scaled_from)) {
    scaler.reset(api().sws_getContext(from[0], from[1], static_cast<AVPixelFormat>(from[2]), info.width, info.height, AV_PIX_FMT_RGB24,
                                SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, nullptr, nullptr, nullptr));
    if (!scaler) fail(name, ": frames of ", from[0], " x ", from[1], ": this kind of pixels cannot be converted");
    std::copy_n(from, 3, scaled_from);
  }
  out.width = info.width;
  out.height = info.height;
  out.channels = 3;
  out.pixels.resize(out.row() * static_cast<size_t>(out.height));
  uint8_t* rows[4] = {out.pixels.data(), nullptr, nullptr, nullptr};
  const int strides[4] = {static_cast<int>(out.row()), 0, 0, 0};
  api().sws_scale(scaler.get(), frame->data, frame->linesize, 0, frame->height, rows, strides);
}

bool VideoReader::Impl::read(Image& out) {
  for (;;) {
    const int code = api().avcodec_receive_frame(codec.get(), frame.get());
    if (code == AVERROR_EOF) return false;
    if (code == 0) {
      const bool damaged = (frame->flags & AV_FRAME_FLAG_CORRUPT) != 0 || frame->decode_error_flags != 0;
      if (!damaged) convert(out);
      api().av_frame_unref(frame.get());
      if (!damaged) return true;
      ++skipped;
      continue;
    }
    if (code != AVERROR(EAGAIN)) ++skipped;
    if (!feed()) return false;
  }
}

VideoReader::VideoReader(const std::string& source, std::function<bool()> stop) : impl_(std::make_unique<Impl>(source, nullptr, std::move(stop))) {}

VideoReader::VideoReader(int camera, std::function<bool()> stop) {
  const AVInputFormat* format = video::camera_format();
  if (!format) fail("camera ", camera, ": this program was built without libavdevice, which reads cameras");
  impl_ = std::make_unique<Impl>(concat("/dev/video", camera), format, std::move(stop));
}

VideoReader::~VideoReader() = default;
VideoReader::VideoReader(VideoReader&&) noexcept = default;
const VideoInfo& VideoReader::info() const { return impl_->info; }
bool VideoReader::read(Image& frame) { return impl_->read(frame); }
int64_t VideoReader::skipped() const { return impl_->skipped; }

}  // namespace dn
