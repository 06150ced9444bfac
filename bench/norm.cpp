// What the normalizations cost, every comparison alternating within this one process, so that what else the machine does meets both sides.
//
//   bench_norm CFG [--threads N] [--runs N] [--json]     training steps of a cfg under one norm_scope and another
//   bench_norm [--threads N] [--runs N] [--json]         the sweeps of nn/normalize.h, beside the triad of bench_ceiling
#include <map>

#include "base/files.h"
#include "bench/common.h"
#include "device/cpu/arena.h"
#include "device/cpu/parallel.h"
#include "graph/plan.h"
#include "nn/normalize.h"
#include "train/optimizer.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/norm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "bench/triad-inl.h"

#if HWY_ONCE
namespace dn::ceiling {
namespace {
HWY_EXPORT(triad);
void triad_piece(float* out, const float* b, const float* c, size_t count) { HWY_DYNAMIC_DISPATCH(triad)(out, b, c, count); }
}  // namespace
}  // namespace dn::ceiling

namespace dn::bench {
namespace {

using Clock = std::chrono::steady_clock;
using NetKeys = std::map<std::string, std::string>;

double ms_of(const std::function<void()>& body) {
  const auto start = Clock::now();
  body();
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void print(const Arguments& a, const nlohmann::ordered_json& row) {
  if (a.json) {
    std::cout << row << std::endl;
    return;
  }
  std::string line;
  for (const auto& [key, value] : row.items())
    line += concat(line.empty() ? "" : ", ", key, " ",
                   value.is_number_float() ? fixed(value.get<double>(), 3)
                   : value.is_string()     ? value.get<std::string>()
                                           : value.dump());
  std::cout << line << std::endl;
}

// ---- steps

// The cfg text with these keys in [net] instead of its own.
std::string with_net_keys(const std::string& text, const NetKeys& keys) {
  std::string out;
  bool in_net = false;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with("[")) in_net = line.starts_with("[net]");
    const std::string key = line.substr(0, line.find_first_of(" ="));
    if (in_net && keys.contains(key)) continue;
    out += concat(line, "\n");
    if (line.starts_with("[net]"))
      for (const auto& [name, value] : keys) out += concat(name, "=", value, "\n");
  }
  return out;
}

// One iteration as the trainer does it: all mini-batches forward and backward, one update.
class Training {
 public:
  Training(std::string name, const std::string& cfg, const NetKeys& keys, cpu::Device& device)
      : name_(std::move(name)),
        network_(Network::from_text(with_net_keys(cfg, keys), name_)),
        plan_(network_, device, network_.input(network_.spec().mini_batch()),
              {.training = true, .segments = network_.spec().norm.whole_batch() ? std::max(1, network_.spec().norm.exact_segments()) : 1}),
        optimizer_(network_.params(),
                   {.momentum = .9, .decay = 5e-4, .batch = network_.spec().batch, .layers = {}, .threads = device.threads()}),
        images_(random_images(network_.input(network_.spec().batch))),
        truth_(random_truth(network_.spec().batch)) {
    random_weights(network_);
  }

  double step() {
    const double ms = ms_of([&] { iteration(); });
    ms_.push_back(ms);
    return ms;
  }
  void forget_times() { ms_.clear(); }
  const std::vector<double>& times() const { return ms_; }
  nlohmann::ordered_json row() const {
    return {{"what", "step"},
            {"name", name_},
            {"ms_median", median(ms_)},
            {"ms_min", std::ranges::min(ms_)},
            {"ms_max", std::ranges::max(ms_)},
            {"arena_mib", static_cast<double>(plan_.report().arena_bytes) / (1 << 20)},
            {"segments", plan_.report().segments}};
  }

 private:
  void iteration() {
    const NetSpec& net = network_.spec();
    const auto size = static_cast<size_t>(net.mini_batch());
    optimizer_.begin_batch();
    for (int m = 0; m < net.parts(); ++m) {
      const size_t first = static_cast<size_t>(m) * size;
      Pass pass{.training = true};
      pass.param_grads = m == 0 ? Write::overwrite : Write::accumulate;
      pass.micro_step = m;
      pass.micro_steps = net.parts();
      pass.first_image = first;
      pass.weights_version = network_.params().version();
      pass.truth = std::span(truth_).subspan(first, size);
      plan_.set_input(images_.data() + first * plan_.input_shape().per_image());
      plan_.forward(pass);
      plan_.backward(pass);
    }
    optimizer_.update(1e-6);
    network_.params().touch();
  }

  std::string name_;
  Network network_;
  Plan plan_;
  Optimizer optimizer_;
  std::vector<float> images_;
  std::vector<std::vector<TruthBox>> truth_;
  std::vector<double> ms_;
};

// The median over the runs of b's time by a's of the same run: a disturbance longer than a step slows both.
void print_ratio(const Arguments& a, const std::string& name, const Training& of, const Training& by) {
  std::vector<double> ratios;
  for (size_t i = 0; i < of.times().size(); ++i) ratios.push_back(of.times()[i] / by.times()[i]);
  std::ranges::sort(ratios);
  print(a, {{"what", "ratio"},
            {"name", name},
            {"ratio", ratios[ratios.size() / 2]},
            {"quarter", ratios[ratios.size() / 4]},
            {"three_quarters", ratios[ratios.size() * 3 / 4]}});
}

// Every run takes one step of each, forwards and backwards by turns, so that none profits from its place.
void alternate(const Arguments& a, std::span<Training> trainings) {
  for (int run = -1; run < a.runs; ++run) {
    if (run == 0)
      for (Training& t : trainings) t.forget_times();
    for (size_t i = 0; i < trainings.size(); ++i) trainings[run % 2 == 0 ? i : trainings.size() - 1 - i].step();
  }
  for (const Training& t : trainings) print(a, t.row());
}

void compare_steps(const Arguments& a, cpu::Device& device) {
  const std::string cfg = read_text(a.cfg);
  {
    Training pair[] = {{"batch 8 in 2, minibatch", cfg, {{"batch", "8"}, {"subdivisions", "2"}, {"norm_scope", "minibatch"}}, device},
                       {"batch 8 in 2, cmbn", cfg, {{"batch", "8"}, {"subdivisions", "2"}, {"norm_scope", "cmbn"}}, device}};
    alternate(a, pair);
    print_ratio(a, "cmbn by minibatch, batch 8 in 2", pair[1], pair[0]);
  }
  NetKeys whole = {{"batch", "16"}, {"subdivisions", "1"}, {"norm_scope", "batch"}, {"norm_exact_segments", "0"}};
  NetKeys cut = whole;
  cut["norm_exact_segments"] = "4";
  Training three[] = {{"batch 16 in 1, minibatch", cfg, {{"batch", "16"}, {"subdivisions", "1"}, {"norm_scope", "minibatch"}}, device},
                      {"batch 16, batch", cfg, whole, device},
                      {"batch 16, batch, 4 segments", cfg, cut, device}};
  alternate(a, three);
  print_ratio(a, "batch by minibatch, batch 16 in 1", three[1], three[0]);
  print_ratio(a, "batch in 4 segments by batch in one", three[2], three[1]);
}

// ---- sweeps

struct Sweep {
  const char* name;
  double plain, moved;  // tensors named in the code; and read or written, a store into memory that was not read first counted twice
  std::function<void()> body;
  std::vector<double> ms{};
};

void measure_sweeps(const Arguments& a, cpu::Device& device) {
  const TensorDesc desc{{16, 32, 208, 208}, device.block()};  // 85 MiB: more than the caches that a core has to itself
  constexpr size_t kTriad = size_t{24} << 20;                 // floats an array, as in bench_ceiling
  cpu::Arena tensors(3 * desc.bytes()), arrays(3 * kTriad * sizeof(float));
  float *const data = reinterpret_cast<float*>(tensors.data()), *const b = reinterpret_cast<float*>(arrays.data());
  Rng rng(1, RandomUse::test);
  for (size_t i = 0; i < 3 * desc.count(); ++i) data[i] = static_cast<float>(rng.uniform() - .5);
  for (size_t i = 0; i < 3 * kTriad; ++i) b[i] = 1;
  const Tensor x{desc, data}, y{desc, data + desc.count()}, dy{desc, data + 2 * desc.count()};
  const auto channels = static_cast<size_t>(desc.padded_channels());
  const std::vector<float> mean(channels, .1f), scale(channels, 1.1f), shift(channels, .2f), small(channels, 1e-6f);
  const ChannelAffine affine{mean.data(), scale.data(), shift.data()};
  std::vector<Moments> moments(channels);
  std::vector<double> sums(channels), sums_x(channels);
  const int threads = device.threads();
  std::vector<Sweep> sweeps = {{"statistics", 1, 1, [&] { channel_moments(threads, x, moments); }},
                               {"normalise, leaky", 2, 3, [&] { normalize_activate(threads, x, affine, Activation::leaky, y); }},
                               {"backward sums, leaky", 2, 2, [&] { gradient_sums(threads, x, dy, affine, Activation::leaky, sums, sums_x); }},
                               {"backward, leaky, in place", 3, 3, [&] {
                                  normalize_activate_backward(threads, x, dy, affine, Activation::leaky, {small.data(), small.data()}, dy);
                                }}};
  std::vector<double> triad;
  for (int run = -1; run < a.runs; ++run)
    for (Sweep& sweep : sweeps) {  // the triad before each, which leaves the caches to neither
      const double ms = ms_of([&] {
        cpu::parallel_pieces(threads, kTriad, size_t{1} << 16, [&](size_t first, size_t last) {
          ceiling::triad_piece(b + first, b + kTriad + first, b + 2 * kTriad + first, last - first);
        });
      });
      const double mine = ms_of(sweep.body);
      if (run < 0) continue;
      triad.push_back(ms);
      sweep.ms.push_back(mine);
    }
  const double array_gb = kTriad * sizeof(float) / 1e6, tensor_gb = static_cast<double>(desc.bytes()) / 1e6;  // GB x 1000, for milliseconds
  const double plain = 3 * array_gb / median(triad), moved = 4 * array_gb / median(triad);
  print(a, {{"what", "triad"}, {"name", "triad"}, {"ms_median", median(triad)}, {"gb_per_s_plain", plain}, {"gb_per_s", moved}});
  for (const Sweep& s : sweeps) {
    const double ms = median(s.ms);
    print(a, {{"what", "sweep"},
              {"name", s.name},
              {"ms_median", ms},
              {"gb_per_s", s.moved * tensor_gb / ms},
              {"share", s.moved * tensor_gb / ms / moved},
              {"share_plain", s.plain * tensor_gb / ms / plain}});
  }
}

}  // namespace
}  // namespace dn::bench

int main(int argc, char** argv) {
  try {
    const dn::bench::Arguments arguments = dn::bench::parse_arguments(argc, argv, 16);
    dn::cpu::Device device({.threads = arguments.threads, .convolution = arguments.convolution});
    arguments.cfg.empty() ? dn::bench::measure_sweeps(arguments, device) : dn::bench::compare_steps(arguments, device);
  } catch (const dn::Error& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}
#endif
