// Frames of a video and images of a list through a recurrent network: frames follow each other, images do not.
#include "train/evaluator.h"

#include <gtest/gtest.h>

#include "data/test_folder.h"
#include "device/cpu/device.h"
#include "image/image.h"

namespace dn {
namespace {

const std::string kHead = "[convolutional]\nfilters=18\nsize=1\nactivation=linear\n[yolo]\nmask=0,1,2\nanchors=4,4, 8,8, 16,16\nclasses=1\nnum=3\n";

Image picture() {
  Image image{16, 16, 3, std::vector<uint8_t>(16 * 16 * 3)};
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * 37 % 251);
  return image;
}

std::vector<float> objectness(const ImageDetections& found) {
  std::vector<float> values;
  for (const Detection& d : found.detections) values.push_back(d.objectness);
  return values;
}

struct Model {
  explicit Model(const std::string& layer, int mini_batch = 1)
      : network(Network::from_text("[net]\nwidth=16\nheight=16\nchannels=3\n" + layer + kHead)), device({.threads = 2}) {
    network.params().initialize(3);
    options.mini_batch = mini_batch;
    options.threshold = 0, options.nms = 0;
  }
  Network network;
  cpu::Device device;
  EvaluatorOptions options;
};

class Frames : public ::testing::TestWithParam<const char*> {};

TEST_P(Frames, follow_each_other) {
  Model model(GetParam());
  Evaluator evaluator(model.network, model.device, model.options);
  const auto next = [&] { return objectness(evaluator.detect(evaluator.prepare(picture()))); };
  const std::vector<float> first = next(), second = next();
  ASSERT_FALSE(first.empty());
  EXPECT_NE(first, second);
  Evaluator other(model.network, model.device, model.options);
  EXPECT_EQ(objectness(other.detect(other.prepare(picture()))), first);
}

TEST_P(Frames, images_of_a_list_do_not) {
  const test::TestFolder folder("evaluator_frames");
  const fs::path file = folder / "a.png";
  save_image(file, picture());
  Model model(GetParam());
  Evaluator evaluator(model.network, model.device, model.options);
  const std::vector<float> first = objectness(evaluator.detect(evaluator.prepare(picture())));
  std::vector<std::vector<float>> found;
  evaluator.run({file.string(), file.string()}, [&](ImageDetections&& image) {
    EXPECT_EQ(image.error, "");
    found.push_back(objectness(image));
    return true;
  });
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0], first);
  EXPECT_EQ(found[1], first);
}

INSTANTIATE_TEST_SUITE_P(Recurrent, Frames,
                         ::testing::Values("[crnn]\npad=1\nhidden=8\noutput=8\n", "[conv_lstm]\npad=1\noutput=8\n", "[history]\nhistory_size=2\n"));

TEST(Evaluator, frames_of_other_networks_stand_for_themselves) {
  Model model("[convolutional]\nfilters=8\nsize=3\npad=1\nactivation=leaky\n");
  Evaluator evaluator(model.network, model.device, model.options);
  const auto next = [&] { return objectness(evaluator.detect(evaluator.prepare(picture()))); };
  const std::vector<float> first = next();
  EXPECT_EQ(next(), first);
}

}  // namespace
}  // namespace dn
