// FFmpeg's functions, its objects with their ends, and its error codes as errors. Only for the files of this folder that are built with FFmpeg.
//
// The libraries are opened when the first video is: they bring 200 others with them, which would make every start of the program ten times slower, and a
// program that was built with them also runs where they are missing.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/error.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>

#include "base/error.h"

// By library.
#define DN_AVUTIL(F) \
  F(av_strerror) F(av_log_set_level) F(av_frame_alloc) F(av_frame_free) F(av_frame_get_buffer) F(av_frame_make_writable) F(av_frame_unref) \
  F(av_opt_set) F(av_d2q)
#define DN_AVCODEC(F) \
  F(av_packet_alloc) F(av_packet_free) F(av_packet_rescale_ts) F(av_packet_unref) F(avcodec_alloc_context3) F(avcodec_find_encoder) \
  F(avcodec_free_context) F(avcodec_open2) F(avcodec_parameters_from_context) F(avcodec_parameters_to_context) F(avcodec_receive_frame) \
  F(avcodec_receive_packet) F(avcodec_send_frame) F(avcodec_send_packet)
#define DN_AVFORMAT(F) \
  F(av_find_best_stream) F(av_find_input_format) F(av_guess_frame_rate) F(av_interleaved_write_frame) F(av_read_frame) F(av_write_trailer) \
  F(avformat_alloc_context) F(avformat_alloc_output_context2) F(avformat_close_input) F(avformat_find_stream_info) F(avformat_free_context) \
  F(avformat_new_stream) F(avformat_open_input) F(avformat_query_codec) F(avformat_write_header) F(avio_closep) F(avio_open)
#define DN_SWSCALE(F) \
  F(sws_getContext) F(sws_freeContext) F(sws_scale)

namespace dn::video {

struct Api {
#define DN_DECLARE(name) decltype(&::name) name = nullptr;
  DN_AVUTIL(DN_DECLARE)
  DN_AVCODEC(DN_DECLARE)
  DN_AVFORMAT(DN_DECLARE)
  DN_SWSCALE(DN_DECLARE)
#undef DN_DECLARE
};

// Opens the libraries on the first call. Throws Error when one is missing.
const Api& api();
// A shared library by its file name, and a symbol in it. Throw Error.
void* open_library(const std::string& name);
void* symbol(void* library, const char* name);

struct Free {
  void operator()(AVCodecContext* p) const { api().avcodec_free_context(&p); }
  void operator()(AVFrame* p) const { api().av_frame_free(&p); }
  void operator()(AVPacket* p) const { api().av_packet_free(&p); }
  void operator()(SwsContext* p) const { api().sws_freeContext(p); }
};
using Codec = std::unique_ptr<AVCodecContext, Free>;
using Frame = std::unique_ptr<AVFrame, Free>;
using Packet = std::unique_ptr<AVPacket, Free>;
using Scaler = std::unique_ptr<SwsContext, Free>;

constexpr int kCodecThreads = 2;   // the network has the other cores

inline std::string reason(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  api().av_strerror(code, text, sizeof text);
  return text;
}

inline void check(int code, const std::string& file, const char* what) {
  if (code < 0) fail(file, ": ", what, ": ", reason(code));
}

template <class Pointer>
Pointer made(Pointer pointer) {
  if (!pointer) throw std::bad_alloc();
  return pointer;
}

// The input format of cameras; null: this program was built without libavdevice. Throws Error when that cannot be opened.
const AVInputFormat* camera_format();

}  // namespace dn::video
