#include "layers/convolutional/convolutional.h"

#include <cmath>

#include "nn/norm.h"

namespace dn {
namespace {

const Key<ConvolutionalSpec> kKeys[] = {
    {"filters", &ConvolutionalSpec::filters, 1, 65536, "output channels"},
    {"groups", &ConvolutionalSpec::groups, 1, 65536, "input and output channels are cut into this many independent groups"},
    {"size", &ConvolutionalSpec::size, 1, 63, "side of the square kernel"},
    {"stride", &ConvolutionalSpec::stride, 1, 64, "step of the kernel in both directions"},
    {"stride_x", &ConvolutionalSpec::stride_x, 1, 64, "horizontal step (default: stride)"},
    {"stride_y", &ConvolutionalSpec::stride_y, 1, 64, "vertical step (default: stride)"},
    {"dilation", &ConvolutionalSpec::dilation, 1, 64, "distance between kernel taps"},
    {"pad", &ConvolutionalSpec::pad, 0, 1, "1: padding = size / 2"},
    {"padding", &ConvolutionalSpec::padding, 0, 64, "zero border on each side, when pad is 0"},
    {"activation", &ConvolutionalSpec::activation, 0, 0, "activation function; normalize_channels*: over all channels of a pixel", convolutional_activation_names()},
    {"antialiasing", &ConvolutionalSpec::antialiasing, 0, 2, Antialias::kDoc},
    {"share_index", &ConvolutionalSpec::share_index, -100000, 100000, "computes with the parameters of that earlier layer; negative counts back from this one"},
    {"xnor", &ConvolutionalSpec::xnor, 0, 1, "1: convolves the signs of the input with the signs of the weights, each filter times its mean |w|"},
    {"binary", &ConvolutionalSpec::binary, 0, 1, "1: as xnor, of the weights only"},
    {"assisted_excitation", &ConvolutionalSpec::assisted_excitation, 0, 1e9,
     "training raises labelled pixels by their channels' mean, less and less: until max_batches (1) or iteration N"},
};

constexpr ForeignKey kForeign[] = {
    // The values that the next xnor layer computes with are the signs in either case.
    {"bin_output", "0", false, "outputs stay floats, of which the next layer with xnor takes the signs itself: no value differs"},
    {"sway", "0", false, "every filter learns for itself; the family ties deformed copies to each other in training, and infers as this program does"},
    {"rotate", "0", false, "every filter learns for itself; the family ties deformed copies to each other in training, and infers as this program does"},
    {"stretch", "0", false, "every filter learns for itself; the family ties deformed copies to each other in training, and infers as this program does"},
    {"stretch_sway", "0", false, "every filter learns for itself; the family ties deformed copies to each other in training, and infers as this program does"},
    {"angle", "*"},   // of rotate and its like, which speak for it
    {"reverse", "0", false, "inverted gradients, an experiment of the family's GPU code, are not built: trained with the true ones"},
    {"coordconv", "0", true, "the family's own writes its coordinates to wrong places, so no trained network can be computed again"},
    {"flipped", "0", true, "the family transposes these weights when it loads a file and not when it saves one, so their order is not known"},
    {"dot", "0", false, "it has no effect in the family either"},
    {"stream", "-1,0", false, "a choice of GPU streams: it changes no result"},
    {"wait_stream", "-1,0", false, "a choice of GPU streams: it changes no result"},
};

}  // namespace

std::vector<KeyHelp> Convolutional::keys() { return with_norm_keys(key_help<ConvolutionalSpec>(kKeys), NormPlace::layer); }

std::unique_ptr<Convolutional> Convolutional::parse(const Section& section, const NetSpec& net, int index, Problems& problems) {
  std::unique_ptr<Convolutional> layer(new Convolutional(section, index, problems));
  ConvolutionalSpec& s = layer->spec_ = bind<ConvolutionalSpec>(section, kKeys, problems);
  layer->norm_ = bind_layer_norm(section, net.norm, problems);
  bind_foreign(section, kForeign, problems);
  finish(section, problems);
  layer->channel_activation_ = channel_activation_from_name(s.activation);
  const bool elementwise = !problems.failed() && layer->channel_activation_ == ChannelActivation::none;
  layer->activation_ = elementwise ? activation_from_name(s.activation) : Activation::linear;
  if (const Entry* entry = section.find("share_index")) layer->shared_ = resolve_layer(section, *entry, s.share_index, index, problems);
  if (layer->signs() && layer->norm_.standardize)
    problems.error(concat(section.where(), " ", s.xnor ? "xnor" : "binary", " = 1: has one value per filter and no variance that weight_standardize = 1 could set; ",
                          "expected one of the two"));
  if (s.stride_x == 0) s.stride_x = s.stride;
  if (s.stride_y == 0) s.stride_y = s.stride;
  if (s.pad) s.padding = s.size / 2;
  layer->antialias_ = Antialias::take(s.antialiasing, s.stride_x, s.stride_y);
  if (s.size == 1) s.dilation = 1;
  if (s.filters % s.groups != 0)
    problems.error(concat(section.where(), " filters = ", s.filters, ": not divisible into groups = ", s.groups, "; expected a multiple of ", s.groups));
  if (s.dilation > 1 && (s.size % 2 == 0 || s.padding != (s.size - 1) / 2))
    problems.error(concat(section.where(), " dilation = ", s.dilation, ": needs an odd size with pad = 1; size = ", s.size, ", padding = ", s.padding));
  return layer;
}

Shape Convolutional::convolved_shape(const Shape& x) const {
  const ConvolutionalSpec& s = spec_;
  if (x.c % s.groups != 0)
    fail(section().where(), " groups = ", s.groups, ": the ", x.c, " channels of ", above(), " cannot be cut so; expected a divisor of ", x.c);
  const int w = x.w + 2 * s.padding - s.size, h = x.h + 2 * s.padding - s.size;
  if (w < 0 || h < 0)
    fail(section().where(), " size = ", s.size, ": larger than the padded input of ", x.w + 2 * s.padding, " x ", x.h + 2 * s.padding,
         "; expected at most ", std::min(x.w, x.h) + 2 * s.padding, " (input ", x.text(), ")");
  const Shape y{x.n, s.filters, h / s.stride_y + 1, w / s.stride_x + 1};
  check_norm_shape(*this, norm_, y);
  return y;
}

Shape Convolutional::output_shape(std::span<const Shape> in) const { return antialias_.output_shape(section(), convolved_shape(in[0])); }

std::vector<ParamSpec> Convolutional::params(std::span<const Shape> in) const {
  const size_t filters = static_cast<size_t>(spec_.filters), side = static_cast<size_t>(spec_.size);
  const size_t fan_in = side * side * static_cast<size_t>(in[0].c / spec_.groups);
  std::vector<ParamSpec> out{{"biases", ParamRole::bias, filters, Init::zero}};
  for (ParamSpec& spec : norm_param_specs(norm_, filters)) out.push_back(std::move(spec));
  out.push_back({"weights", ParamRole::weight, checked_product({filters, fan_in}), Init::uniform, std::sqrt(2.0 / static_cast<double>(fan_in)), true});
  out.back().shape = {filters, static_cast<size_t>(in[0].c / spec_.groups), side, side};
  return out;
}

double Convolutional::forward_flops(std::span<const Shape> in) const {
  const Shape y = convolved_shape(in[0]);
  return 2.0 * spec_.size * spec_.size * (in[0].c / spec_.groups) * static_cast<double>(y.count());
}

std::string Convolutional::summary(std::span<const Shape>) const {
  const ConvolutionalSpec& s = spec_;
  std::string text = concat(s.filters, "  ", s.size, "x", s.size);
  if (s.stride_x != s.stride_y)
    text += concat("/", s.stride_x, "x", s.stride_y);
  else if (s.stride_x != 1)
    text += concat("/", s.stride_x);
  if (s.dilation > 1) text += concat("  dilation ", s.dilation);
  if (s.groups > 1) text += concat("  groups ", s.groups);
  if (normalized()) text += concat("  ", norm_.text());
  if (signs()) text += s.xnor ? "  xnor" : "  binary";
  if (shared_ >= 0) text += concat("  weights of ", shared_);
  return concat(text, "  ", s.activation, antialias_.text());
}

}  // namespace dn
