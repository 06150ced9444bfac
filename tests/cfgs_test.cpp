// The networks in cfg/ as the program understands them: they ask for nothing that is not built, and their parameters are exactly the floats of the
// published .weights files.
#include <gtest/gtest.h>

#include <algorithm>

#include "graph/network.h"

namespace dn {
namespace {

const fs::path kFolder = fs::path(DN_SOURCE_DIR) / "cfg";

struct Published {
  const char* name;
  size_t convolutions, floats, heads;
};

class PublishedCfgs : public ::testing::TestWithParam<Published> {};

TEST_P(PublishedCfgs, HoldWhatIsPublished) {
  const Published& published = GetParam();
  const Network network = Network::from_cfg(kFolder / (std::string(published.name) + ".cfg"));
  const auto& layers = network.layers();
  EXPECT_EQ(static_cast<size_t>(std::count_if(layers.begin(), layers.end(), [](const auto& l) { return l->type() == "convolutional"; })),
            published.convolutions);
  size_t floats = 0;
  for (const ParamSegment& segment : network.params().segments()) floats += segment.spec.count;
  EXPECT_EQ(floats, published.floats);
  EXPECT_EQ(network.heads().size(), published.heads);
}

INSTANTIATE_TEST_SUITE_P(Cfg, PublishedCfgs,
                         ::testing::Values(Published{"yolov4-tiny", 21, 6062814, 2}, Published{"yolov3-tiny", 13, 8858734, 2},
                                           Published{"yolov3", 75, 62001757, 3}, Published{"yolov4", 110, 64429405, 3}),
                         [](const auto& instance) {
                           std::string name = instance.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Cfgs, AllAreReadWithoutAWarning) {
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() != ".cfg") continue;
    ::testing::internal::CaptureStderr();
    const Network network = Network::from_cfg(entry.path());
    EXPECT_EQ(::testing::internal::GetCapturedStderr(), "") << entry.path();
    EXPECT_FALSE(network.heads().empty()) << entry.path();
  }
}

}  // namespace
}  // namespace dn
