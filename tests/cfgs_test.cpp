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

constexpr Published kPublished[] = {
    {"yolov4-tiny", 21, 6062814, 2},
    {"yolov3-tiny", 13, 8858734, 2},
    {"yolov3-tiny-prn", 13, 4939758, 2},
    {"yolov7-tiny", 58, 6241885, 3},
    {"yolov3", 75, 62001757, 3},
    {"yolov3-spp", 76, 63052381, 3},
    {"yolov3-openimages", 75, 64807342, 3},
    {"yolov4", 110, 64429405, 3},
    {"yolov4-custom", 110, 64429405, 3},
    {"csresnext50-panet-spp", 97, 57030845, 3},
    {"yolov4-csp", 115, 52986205, 3},
    {"yolov4-csp-swish", 115, 52986205, 3},
    {"yolov4x-mish", 137, 99847037, 3},
    {"yolov4-csp-x-swish", 137, 99847037, 3},
    {"yolov4-p5", 163, 70917468, 3},
    {"yolov4-p6", 205, 127717040, 4},
    {"yolov7", 92, 36974557, 3},
    {"yolov7x", 108, 71409685, 3},
    {"darknet19", 19, 20856776, 0},
    {"darknet53", 53, 41645640, 0},
    {"enet-coco", 88, 4808270, 2},
    {"efficientnet_b0", 83, 4890040, 0},
    {"resnet50", 50, 22825896, 0},
    {"resnet101", 101, 41870248, 0},
    {"resnet152", 152, 57559976, 0},
    {"densenet201", 201, 17206440, 0},
    {"yolov1", 24, 197328243, 1},
    {"yolov1-small", 24, 93970430, 1},
    {"yolov1-tiny", 8, 27099950, 1},
    {"yolov2", 23, 50983561, 1},
    {"yolov2-voc", 23, 50676061, 1},
    {"yolov2-tiny", 9, 11237145, 1},
    {"Gaussian_yolov3_BDD", 75, 61646347, 3},
};

INSTANTIATE_TEST_SUITE_P(Cfg, PublishedCfgs, ::testing::ValuesIn(kPublished), [](const auto& instance) {
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
    EXPECT_TRUE(!network.heads().empty() || network.layers().back()->type() == "softmax") << entry.path();
  }
}

}  // namespace
}  // namespace dn
