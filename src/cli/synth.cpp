// synth OUT: a labelled data set of drawn scenes.
#include "data/synth.h"
#include "base/log.h"
#include "cli/common.h"

namespace dn::cli {

int synth(const Arguments& arguments) {
  const fs::path out = arguments.positional[0];
  SynthOptions options;
  options.images = static_cast<int>(arguments.integer("images", 10, 100000));
  options.seed = static_cast<uint64_t>(arguments.integer("seed", 0, INT64_MAX));
  options.width = static_cast<int>(arguments.integer("width", 64, 2048));
  options.height = static_cast<int>(arguments.integer("height", 64, 2048));
  options.threads = cpu::Device(cpu_options(arguments)).threads();
  make_synthetic_dataset(out, options);
  log::say(concat(out.string(), ": ", options.images, " images; train on them with: darknet detector train ", (out / "synth.data").string(), " CFG"));
  return 0;
}

}  // namespace dn::cli
