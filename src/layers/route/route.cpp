// [route]: keys, sources and shapes. See route.h.
#include "layers/route/route.h"

namespace dn {
namespace {

constexpr Key<RouteSpec> kKeys[] = {
    {"layers", &RouteSpec::layers, -100000, 100000, "layers to put one after another; negative counts back from this one"},
    {"groups", &RouteSpec::groups, 1, 65536, "take one of this many equal parts of each source's channels"},
    {"group_id", &RouteSpec::group_id, 0, 65535, "which part, from 0"},
};

constexpr ForeignKey kForeign[] = {
    {"stream", "-1,0", false, "layers run one after another here"},
    {"wait_stream", "-1,0", false, "layers run one after another here"},
};

}  // namespace

std::unique_ptr<Route> Route::parse(const Section& section, const NetSpec&, int index, Problems& problems) {
  std::unique_ptr<Route> layer(new Route(section, index, problems));
  RouteSpec& spec = layer->spec_;
  spec = bind<RouteSpec>(section, kKeys, problems);
  bind_foreign(section, kForeign, problems);
  const Entry* layers = section.find("layers");
  if (!layers || spec.layers.empty()) {
    if (!layers) problems.error(concat(section.where(), ": 'layers' is missing; expected for example layers=-1,8"));
    spec.layers = {-1};
    layer->sources_ = {index - 1};
  } else {
    for (int written : spec.layers) layer->sources_.push_back(resolve_layer(section, *layers, written, index, problems));
  }
  if (spec.group_id >= spec.groups) {
    problems.error(section, *section.find("group_id"), concat("there are ", spec.groups, " groups"), concat("0..", spec.groups - 1));
    spec.group_id = 0;
  }
  finish(section, problems);
  return layer;
}

std::vector<KeyHelp> Route::keys() { return key_help<RouteSpec>(kKeys); }

Shape Route::output_shape(std::span<const Shape> in) const {
  Shape y = in[0];
  y.c = 0;
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i].h != y.h || in[i].w != y.w)
      fail(section().where(), ": layer ", sources_[0], " gives ", in[0].text(), " and layer ", sources_[i], " gives ", in[i].text(),
           "; expected the same width and height");
    if (in[i].c % spec_.groups != 0)
      fail(section().where(), " groups = ", spec_.groups, ": layer ", sources_[i], " gives ", in[i].c,
           " channels; expected a multiple of ", spec_.groups);
    y.c += in[i].c / spec_.groups;
  }
  return y;
}

std::string Route::summary(std::span<const Shape>) const {
  std::string text;
  for (int source : sources_) text += concat(text.empty() ? "" : " ", source);
  if (spec_.groups > 1) text += concat("  part ", spec_.group_id, " of ", spec_.groups);
  return text;
}

}  // namespace dn
