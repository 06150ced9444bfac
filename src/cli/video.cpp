// detector demo: objects in a video, frame by frame. Three stages work at once, with a few frames between them: decoding and scaling | the network |
// drawing, encoding, writing. Opens no window.
#include <chrono>
#include <exception>
#include <fstream>
#include <thread>

#include "base/json.h"
#include "base/log.h"
#include "base/queue.h"
#include "cli/common.h"
#include "cli/detection_output.h"
#include "data/inference.h"
#include "train/stop_signal.h"
#include "train/validation.h"
#include "video/video.h"

namespace dn::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kWaiting = 4;               // frames between two stages
constexpr double kBenchmarkSeconds = 10;     // without -time_limit_sec
constexpr double kFpsWeight = .1;            // of the last frame in the smoothed rate

struct VideoRequest {
  std::string source;        // empty: a camera
  int camera = 0, skip = 0;
  float threshold = .25f, hierarchy = .5f;
  fs::path video, json;      // empty: not written
  std::string prefix;
  double time_limit = 0;     // seconds; 0: none
  bool draw = true, benchmark = false, extended = false, track = false;

  std::string name() const { return source.empty() ? concat("camera ", camera) : source; }
};

VideoRequest read_request(const Arguments& arguments, const ModelFiles& files) {
  VideoRequest request;
  if (!files.others.empty()) request.source = files.others.front();
  request.camera = static_cast<int>(arguments.integer("c", 0, 1000));
  request.skip = static_cast<int>(arguments.integer("s", 0, 1'000'000));
  request.threshold = static_cast<float>(arguments.real("thresh", 0, 1));
  request.hierarchy = static_cast<float>(arguments.real("hier", 0, 1));
  request.video = arguments.text("out_filename");
  request.json = arguments.text("json_file_output");
  request.prefix = arguments.text("prefix");
  request.time_limit = arguments.real("time_limit_sec", 0, 1e9);
  request.draw = !arguments.has("dontdraw_bbox");
  request.benchmark = arguments.has("benchmark");
  request.extended = arguments.has("ext_output");
  request.track = arguments.has("track");
  return request;
}

VideoReader open_reader(const VideoRequest& request) {
  const auto stopped = [] { return StopSignal::received() != 0; };
  return request.source.empty() ? VideoReader(request.camera, stopped) : VideoReader(request.source, stopped);
}

struct VideoFrame {
  int64_t index = 0;       // in the video, from 0
  Image image;
  InferenceImage input;    // until the network has seen it
  ImageDetections found;   // afterwards
};
using Frames = BoundedQueue<VideoFrame>;

// The last stage: what a frame leaves behind.
class Output {
 public:
  Output(const VideoRequest& request, const Names& names, const VideoInfo& info)
      : request_(request),
        names_(names),
        progress_("frames", info.frames / (request.skip + 1), "frames"),
        start_(Clock::now()),
        last_(start_) {
    if (!request.video.empty()) video_ = std::make_unique<VideoWriter>(request.video, info.width, info.height, info.fps / (request.skip + 1));
    if (!request.json.empty()) {
      json_.open(request.json, std::ios::trunc);
      if (!json_) fail(request.json.string(), ": cannot write");
    }
    known_length_ = info.frames > 0;
  }

  void take(VideoFrame&& frame) {
    ++frames_;
    say(frame);
    if (json_.is_open()) {
      json_ << json_text_of_any(detection_json(frame.found, request_.name(), names_, request_.threshold)) << std::endl;
      if (!json_) fail(request_.json.string(), ": cannot write");
    }
    if (request_.draw && (video_ || !request_.prefix.empty())) draw_detections(frame.image, draw_items(frame.found, names_, request_.threshold));
    if (video_) video_->write(frame.image);
    if (!request_.prefix.empty()) save_image(numbered(frame.index + 1), frame.image);
    if (known_length_) progress_.update(frames_);
  }

  void finish() {
    if (video_) video_->finish();
  }
  int64_t frames() const { return frames_; }
  double rate() const { return static_cast<double>(frames_) / std::max(1e-9, std::chrono::duration<double>(Clock::now() - start_).count()); }

 private:
  fs::path numbered(int64_t number) const {
    constexpr size_t kDigits = 8;
    std::string digits = concat(number);
    digits.insert(0, kDigits - std::min(kDigits, digits.size()), '0');
    return concat(request_.prefix, "_", digits, ".jpg");
  }
  void say(const VideoFrame& frame) {
    const Clock::time_point now = Clock::now();
    const double seconds = std::max(1e-9, std::chrono::duration<double>(now - last_).count());
    last_ = now;
    fps_ = frames_ == 1 ? 1 / seconds : (1 - kFpsWeight) * fps_ + kFpsWeight / seconds;
    std::string text = "Objects:\n\n";
    for (const std::string& line : detection_lines(frame.found, names_, request_.threshold, request_.extended)) text += line + "\n";
    log::say(concat(text, "\nFPS:", fixed(fps_, 1), " \t AVG_FPS:", fixed(rate(), 1)));
  }

  const VideoRequest& request_;
  const Names& names_;
  log::Progress progress_;
  bool known_length_ = false;
  std::unique_ptr<VideoWriter> video_;
  std::ofstream json_;   // line by line, so that it can be followed
  Clock::time_point start_, last_;
  double fps_ = 0;
  int64_t frames_ = 0;
};

// A stage on a thread of its own, which ends its queues however it ends.
class Stage {
 public:
  template <class Work>
  Stage(std::initializer_list<Frames*> queues, Work work)
      : thread_([this, queues = std::vector<Frames*>(queues), work = std::move(work)] {
          try {
            work();
          } catch (...) {
            failure_ = std::current_exception();
          }
          for (Frames* queue : queues) queue->close();
        }) {}
  // Waits, and throws what went wrong.
  void join() {
    thread_.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::exception_ptr failure_;
  std::jthread thread_;
};

struct Clip {
  int64_t frames = 0, skipped = 0;
  double rate = 0;
};

Clip run_pipeline(const VideoRequest& request, VideoReader& reader, Evaluator& evaluator, Tracker* tracker, Output& output) {
  const Clock::time_point start = Clock::now();
  const auto over = [&] {
    return StopSignal::received() || (request.time_limit > 0 && std::chrono::duration<double>(Clock::now() - start).count() >= request.time_limit);
  };
  Frames decoded(kWaiting), seen(kWaiting);
  std::exception_ptr failure;
  Stage decode({&decoded}, [&] {
    Image image;
    for (int64_t index = 0; !over() && reader.read(image); ++index) {
      if (index % (request.skip + 1) != 0) continue;
      VideoFrame frame{index, image, evaluator.prepare(image), {}};
      if (!decoded.push(std::move(frame))) return;
    }
  });
  Stage write({&seen}, [&] {
    while (auto frame = seen.pop()) output.take(std::move(*frame));
  });
  try {
    while (auto frame = decoded.pop()) {
      frame->found = evaluator.detect(std::move(frame->input));
      frame->found.index = static_cast<size_t>(frame->index);
      if (tracker) tracker->next(frame->found.detections);
      if (!seen.push(std::move(*frame))) break;
    }
  } catch (...) {
    failure = std::current_exception();
  }
  decoded.close();
  seen.close();
  write.join();
  decode.join();
  if (failure) std::rethrow_exception(failure);
  output.finish();
  return {output.frames(), reader.skipped(), output.rate()};
}

// The network alone, on one frame.
Clip run_benchmark(const VideoRequest& request, VideoReader& reader, Evaluator& evaluator) {
  Image image;
  if (!reader.read(image)) fail(request.name(), ": no frame that can be decoded");
  const double limit = request.time_limit > 0 ? request.time_limit : kBenchmarkSeconds;
  const Clock::time_point start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  Clip clip;
  while (elapsed() < limit && !StopSignal::received()) {
    evaluator.detect(evaluator.prepare(image));
    ++clip.frames;
  }
  clip.rate = static_cast<double>(clip.frames) / elapsed();
  return clip;
}

}  // namespace

int video(const Arguments& arguments) {
  const ModelFiles files = model_files(arguments);
  const VideoRequest request = read_request(arguments, files);
  const DataFile data = read_data_file(files.data);
  const StopSignal stop;
  VideoReader reader = open_reader(request);
  Network network = load_model(files.cfg, *files.weights);
  const std::unique_ptr<Device> opened = inference_device(arguments);
  Device& device = *opened;
  EvaluatorOptions options = evaluator_options(network, device, 1);
  options.mini_batch = 1;
  options.threshold = request.threshold;
  options.hierarchy = request.hierarchy;
  options.letter_box |= arguments.has("letter_box");
  options.average_frames = static_cast<int>(arguments.integer("avgframes", 1, 1000));
  options.embeddings = request.track;
  std::optional<Tracker> tracker;
  if (request.track) tracker = make_tracker(network);
  Evaluator evaluator(network, device, options);
  const Names names = class_names(data, evaluator.classes());
  const VideoInfo& info = reader.info();
  log::say(concat(request.name(), ": ", info.width, " x ", info.height, ", ", fixed(info.fps, 2), " frames/s",
                  info.seconds > 0 ? concat(", ", duration_text(info.seconds)) : ""));
  Clip clip;
  if (request.benchmark) {
    clip = run_benchmark(request, reader, evaluator);
  } else {
    Output output(request, names, info);
    clip = run_pipeline(request, reader, evaluator, tracker ? &*tracker : nullptr, output);
  }
  log::say(concat(clip.frames, " frames, ", fixed(clip.rate, 1), " frames/s", clip.skipped > 0 ? concat(", ", clip.skipped, " could not be decoded") : ""));
  for (const fs::path& file : {request.video, request.json})
    if (!file.empty() && !request.benchmark) log::say(concat("saved: ", file.string()));
  if (clip.frames == 0 && !StopSignal::received()) fail(request.name(), ": no frame that could be decoded");
  return StopSignal::received() ? 128 + StopSignal::received() : 0;
}

}  // namespace dn::cli
