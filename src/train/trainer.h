// The training run: data, plans, optimizer, snapshots, evaluation and what is said about them, tied together by one short loop.
//
//   while (iteration < max_batches): size -> batch -> forward, backward per mini-batch -> update -> log, snapshots, mAP, chart
#pragma once

#include <memory>
#include <optional>

#include "config/data_file.h"
#include "data/dataset.h"
#include "data/loader.h"
#include "train/device_choice.h"
#include "train/image_feed.h"
#include "train/iteration_log.h"
#include "train/loss_scale.h"
#include "train/map_cadence.h"
#include "train/optimizer.h"
#include "train/plan_cache.h"
#include "train/precise_statistics.h"
#include "train/replicas.h"
#include "train/run_chart.h"
#include "train/sample_pictures.h"
#include "train/snapshots.h"
#include "train/validation.h"
#include "train/weight_average.h"
#include "train/weights_file.h"

namespace dn {

inline constexpr uint64_t kDefaultSeed = 1;   // of weights, sampling, augmentation, sizes
inline constexpr int kMaxSkippedInARow = 10;  // updates left out before a run gives up

struct TrainOptions {
  fs::path data, cfg;
  std::optional<fs::path> weights;
  bool clear = false;  // start at iteration 0 whatever the weights say
  bool map = false;    // evaluate during training
  double map_epochs = 4;
  double confidence = .25, iou_threshold = .5;  // of the precision/recall report and of a true positive
  int points = 0;                               // recall points of the AP; 0: area under the curve
  uint64_t seed = kDefaultSeed;
  DeviceChoice device;          // a GPU's choice of convolutions is kept in NAME_cudnn.json, beside the snapshots
  size_t memory = 0;            // bytes for everything (TrainingPlanRequest)
  bool auto_subdivisions = false;   // what does not fit is cut into more mini-batches
  int loader_threads = 0;       // 0: one in eight cores, at least one
  int show_samples = 0;         // the first augmented samples as pictures in NAME_samples, beside the snapshots
  fs::path chart_folder = ".";  // chart.png and chart_NAME.png, as in the family
};

// Where one thinks of training as wasted or impossible; checked before anything else is done. Throws Error.
void check_training(const Network& network, const WeightsInfo* weights, const TrainOptions& options);
// Throws Error when a layer is to keep running statistics that were never loaded.
void check_frozen_statistics(const Network& network);
// How a run draws its samples.
LoaderOptions loader_options(const Network& network, const TrainOptions& options);
// The device of a run, whose GPU keeps what it measures of convolutions in the folder of the snapshots.
std::unique_ptr<Device> training_device(const TrainOptions& options, const DataFile& data);
// Updates already behind a run that starts with these weights.
int64_t starting_iteration(const Network& network, const WeightsInfo* weights, bool clear);

// The "map" line of metrics.jsonl.
nlohmann::ordered_json map_event(const MapReport& result, int64_t iteration, double seconds);

class Trainer {
 public:
  // Everything that can be wrong with what the user gave is found here, before the first iteration. Throws Error.
  explicit Trainer(const TrainOptions& options);
  ~Trainer();
  // Trains. Returns the exit code: 0; 130 or 143 after SIGINT or SIGTERM, with _last written. Throws Error when the run cannot go on.
  int run();
  int64_t iteration() const { return iteration_; }
  double best_map() const { return history_.best_map; }  // negative: never evaluated
  const Network& network() const { return network_; }
  const Snapshots& snapshots() const { return *snapshots_; }

 private:
  void load();
  void open_validation(const Head& head);
  void take_state();
  void reserve();
  void open_replicas();
  [[noreturn]] void refuse(const OutOfMemory& why);
  void take_plans();
  void make_room(int images);
  void announce();
  Plan& plan();   // of this iteration
  int mini_batch() const;   // of this iteration
  BytesThere there() const;
  std::unique_ptr<PreciseStatistics> precise_statistics();   // null without precise_bn
  std::unique_ptr<WeightAverage::InPlace> averaged_weights();   // null as long as there are no averages
  void after_update(int frozen_layers);
  void save_averages();
  void iterate();
  IterationNumbers step(Plan& plan, const Batch& batch);
  void forward_backward(Plan& plan, const Batch& batch, IterationNumbers& numbers);
  void compute(Plan& plan, ImageFeed& feed, std::span<const BatchStep> steps, const Batch& batch) const;
  void finish_rejection();
  void move_loss_scale(const UpdateReport& update);
  void give_up_if_diverged(const UpdateReport& update) const;
  void record(IterationNumbers& numbers);
  void note_bad_samples();
  void show_samples(const Batch& batch);
  void evaluate();
  int finish(int signal);
  void summarize() const;

  TrainOptions options_;
  DataFile data_;
  Network network_;
  std::unique_ptr<Device> device_;
  Dataset images_;
  WeightsInfo weights_;
  int64_t start_ = 0, iteration_ = 0;
  Resizer resizer_;
  std::unique_ptr<Validation> validation_;
  std::unique_ptr<Snapshots> snapshots_;
  std::unique_ptr<MetricsFile> metrics_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<WeightAverage> averages_;   // null without ema_alpha
  LossScale loss_scale_;
  BatchLayout layout_;   // of the loader
  std::unique_ptr<ImageFeed> feed_;
  std::unique_ptr<Loader> loader_;
  std::unique_ptr<SamplePictures> pictures_;
  RunHistory history_;
  RunChart chart_;
  PlanCache plans_;
  std::unique_ptr<Replicas> replicas_;   // null: one device computes
  PlanReport largest_;   // of a plan of this run, at the first iteration's input size
  MapCadence map_cadence_;
  AverageLoss average_;
  TimeLeft time_left_;
  double seconds_ = 0, waited_ = 0;  // of all iterations of this session
  int64_t substituted_ = 0;
};

}  // namespace dn
