// Augmentation keys through the real program: training with all of them, the pictures of -show_imgs, what is refused.
#include "base/json.h"
#include "image/image.h"
#include "tests/harness/program.h"

namespace dn {
namespace {

using testing::Finished;
using testing::tiny_cfg;

class AugmentCli : public testing::ProgramTest {};

TEST_F(AugmentCli, samples_are_shown_as_pictures) {
  write_file(file("shown.cfg"), tiny_cfg(10, "mosaic=1\nblur=3\ngaussian_noise=5\nletter_box=1\nhue=.1\n"));
  const Finished result = run({"detector", "train", "set/synth.data", "shown.cfg", "-show_imgs", "-dont_show"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(result.err.find("mosaic"), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("show_imgs"), std::string::npos) << result.err;
  EXPECT_NE(result.out.find("36 augmented samples with their boxes: "), std::string::npos) << result.out;
  for (const int iteration : {1, 9})
    for (const int sample : {0, 3}) {
      const Image image = load_image(file(concat("set/backup/shown_samples/iteration_", iteration, "_sample_", sample, ".jpg")));
      EXPECT_TRUE(image.width == 64 && image.height == 64);
    }
  EXPECT_FALSE(fs::exists(file("set/backup/shown_samples/iteration_10_sample_0.jpg")));
  EXPECT_TRUE(fs::exists(file("set/backup/shown_samples/sheet.jpg")));
}

TEST_F(AugmentCli, every_augmentation_trains) {
  for (const char* keys : {"mixup=1\nblur=1\n", "mosaic=1\nmosaic_bound=1\nmixup=1\n", "track=1\ntime_steps=2\naugment_speed=3\nsequential_subdivisions=1\n",
                           "contrastive=1\ncontrastive_color=1\nexposure=1.5\n"}) {
    write_file(file("keys.cfg"), tiny_cfg(3, keys));
    const Finished result = run({"detector", "train", "set/synth.data", "keys.cfg"});
    EXPECT_EQ(result.code, 0) << keys << result.err;
    EXPECT_EQ(result.err.find("not built"), std::string::npos) << result.err;
  }
}

TEST_F(AugmentCli, time_steps_multiply_the_batch) {
  write_file(file("steps.cfg"), tiny_cfg(2, "track=1\ntime_steps=3\n"));
  const Finished result = run({"detector", "train", "set/synth.data", "steps.cfg"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("12 images per update = 2 x 6"), std::string::npos) << result.out;
}

// Two sequences of four frames at once, or two frames at a time with the state of the two before: the same pictures, the same loss.
TEST_F(AugmentCli, recurrent_layers_go_on_with_a_sequence) {
  const std::string layers =
      "[convolutional]\nsize=3\nstride=8\npad=1\nfilters=8\nactivation=leaky\n[conv_lstm]\npad=1\noutput=8\n"
      "[convolutional]\nsize=1\nfilters=33\nactivation=linear\n[yolo]\nmask=0,1,2\nanchors=8,8, 16,16, 32,32\nclasses=6\nnum=3\n";
  const auto loss = [&](const std::string& name, const std::string& keys) {
    write_file(file(name + ".cfg"),
               "[net]\nwidth=64\nheight=64\nchannels=3\nlearning_rate=.001\nmax_batches=1\ntrack=1\nsequential_subdivisions=1\n" + keys + layers);
    const Finished result = run({"detector", "train", "set/synth.data", name + ".cfg"});
    EXPECT_EQ(result.code, 0) << result.err;
    for (const std::string& line : read_lines(file("set/backup/metrics.jsonl"))) {
      const auto object = parse_json(line);
      if (object.at("run") == name && object.at("event") == "iteration") return object.at("loss").get<double>();
    }
    return 0.0;
  };
  const double whole = loss("whole", "batch=2\nsubdivisions=1\ntime_steps=4\n"), parts = loss("parts", "batch=4\nsubdivisions=2\ntime_steps=2\n");
  EXPECT_GT(whole, 0);
  EXPECT_NEAR(parts, whole, 1e-7 * whole);
}

TEST_F(AugmentCli, cutmix_is_refused_alone) {
  write_file(file("cut.cfg"), tiny_cfg(2, "cutmix=1\n"));
  const Finished refused = run({"detector", "train", "set/synth.data", "cut.cfg"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("[net] cutmix = 1: cutmix mixes the classes of whole pictures"), std::string::npos) << refused.err;
  write_file(file("cut.cfg"), tiny_cfg(2, "mosaic=1\ncutmix=1\n"));
  const Finished done = run({"detector", "train", "set/synth.data", "cut.cfg"});
  EXPECT_EQ(done.code, 0);
  EXPECT_NE(done.err.find("cutmix is for classifiers, it has no boxes: mosaic alone is done"), std::string::npos) << done.err;
}

}  // namespace
}  // namespace dn
