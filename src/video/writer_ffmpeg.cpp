// Conversion from RGB, encoding, multiplexing.
#include <cmath>
#include <system_error>

#include "video/ffmpeg.h"
#include "video/video.h"

namespace dn {

using video::api;
using video::check;

namespace {

constexpr int kMaxRatePart = 60060;     // of the frame rate as a fraction; MPEG-4 has 16 bits for it
constexpr int kQuality = 3;             // quantizer of codecs that take one: 1 is best, 31 worst
constexpr const char* kH264Quality = "20";

struct OutputEnd {
  void operator()(AVFormatContext* p) const {
    if (p->pb) api().avio_closep(&p->pb);
    api().avformat_free_context(p);
  }
};

// The container's usual codec, else one that FFmpeg always has.
const AVCodec* encoder_for(const AVOutputFormat& format) {
  for (const AVCodecID id : {format.video_codec, AV_CODEC_ID_MPEG4, AV_CODEC_ID_MJPEG})
    if (const AVCodec* found = id == AV_CODEC_ID_NONE ? nullptr : api().avcodec_find_encoder(id);
        found && api().avformat_query_codec(&format, id, FF_COMPLIANCE_NORMAL) != 0)
      return found;
  return nullptr;
}

AVPixelFormat pixel_format(const AVCodec& codec) {
  if (!codec.pix_fmts) return AV_PIX_FMT_YUV420P;
  for (const AVPixelFormat* f = codec.pix_fmts; *f != AV_PIX_FMT_NONE; ++f)
    if (*f == AV_PIX_FMT_YUV420P) return *f;
  return codec.pix_fmts[0];
}

}  // namespace

struct VideoWriter::Impl {
  Impl(const fs::path& file, int width, int height, double fps);
  ~Impl();
  void open_encoder(int width, int height, double fps);
  void encode(AVFrame* picture);

  fs::path file, temporary;
  std::string name;
  std::unique_ptr<AVFormatContext, OutputEnd> output;
  video::Codec codec;
  video::Frame frame;
  video::Packet packet;
  video::Scaler scaler;
  AVStream* stream = nullptr;   // of `output`
  bool finished = false;
};

VideoWriter::Impl::Impl(const fs::path& path, int width, int height, double fps)
    : file(path),
      temporary(path.parent_path() / concat(".", path.stem().string(), ".part", path.extension().string())),
      name(path.string()),
      frame(video::made(api().av_frame_alloc())),
      packet(video::made(api().av_packet_alloc())) {
  AVFormatContext* context = nullptr;
  api().avformat_alloc_output_context2(&context, nullptr, nullptr, temporary.c_str());
  if (!context) fail(name, ": its extension names no video format; expected such as .mp4, .avi or .mkv");
  output.reset(context);
  open_encoder(width, height, fps);
  check(api().avio_open(&context->pb, temporary.c_str(), AVIO_FLAG_WRITE), name, "cannot write");
  check(api().avformat_write_header(context, nullptr), name, "cannot write");
}

VideoWriter::Impl::~Impl() {
  if (finished) return;
  output.reset();
  std::error_code ignored;
  fs::remove(temporary, ignored);
}

void VideoWriter::Impl::open_encoder(int width, int height, double fps) {
  const AVCodec* encoder = encoder_for(*output->oformat);
  if (!encoder || width < 2 || height < 2) fail(name, ": no codec for videos of this format with frames of ", width, " x ", height);
  codec.reset(video::made(api().avcodec_alloc_context3(encoder)));
  codec->width = width / 2 * 2;
  codec->height = height / 2 * 2;
  codec->framerate = api().av_d2q(fps > 0 && std::isfinite(fps) ? fps : 25, kMaxRatePart);
  codec->time_base = av_inv_q(codec->framerate);
  codec->pix_fmt = pixel_format(*encoder);
  codec->thread_count = video::kCodecThreads;
  codec->flags |= AV_CODEC_FLAG_QSCALE | (output->oformat->flags & AVFMT_GLOBALHEADER ? AV_CODEC_FLAG_GLOBAL_HEADER : 0);
  codec->global_quality = FF_QP2LAMBDA * kQuality;
  if (codec->codec_id == AV_CODEC_ID_H264) {   // unknown to some encoders of H.264, which then take their own
    api().av_opt_set(codec->priv_data, "preset", "veryfast", 0);
    api().av_opt_set(codec->priv_data, "crf", kH264Quality, 0);
  }
  check(api().avcodec_open2(codec.get(), encoder, nullptr), name, "cannot be encoded");
  stream = video::made(api().avformat_new_stream(output.get(), nullptr));
  stream->time_base = codec->time_base;
  stream->avg_frame_rate = codec->framerate;
  check(api().avcodec_parameters_from_context(stream->codecpar, codec.get()), name, "cannot be encoded");
  frame->width = codec->width;
  frame->height = codec->height;
  frame->format = codec->pix_fmt;
  frame->quality = codec->global_quality;
  check(api().av_frame_get_buffer(frame.get(), 0), name, "no memory for a frame");
  scaler.reset(video::made(api().sws_getContext(codec->width, codec->height, AV_PIX_FMT_RGB24, codec->width, codec->height, codec->pix_fmt,
                                          SWS_BILINEAR | SWS_ACCURATE_RND, nullptr, nullptr, nullptr)));
  frame->pts = 0;
}

// `picture` null: what the encoder still has.
void VideoWriter::Impl::encode(AVFrame* picture) {
  check(api().avcodec_send_frame(codec.get(), picture), name, "cannot be encoded");
  for (;;) {
    const int code = api().avcodec_receive_packet(codec.get(), packet.get());
    if (code == AVERROR(EAGAIN) || code == AVERROR_EOF) return;
    check(code, name, "cannot be encoded");
    packet->stream_index = stream->index;
    api().av_packet_rescale_ts(packet.get(), codec->time_base, stream->time_base);
    check(api().av_interleaved_write_frame(output.get(), packet.get()), name, "cannot write");
  }
}

VideoWriter::VideoWriter(const fs::path& file, int width, int height, double fps) : impl_(std::make_unique<Impl>(file, width, height, fps)) {}
VideoWriter::~VideoWriter() = default;

void VideoWriter::write(const Image& image) {
  Impl& my = *impl_;
  ensure(image.channels == 3 && image.width / 2 * 2 == my.codec->width && image.height / 2 * 2 == my.codec->height, "frames of a video have one size");
  check(api().av_frame_make_writable(my.frame.get()), my.name, "no memory for a frame");
  const uint8_t* rows[4] = {image.pixels.data(), nullptr, nullptr, nullptr};
  const int strides[4] = {static_cast<int>(image.row()), 0, 0, 0};
  api().sws_scale(my.scaler.get(), rows, strides, 0, my.codec->height, my.frame->data, my.frame->linesize);
  my.encode(my.frame.get());
  ++my.frame->pts;
}

void VideoWriter::finish() {
  Impl& my = *impl_;
  my.encode(nullptr);
  check(api().av_write_trailer(my.output.get()), my.name, "cannot write");
  check(api().avio_closep(&my.output->pb), my.name, "cannot write");
  std::error_code code;
  fs::rename(my.temporary, my.file, code);
  if (code) fail(my.name, ": cannot write: ", code.message());
  my.finished = true;
}

}  // namespace dn
