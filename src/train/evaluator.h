// Runs a network over many images: an inference plan by mini-batches, the next images decoded while the network works, boxes mapped back to the
// images, non-maximum suppression as the last head asks for it. Behind in-training mAP and `detector test|map|valid|recall`.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "data/inference.h"
#include "graph/plan.h"
#include "nn/detection.h"

namespace dn {

struct EvaluatorOptions {
  int mini_batch = 4;            // images per forward pass
  float threshold = .005f;       // objectness and class probability at or below it are dropped
  float nms = .45f;              // overlap above which the weaker of two boxes of a class goes; 0: no suppression
  bool objectness_only = false;  // class probabilities are left out: prob has one entry, the objectness
  float hierarchy = .5f;         // class trees: a node is entered while its probability is above this
  std::vector<int> report;       // the heads' classes that are wanted, in this order; empty: all
  bool letter_box = false;
  bool embeddings = false;       // detections of heads with an embedding layer carry what it says of them
  int decode_threads = 1;
  int average_frames = 1;        // detect(): the heads' outputs are averaged over so many images
};

struct ImageDetections {
  size_t index = 0;                   // in the list
  int width = 0, height = 0;          // of the image; 0 when it could not be read
  std::string error;                  // why not; empty otherwise
  double seconds = 0;                 // the network's share: time of the forward pass / images in it
  std::vector<Detection> detections;  // boxes relative to the image, not clipped; at least one probability above the threshold
};

class Evaluator {
 public:
  // Takes the weights as they are in `network`. Throws Error when the network has no head or heads with different class counts.
  Evaluator(Network& network, Device& device, const EvaluatorOptions& options);
  ~Evaluator();
  // Calls `each` for every path, in order. An image that cannot be read is passed on with its error.
  // `each` returns false to stop early.
  void run(const std::vector<std::string>& paths, const std::function<bool(ImageDetections&&)>& each);
  // One image, for mini_batch = 1. It follows the one before, as the frames of a video do: recurrent layers go on from their state. index and width,
  // height are the caller's to read from what he gave. prepare() may run on another thread.
  InferenceImage prepare(const Image& image) const;
  ImageDetections detect(InferenceImage&& image);
  // Length of Detection::prob: the classes that are wanted.
  int classes() const { return options_.report.empty() ? classes_ : static_cast<int>(options_.report.size()); }
  const PlanReport& report() const { return plan_.report(); }

 private:
  struct Prepared;
  Prepared prepare(const std::vector<std::string>& paths, size_t first) const;
  std::vector<ImageDetections> detect(const Prepared& images, bool continues = false);
  void average_heads();

  Network& network_;
  Device& device_;
  EvaluatorOptions options_;
  int classes_ = 0;
  Plan plan_;
  bool continues_ = false;   // a single image was seen before
  std::deque<std::vector<std::vector<float>>> past_;   // per image, oldest first, and per head: its output
};

}  // namespace dn
