#include "train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "base/log.h"
#include "data/check.h"
#include "nn/detection.h"
#include "train/banner.h"
#include "train/batch_schedule.h"
#include "train/precise_statistics.h"
#include "train/schedule.h"
#include "train/similar_filters.h"
#include "train/stop_signal.h"
#include "train/update_rules.h"

namespace dn {
namespace {

constexpr size_t kPlansKept = 2;
constexpr int64_t kChartPeriod = 100, kLinePeriod = 100;

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

fs::path train_list(const DataFile& data) {
  if (data.train.empty()) fail(data.file, ": train is missing: expected the path of a list of images");
  return resolve_path(data.train, data.file);
}

}  // namespace

LoaderOptions loader_options(const Network& network, const TrainOptions& options) {
  const NetSpec& net = network.spec();
  const Head& head = *network.heads().back();
  LoaderOptions loader;
  loader.sample.seed = options.seed;
  loader.sample.batch = net.batch;
  loader.sample.classes = head.label_classes();
  loader.sample.channels = net.channels;
  loader.sample.augmentation = make_augmentation(net, static_cast<double>(head.jitter()), static_cast<double>(head.resize()), head.max_truths());
  loader.sample.layout = make_batch_layout(net);
  loader.threads = options.loader_threads > 0 ? options.loader_threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 8);
  return loader;
}

Trainer::Trainer(const TrainOptions& options)
    : options_(options),
      data_(read_data_file(options.data)),
      network_(Network::from_cfg(options.cfg)),
      device_(training_device(options, data_)),
      images_(train_list(data_)),
      resizer_(network_, options.seed),
      loss_scale_(LossScale::of(*device_)),
      chart_(options.chart_folder, run_name(options.cfg), network_.spec().max_batches, network_.spec().max_chart_loss),
      plans_(network_, *device_, kPlansKept),
      map_cadence_(network_.spec(), images_.size(), options.map_epochs, 0) {
  plans_.set_memory(options_.memory);
  plans_.set_smaller_batches(options_.auto_subdivisions);
  check_training(network_, nullptr, options_);
  load();
  const Head& head = *network_.heads().back();
  for (const std::string& line : summary(check_dataset(images_, head.label_classes(), head.max_truths(), device_->threads()))) log::say(line);
  if (data_.classes > 0 && data_.classes != head.classes() && data_.classes != head.label_classes())
    log::warn(
        concat(data_.file, ": classes = ", data_.classes, ", but the cfg's heads have ", head.classes(), ": labels of other classes are left out"));
  if (options_.map) open_validation(head);
  const std::string name = run_name(options_.cfg);
  snapshots_ = std::make_unique<Snapshots>(network_, output_folder(data_.backup, data_.file), name,
                                           SnapshotRules::from(data_, network_.spec().max_batches), iteration_);
  const fs::path metrics = snapshots_->folder() / "metrics.jsonl";
  history_ = read_history(metrics, name, iteration_);
  if (network_.rejection() && history_.rejection) network_.rejection()->set_state(*history_.rejection);
  metrics_ = std::make_unique<MetricsFile>(metrics, name);
  chart_.start_from(history_);
  if (!history_.average_loss.empty()) average_.start_from(history_.average_loss.back().value);
  take_state();
  reserve();
  open_replicas();
}

Trainer::~Trainer() = default;

void Trainer::open_validation(const Head& head) {
  validation_ = std::make_unique<Validation>(data_, head, ValidationOptions{options_.confidence, options_.iou_threshold, options_.points});
  if (const size_t common = overlap(images_, validation_->images()); common > 0)
    log::warn(
        concat(common, " of the ", validation_->images().size(), " validation images are trained on too: their mAP says little about new images"));
}

void Trainer::load() {
  network_.params().initialize(options_.seed);
  if (!options_.weights) return check_frozen_statistics(network_);
  weights_ = load_weights(network_, *options_.weights);
  check_frozen_statistics(network_);
  start_ = iteration_ = starting_iteration(network_, &weights_, options_.clear);
  check_training(network_, &weights_, options_);
  map_cadence_ = MapCadence(network_.spec(), images_.size(), options_.map_epochs, start_);
}

std::unique_ptr<PreciseStatistics> Trainer::precise_statistics() {
  if (network_.spec().norm.precise == 0) return nullptr;
  return std::make_unique<PreciseStatistics>(network_, plan(), images_, loader_options(network_, options_));
}

std::unique_ptr<WeightAverage::InPlace> Trainer::averaged_weights() {
  if (!averages_ || !averages_->started()) return nullptr;
  return std::make_unique<WeightAverage::InPlace>(*averages_);
}

void Trainer::announce() {
  RunFacts facts{options_,
                 network_,
                 *device_,
                 resizer_,
                 images_.size(),
                 start_,
                 options_.weights ? &weights_ : nullptr,
                 largest_,
                 snapshots_->folder(),
                 validation_ ? map_cadence_.next() : -1};
  for (const std::string& line : banner(facts)) log::say(line);
  if (replicas_) log::say(replicas_->text());
  metrics_->write("start", start_event(facts));
  LoaderOptions loading = loader_options(network_, options_);
  layout_ = loading.sample.layout;
  feed_ = std::make_unique<ImageFeed>(*device_, options_.show_samples > 0);
  feed_->prepare(loading);
  loader_ = std::make_unique<Loader>(images_, loading);
}

int Trainer::run() {
  const StopSignal stop;
  announce();
  try {
    while (iteration_ < network_.spec().max_batches && !StopSignal::received()) iterate();
  } catch (const Error& e) {
    snapshots_->try_save("last", iteration_);
    chart_.draw();
    metrics_->write("end", {{"iteration", iteration_}, {"reason", e.what()}});
    throw;
  }
  return finish(StopSignal::received());
}

void Trainer::iterate() try {
  Plan& plan = this->plan();
  const Batch& batch = loader_->next(static_cast<uint64_t>(iteration_), plan.input_shape().w, plan.input_shape().h);
  show_samples(batch);
  IterationNumbers numbers = step(plan, batch);
  record(numbers);
  note_bad_samples();
  const std::vector<fs::path> saved = snapshots_->maybe(iteration_);
  for (const fs::path& file : saved) metrics_->write("save", {{"iteration", iteration_}, {"file", file.string()}});
  if (!saved.empty()) save_averages();
  if (validation_ && !StopSignal::received() && map_cadence_.due(iteration_)) evaluate();
  if (iteration_ % kChartPeriod == 0) chart_.draw();
} catch (const OutOfMemory& why) {
  refuse(why);
}

IterationNumbers Trainer::step(Plan& plan, const Batch& batch) {
  const auto start = Clock::now();
  const NetSpec& net = network_.spec();
  IterationNumbers numbers;
  numbers.load_wait = batch.wait_seconds;
  numbers.width = batch.width;
  numbers.height = batch.height;
  numbers.batch = net.batch;
  optimizer_->begin_batch();
  forward_backward(plan, batch, numbers);
  // The rate counts updates including this one, as the family does: the first is rate(1).
  numbers.iteration = iteration_ + 1;
  numbers.rate = rate(net, numbers.iteration, options_.seed);
  const int frozen = network_.frozen(iteration_).parameters;
  const UpdateReport update = optimizer_->update(numbers.rate, frozen, numbers.iteration, loss_scale_.value());
  numbers.gradient_norm = update.gradient_norm;
  numbers.skipped = !update.applied;
  move_loss_scale(update);
  ++iteration_;
  after_update(frozen);
  finish_rejection();
  numbers.average_loss = average_.update(numbers.loss);
  numbers.images = iteration_ * net.batch;
  numbers.seconds = seconds_since(start);
  return numbers;
}

void Trainer::after_update(int frozen_layers) {
  const NetSpec& net = network_.spec();
  if (averages_ && averages_->update(iteration_))
    log::say(concat(" Training goes on from the averages of the weights (ema_alpha = ", net.ema_alpha, ")"));
  if (!similar_filters_due(net, iteration_)) return;
  for (const RenewedFilter& f : renew_similar_filters(network_, *optimizer_, iteration_, options_.seed, frozen_layers, device_->threads()))
    log::say(concat(" layer ", f.layer, ": filter ", f.filter, " starts anew, its cosine with filter ", f.like, " was ", fixed(f.cosine, 2)));
}

// Beside the weights that were just saved, as NAME_ema.
void Trainer::save_averages() {
  const auto averaged = averaged_weights();
  if (averaged && snapshots_->try_save("ema", iteration_))
    metrics_->write("save", {{"iteration", iteration_}, {"file", snapshots_->file("ema").string()}});
}

void Trainer::forward_backward(Plan& plan, const Batch& batch, IterationNumbers& numbers) {
  const int mini_batch = plan.input_shape().n;
  const std::vector<BatchStep> steps = batch_schedule(network_.spec(), network_.spec().batch / mini_batch);
  const Replicas::Work work = [&](Plan& of_device, ImageFeed& feed, std::span<const BatchStep> own) { compute(of_device, feed, own, batch); };
  if (replicas_)
    replicas_->share(steps, {resizer_.at(iteration_), mini_batch, network_.frozen(iteration_)}, plan, *feed_, work);
  else
    work(plan, *feed_, steps);
  for (const auto& layer : network_.layers())
    if (layer->has_loss()) {
      LossReport sum = plan.take_losses(layer->index());
      if (replicas_) sum += replicas_->take_losses(layer->index());
      numbers.heads.push_back({layer->index(), sum});
    }
  feed_->finish_batch();
  // The family's loss: the mean over the layers that have one, per image.
  for (const HeadNumbers& head : numbers.heads) numbers.loss += head.sum.cost / static_cast<double>(numbers.heads.size());
  numbers.loss /= network_.spec().batch;
}

// On one device. Reads nothing that a batch changes: several call it at a time.
void Trainer::compute(Plan& plan, ImageFeed& feed, std::span<const BatchStep> steps, const Batch& batch) const {
  const NetSpec& net = network_.spec();
  const int parts = net.batch / plan.input_shape().n;
  const BatchFacts facts{plan.input_shape().n, parts, static_cast<uint64_t>(iteration_), options_.seed, batch.truth, layout_};
  for (const BatchStep& work : steps) {
    Pass pass = pass_of(work, facts);
    pass.progress = static_cast<double>(iteration_) / net.max_batches;
    pass.loss_scale = loss_scale_.value();
    feed.set_input(plan, batch, pass.first_image);
    plan.forward(pass);
    if (work.backward) plan.backward(pass);
  }
}

// Its state goes to the log after every batch that moved it, where a resumed run finds it.
void Trainer::finish_rejection() {
  LabelRejection* rejection = network_.rejection();
  if (!rejection) return;
  if (const DeltaSums batch = rejection->finish_batch(); batch.count > 0)
    metrics_->write("rejection", rejection_event(rejection->state(), batch, iteration_));
}

void Trainer::record(IterationNumbers& numbers) {
  seconds_ += numbers.seconds;
  waited_ += numbers.load_wait;
  const int64_t end = network_.spec().max_batches;
  const double hours = time_left_.update(end - iteration_, numbers.seconds + numbers.load_wait);
  const std::string line = classic_line(numbers, hours);
  const bool terminal = log::stdout_is_terminal();
  if (!terminal || iteration_ % kLinePeriod == 0 || iteration_ == end) {
    for (const HeadNumbers& numbers_of : numbers.heads)
      if (const Head* head = network_.layers()[static_cast<size_t>(numbers_of.layer)]->head())
        if (const std::string of_head = head->loss_line(numbers_of.sum); !of_head.empty()) log::say(of_head);
    log::say(line);
  }
  if (terminal)
    log::status(concat(iteration_, "/", end, ": loss ", fixed(numbers.loss, 2), ", avg ", fixed(numbers.average_loss, 2), ", rate ",
                       fixed(numbers.rate, 6), ", ", fixed(numbers.batch / std::max(1e-9, numbers.seconds + numbers.load_wait), 1), " images/s, ",
                       history_.best_map >= 0 ? concat("best mAP ", fixed(100 * history_.best_map, 2), " %, ") : "", duration_text(hours * 3600),
                       " left"));
  chart_.add(numbers);
  metrics_->write(numbers.skipped ? "skipped" : "iteration", to_json(numbers));
}

void Trainer::note_bad_samples() {
  const int64_t now = loader_->substituted();
  if (now == substituted_) return;
  substituted_ = now;
  const std::vector<std::string> bad = loader_->bad_samples();
  std::string text;
  for (const std::string& line : bad) text += line + "\n";
  const fs::path file = snapshots_->folder() / "bad_samples.txt";
  try {
    write_file(file, text);
  } catch (const Error& e) {
    log::warn(e.what());
  }
  metrics_->write("bad_sample", {{"iteration", iteration_}, {"images", bad.size()}, {"substituted", now}});
  log::warn(
      concat("images that cannot be used are replaced by others; the list is in ", file.string(), ", the first: ", bad.empty() ? "" : bad.front()));
}

void Trainer::show_samples(const Batch& batch) {
  if (options_.show_samples == 0) return;
  if (!pictures_) {
    const fs::path file = data_.names.empty() ? fs::path() : resolve_path(data_.names, data_.file);
    const Head& head = *network_.heads().back();
    std::vector<std::string> names = fs::exists(file) ? read_names(file) : std::vector<std::string>();
    if (names.size() == static_cast<size_t>(head.classes())) names = reported_names(std::move(names), head.class_map());   // of the labels' classes
    pictures_ = std::make_unique<SamplePictures>(snapshots_->folder() / concat(snapshots_->name(), "_samples"), std::move(names), options_.show_samples);
  }
  if (pictures_->add(batch)) log::say(concat(options_.show_samples, " augmented samples with their boxes: ", pictures_->folder().string()));
}

void Trainer::evaluate() {
  const auto start = Clock::now();
  const auto averaged = averaged_weights();   // what is measured is what is saved as best
  if (averaged) log::say(" of the averages of the weights (ema_alpha):");
  const auto precise = precise_statistics();
  make_room(evaluator_options(network_, *device_, validation_->paths().size()).mini_batch);
  const std::optional<MapReport> result = validation_->run(network_, *device_);
  if (!result) return;  // interrupted
  map_cadence_.done(iteration_);
  const double map = result->map;
  chart_.add_map(iteration_, map);
  // The family's rule: a later snapshot that is as good replaces the earlier one.
  if (map >= history_.best_map) {
    history_.best_map = map;
    history_.best_iteration = iteration_;
    if (snapshots_->try_save("best", iteration_)) log::say(concat(" New best mAP: ", snapshots_->file("best").string()));
  }
  log::say(concat(" Last accuracy mAP@", fixed(options_.iou_threshold, 2), " = ", fixed(100 * map, 2),
                  " %, best = ", fixed(100 * history_.best_map, 2), " % at iteration ", history_.best_iteration));
  metrics_->write("map", map_event(*result, iteration_, seconds_since(start)));
  chart_.draw();
}

int Trainer::finish(int signal) {
  chart_.draw();
  if (signal != 0) {
    const fs::path file = snapshots_->save("last", iteration_);
    save_averages();
    metrics_->write("end", {{"iteration", iteration_}, {"reason", concat("signal ", signal)}});
    log::say(concat("stopped after iteration ", iteration_, " by a signal; go on with: darknet detector train ", options_.data.string(), " ",
                    options_.cfg.string(), " ", file.string(), options_.map ? " -map" : ""));
    return 128 + signal;
  }
  if (const auto averaged = averaged_weights()) {
    const auto precise = precise_statistics();
    snapshots_->save("ema", iteration_);
    metrics_->write("save", {{"iteration", iteration_}, {"file", snapshots_->file("ema").string()}});
  }
  const auto precise = precise_statistics();
  const fs::path file = snapshots_->save("final", iteration_);
  metrics_->write("save", {{"iteration", iteration_}, {"file", file.string()}});
  metrics_->write("end", {{"iteration", iteration_},
                          {"reason", "max_batches"},
                          {"seconds", seconds_ + waited_},
                          {"load_wait_s", waited_},
                          {"skipped", optimizer_->skipped()},
                          {"best_map", history_.best_map}});
  summarize();
  return 0;
}

void Trainer::summarize() const {
  const double total = seconds_ + waited_, images = static_cast<double>(iteration_ - start_) * network_.spec().batch;
  log::say(concat("done: ", iteration_ - start_, " iterations in ", duration_text(total), ", ", fixed(images / std::max(total, 1e-9), 1),
                  " images/s, ", fixed(100 * waited_ / std::max(total, 1e-9), 1), " % of the time spent waiting for data"));
  if (waited_ > .2 * total) log::say("The loader is the brake: faster storage, smaller images or more loader threads (-loader_threads) would help.");
  if (optimizer_->skipped() > 0) log::say(concat(optimizer_->skipped(), " updates were left out because of gradients that were not finite"));
  if (history_.best_map >= 0)
    log::say(concat("best mAP ", fixed(100 * history_.best_map, 2), " % at iteration ", history_.best_iteration, ": use ",
                    snapshots_->file("best").string()));
  else
    log::say(concat("the trained network: ", snapshots_->file("final").string(), " (train with -map to know which snapshot is best)"));
  if (averages_ && averages_->started()) log::say(concat("the averages of the weights: ", snapshots_->file("ema").string()));
  log::say(concat("chart: ", chart_.file().string(), ", numbers: ", metrics_->path().string()));
}

}  // namespace dn
