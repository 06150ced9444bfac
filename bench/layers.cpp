// Single layers in a training plan: forward and backward milliseconds per mini-batch, and how much memory they move (inputs and output once each, in
// forward; twice that in backward) set against the triad that bench_ceiling measures. Bandwidth decides for all of them but the convolutions.
//
//   bench_layers [--batch N] [--threads N] [--runs N] [--json]
#include "bench/common.h"
#include "graph/plan.h"

namespace dn::bench {
namespace {

struct Case {
  const char* name;
  const char* section;   // one or more; the last one is measured
};

// Between a convolution that wants its input's gradient and a small head that sends one back.
constexpr std::string_view kBefore = "[convolutional]\nfilters=64\nsize=1\nactivation=linear\n";
constexpr std::string_view kAfter =
    "[convolutional]\nfilters=24\nsize=1\nactivation=linear\n[yolo]\nmask=0,1,2\nanchors=10,14,23,27,37,58\nnum=3\nclasses=3\n";
constexpr Case kCases[] = {
    {"convolutional 3x3, batch norm, leaky", "[convolutional]\nbatch_normalize=1\nfilters=64\nsize=3\npad=1\nactivation=leaky\n"},
    {"convolutional 3x3/2, batch norm, leaky", "[convolutional]\nbatch_normalize=1\nfilters=64\nsize=3\nstride=2\npad=1\nactivation=leaky\n"},
    {"convolutional 1x1, batch norm, mish", "[convolutional]\nbatch_normalize=1\nfilters=64\nsize=1\nactivation=mish\n"},
    {"convolutional 1x1, batch norm, leaky", "[convolutional]\nbatch_normalize=1\nfilters=64\nsize=1\nactivation=leaky\n"},
    {"maxpool 2x2/2", "[maxpool]\nsize=2\nstride=2\n"},
    {"maxpool 5x5", "[maxpool]\nsize=5\nstride=1\n"},
    {"upsample 2x", "[upsample]\nstride=2\n"},
    {"route of two", "[maxpool]\nsize=3\nstride=1\n[route]\nlayers=-1,-2\n"},
    {"route, half of the channels", "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n"},
    {"shortcut", "[maxpool]\nsize=3\nstride=1\n[shortcut]\nfrom=-2\nactivation=linear\n"},
    {"dropout", "[dropout]\nprobability=.2\n"},
};

void measure(const Case& what, cpu::Device& device, const Arguments& a) {
  Network network = Network::from_text(concat("[net]\nwidth=104\nheight=104\nchannels=3\nbatch=", a.batch, "\n", kBefore, what.section, kAfter), what.name);
  random_weights(network);
  Plan plan(network, device, network.input(a.batch), {.training = true});
  const int measured = static_cast<int>(network.layers().size()) - 3;
  const std::vector<float> images = random_images(plan.input_shape());
  const std::vector<std::vector<TruthBox>> truth(static_cast<size_t>(a.batch));
  Pass pass{.training = true};
  pass.truth = truth;
  plan.set_input(images.data());
  const auto so_far = [&] {
    for (const StepTime& t : plan.times())
      if (t.layer == measured) return t;
    return StepTime{};
  };
  std::vector<double> forward, backward;
  for (int run = -1; run < a.runs; ++run) {
    const StepTime before = so_far();
    plan.forward(pass);
    plan.backward(pass);
    const StepTime after = so_far();
    if (run < 0) continue;
    forward.push_back((after.forward - before.forward) * 1e3);
    backward.push_back((after.backward - before.backward) * 1e3);
  }
  std::ranges::sort(forward);
  std::ranges::sort(backward);
  const double f = forward[forward.size() / 2], b = backward[backward.size() / 2];
  const std::vector<Shape> shapes = network.output_shapes(plan.input_shape());
  size_t floats = shapes[static_cast<size_t>(measured)].count();
  for (const Shape& in : network.source_shapes(measured, plan.input_shape(), shapes)) floats += in.count();
  const double megabytes = static_cast<double>(floats) * sizeof(float) / 1e6;
  const auto rate = [&](double bytes, double ms) { return ms > 0 ? bytes / ms : 0; };
  if (a.json)
    std::cout << nlohmann::json{{"name", what.name}, {"forward_ms", f}, {"forward_gb_per_s", rate(megabytes, f)}, {"backward_ms", b},
                                {"backward_gb_per_s", rate(2 * megabytes, b)}}
              << std::endl;
  else
    std::cout << concat(what.name, ": forward ", fixed(f, 2), " ms, ", fixed(rate(megabytes, f), 1), " GB/s; backward ", fixed(b, 2), " ms, ",
                        fixed(rate(2 * megabytes, b), 1), " GB/s")
              << std::endl;
}

}  // namespace
}  // namespace dn::bench

int main(int argc, char** argv) {
  try {
    const dn::bench::Arguments arguments = dn::bench::parse_arguments(argc, argv, 4);
    dn::cpu::Device device({.threads = arguments.threads, .convolution = arguments.convolution});
    for (const auto& what : dn::bench::kCases) dn::bench::measure(what, device, arguments);
  } catch (const dn::Error& error) {
    std::cerr << "error: " << error.what() << '\n';
    return 2;
  }
}
