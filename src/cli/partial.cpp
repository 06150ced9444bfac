// partial CFG WEIGHTS OUT N: the first N layers of a weights file, with zeroed counters, as a pretrained part. Each of the two files is in the format that
// its name says, so all the layers make a conversion.
#include "base/log.h"
#include "cli/common.h"
#include "train/weights_file.h"

namespace dn::cli {

int partial(const Arguments& arguments) {
  const fs::path cfg = arguments.positional[0], weights = arguments.positional[1], out = arguments.positional[2];
  Network network = Network::from_cfg(cfg);
  const auto layers = static_cast<int64_t>(network.layers().size());
  const std::optional<int64_t> count = parse_integer(arguments.positional[3]);
  if (!count || *count < 1 || *count > layers)
    fail("partial: N = ", arguments.positional[3], ": expected 1..", layers, ", the number of layers of ", cfg.string());
  const int wanted = static_cast<int>(*count);
  const WeightsInfo info = load_weights(network, weights, wanted);
  if (info.loaded < wanted) fail(weights.string(), ": holds the first ", info.loaded, " layers only: expected at least ", wanted);
  save_weights(network, out, 0, wanted);
  log::say(concat(out.string(), ": layers 0 to ", wanted - 1, " of ", cfg.string(), ", ", bytes_text(static_cast<double>(dn::file_size(out)))));
  return 0;
}

}  // namespace dn::cli
