#include "train/evaluator.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "device/cpu/device.h"
#include "device/cpu/parallel.h"
#include "image/decode.h"

namespace dn {
namespace {

int common_classes(const Network& network) {
  const auto heads = network.heads();
  if (heads.empty()) fail(network.file(), ": no detection head; expected [yolo] or another head");
  const auto layers = network.head_layers();
  for (size_t i = 0; i < heads.size(); ++i)
    if (heads[i]->classes() != heads.back()->classes())
      fail(network.layers()[static_cast<size_t>(layers[i])]->section().where(), ": classes = ", heads[i]->classes(), ": expected ",
           heads.back()->classes(), " as in the last head");
  return heads.back()->classes();
}

// What a detection must pass: a class above the threshold. With `objectness_only` its objectness takes the place of the classes.
void keep_probable(std::vector<Detection>& detections, bool objectness_only) {
  if (objectness_only)
    for (Detection& d : detections) d.prob.assign(1, d.objectness);
  std::erase_if(detections, [](const Detection& d) { return std::none_of(d.prob.begin(), d.prob.end(), [](float p) { return p > 0; }); });
}

}  // namespace

struct Evaluator::Prepared {
  size_t first = 0, count = 0;
  PixelFloats pixels;                  // [mini_batch,C,H,W]; what is not read is 0
  std::vector<InferenceImage> frames;  // sizes and placement; without pixels
  std::vector<std::string> errors;
};

Evaluator::Evaluator(Network& network, Device& device, const EvaluatorOptions& options)
    : network_(network),
      device_(device),
      options_(options),
      classes_(common_classes(network)),
      plan_(network, device, network.input(options.mini_batch), PlanOptions{}) {}

Evaluator::~Evaluator() = default;

Evaluator::Prepared Evaluator::prepare(const std::vector<std::string>& paths, size_t first) const {
  const Shape input = plan_.input_shape();
  Prepared result;
  result.first = first;
  result.count = std::min(paths.size() - first, static_cast<size_t>(input.n));
  result.pixels.reserve(input.count());
  std::fill_n(result.pixels.data(), input.count(), 0.f);
  result.frames.resize(result.count);
  result.errors.resize(result.count);
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < result.count; i = next++) {
      try {
        const Image image = load_image(paths[first + i], input.c);
        fill_network_input(image, input.w, input.h, options_.letter_box, result.pixels.data() + i * input.per_image());
        result.frames[i] = {{},      image.width, image.height,
                            input.w, input.h,     place_image(image.width, image.height, input.w, input.h, options_.letter_box)};
      } catch (const std::exception& e) {
        result.errors[i] = e.what();
      }
    }
  };
  {
    std::vector<std::jthread> helpers;
    for (int t = 1; t < std::min(options_.decode_threads, static_cast<int>(result.count)); ++t) helpers.emplace_back(work);
    work();
  }
  return result;
}

std::vector<ImageDetections> Evaluator::detect(const Prepared& images, bool continues) {
  const auto start = std::chrono::steady_clock::now();
  plan_.set_input(images.pixels.data());
  Pass pass;
  pass.weights_version = network_.params().version();
  pass.continues = continues;
  plan_.forward(pass);
  device_.synchronize();
  if (options_.average_frames > 1) average_heads();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const auto heads = network_.heads();
  const auto layers = network_.head_layers();
  std::vector<Tensor> outputs, embeddings;   // by this thread: it is the one that has the device
  for (size_t h = 0; h < heads.size(); ++h) {
    outputs.push_back(plan_.output(layers[h]));
    const int layer = options_.embeddings ? heads[h]->embedding_layer() : -1;
    embeddings.push_back(layer >= 0 ? plan_.output(layer) : Tensor{});
  }
  const DecodeOptions decode{options_.threshold, options_.hierarchy, options_.report};
  std::vector<ImageDetections> results(images.count);
  cpu::parallel_for(device_.threads(), images.count, [&](size_t i) {
    ImageDetections& result = results[i];
    result.index = images.first + i;
    result.error = images.errors[i];
    result.seconds = seconds / static_cast<double>(plan_.input_shape().n);
    if (!result.error.empty()) return;
    result.width = images.frames[i].width;
    result.height = images.frames[i].height;
    for (size_t h = 0; h < heads.size(); ++h) {
      const size_t before = result.detections.size();
      heads[h]->decode(outputs[h], static_cast<int>(i), plan_.input_shape(), decode, result.detections);
      if (embeddings[h])
        take_embeddings(embeddings[h], static_cast<int>(i), heads[h]->anchors_per_cell(), std::span(result.detections).subspan(before));
    }
    keep_probable(result.detections, options_.objectness_only);
    for (Detection& d : result.detections) d.box = to_image(d.box, images.frames[i]);
    if (options_.nms > 0)
      suppress(result.detections, options_.objectness_only ? 1 : classes(), options_.nms, heads.back()->nms_kind(), heads.back()->beta_nms());
    keep_probable(result.detections, false);
  });
  return results;
}

InferenceImage Evaluator::prepare(const Image& image) const {
  const Shape input = plan_.input_shape();
  ensure(input.n == 1, "single images are for a plan of one");
  if (image.channels == input.c) return prepare_for_inference(image, input.w, input.h, options_.letter_box);
  return prepare_for_inference(detail::to_channels(image, input.c), input.w, input.h, options_.letter_box);
}

ImageDetections Evaluator::detect(InferenceImage&& image) {
  Prepared one;
  one.count = 1;
  one.pixels = std::move(image.pixels);
  one.frames.push_back(std::move(image));
  one.errors.resize(1);
  const bool continues = std::exchange(continues_, true);
  return std::move(detect(one, continues).front());
}

// The heads' outputs become the mean of the last images' ones.
void Evaluator::average_heads() {
  const auto layers = network_.head_layers();
  std::vector<std::vector<float>> now;
  for (const int layer : layers) {
    const Tensor output = plan_.output(layer);
    now.emplace_back(output.data, output.data + output.desc.count());
  }
  past_.push_back(std::move(now));
  if (past_.size() > static_cast<size_t>(options_.average_frames)) past_.pop_front();
  for (size_t h = 0; h < layers.size(); ++h) {
    float* output = plan_.output(layers[h]).data;
    for (size_t i = 0; i < past_.front()[h].size(); ++i) {
      double sum = 0;
      for (const auto& image : past_) sum += static_cast<double>(image[h][i]);
      output[i] = static_cast<float>(sum / static_cast<double>(past_.size()));
    }
  }
}

void Evaluator::run(const std::vector<std::string>& paths, const std::function<bool(ImageDetections&&)>& each) {
  if (paths.empty()) return;
  const size_t step = static_cast<size_t>(plan_.input_shape().n);
  Prepared now = prepare(paths, 0);
  for (size_t first = 0; first < paths.size(); first += step) {
    std::future<Prepared> next;
    if (first + step < paths.size()) next = std::async(std::launch::async, [&, first] { return prepare(paths, first + step); });
    for (ImageDetections& result : detect(now))
      if (!each(std::move(result))) return;
    if (next.valid()) now = next.get();
  }
}

}  // namespace dn
