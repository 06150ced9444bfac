// Networks with weights to write, read and compare.
#pragma once

#include <gtest/gtest.h>

#include "base/rng.h"
#include "train/weights_file.h"

namespace dn::testing {

inline Network random_network(std::string_view cfg, uint64_t seed) {
  Network network = Network::from_text(cfg, "net.cfg");
  Rng rng(seed, RandomUse::test);
  for (float& value : network.params().values()) value = static_cast<float>(rng.uniform(.1, 1));
  return network;
}

// In file order, without the padding between segments.
inline std::vector<float> values(const Network& network) {
  std::vector<float> all;
  for (const ParamSegment& segment : network.params().segments()) {
    const auto part = network.params().values(segment);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

// What is said against a file, which must leave the network as it was.
inline std::string refusal(Network& network, const fs::path& path) {
  const std::vector<float> before = values(network);
  std::string message;
  try {
    load_weights(network, path);
  } catch (const Error& e) {
    message = e.what();
  }
  EXPECT_EQ(values(network), before) << "a refused file must leave the network alone";
  return message;
}

}  // namespace dn::testing
