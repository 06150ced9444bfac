// The verbs beside `detector`: weights in and out, pictures, speed, what is refused; the program run as its users run it.
#include <cstring>
#include <set>

#include "image/image.h"
#include "tests/harness/program.h"
#include "train/weights_file.h"

namespace dn {
namespace {

using testing::Finished;
using testing::matches;

class Verbs : public testing::ProgramTest {
 protected:
  static std::vector<float> floats(const std::string& name) {
    const std::vector<std::byte> bytes = read_bytes(file(name), 1 << 20);
    std::vector<float> values((bytes.size() - 20) / sizeof(float));
    std::memcpy(values.data(), bytes.data() + 20, values.size() * sizeof(float));
    return values;
  }
  static std::string header(const std::string& name) { return read_text(file(name)).substr(0, 20); }
  // The line of the mean in what `detector map` says.
  static std::string map_of(const std::string& cfg, const std::string& weights) {
    const Finished map = run({"detector", "map", "set/synth.data", cfg, weights});
    EXPECT_EQ(map.code, 0) << map.err;
    const size_t at = map.out.find("mean average precision");
    return at == std::string::npos ? map.out : map.out.substr(at, map.out.find('\n', at) - at);
  }
};

TEST_F(Verbs, folded_weights_find_the_same) {
  const std::string w = weights();
  const Finished folded = run({"denormalize", "tiny.v1.cfg", w, "folded.weights", "-out_cfg", "folded.cfg"});
  ASSERT_EQ(folded.code, 0) << folded.err;
  EXPECT_NE(folded.out.find("3 layers"), std::string::npos) << folded.out;
  EXPECT_EQ(header("folded.weights"), header(w)) << "the images seen are kept";
  EXPECT_EQ(map_of("folded.cfg", "folded.weights"), map_of("tiny.v1.cfg", w));
  EXPECT_EQ(run({"detector", "map", "set/synth.data", "tiny.v1.cfg", "folded.weights"}).code, 2) << "they go with another cfg";
  const Finished back = run({"normalize", "folded.cfg", "folded.weights", "back.weights", "-out_cfg", "back.cfg"});
  ASSERT_EQ(back.code, 0) << back.err;
  EXPECT_EQ(map_of("back.cfg", "back.weights"), map_of("tiny.v1.cfg", w));
  ASSERT_EQ(run({"reset", "tiny.v1.cfg", w, "reset.weights"}).code, 0);
  EXPECT_EQ(map_of("tiny.v1.cfg", "reset.weights"), map_of("tiny.v1.cfg", w));
  EXPECT_NE(floats("reset.weights"), floats(w));
}

TEST_F(Verbs, average_is_the_mean) {
  const std::string w = weights();
  ASSERT_EQ(run({"rgbgr", "tiny.v1.cfg", w, "bgr.weights"}).code, 0);
  ASSERT_EQ(run({"average", "tiny.v1.cfg", "mean.weights", w, "bgr.weights", "bgr.weights"}).code, 0);
  const auto a = floats(w), b = floats("bgr.weights"), mean = floats("mean.weights");
  ASSERT_EQ(a.size(), mean.size());
  size_t changed = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_FLOAT_EQ(mean[i], static_cast<float>((static_cast<double>(a[i]) + 2 * static_cast<double>(b[i])) / 3)) << i;
    changed += a[i] != b[i];
  }
  EXPECT_EQ(changed, 8u * 9 * 2) << "red and blue of 8 filters of 3 x 3";
  EXPECT_EQ(header("mean.weights"), header(w));
  ASSERT_EQ(run({"rgbgr", "tiny.v1.cfg", "bgr.weights", "twice.weights"}).code, 0);
  EXPECT_EQ(read_text(file("twice.weights")), read_text(file(w)));
  const Finished rescaled = run({"rescale", "tiny.v1.cfg", w, "rescaled.weights"});
  EXPECT_EQ(rescaled.code, 0) << rescaled.err;
}

TEST_F(Verbs, numbers_of_a_network) {
  const Finished statistics = run({"statistics", "tiny.v1.cfg", weights()});
  EXPECT_EQ(statistics.code, 0) << statistics.err;
  EXPECT_TRUE(matches(statistics.out, "\n3 +convolutional\\.weights +528 +-?0\\.\\d+ +0\\.\\d+")) << statistics.out;
  const Finished ops = run({"ops", "tiny.v1.cfg"});
  // Three 3x3 convolutions of stride 2 on 64 x 64, then 1x1 to 33 channels on 8 x 8.
  const int64_t wanted = 2 * (32 * 32 * 8 * 27 + 16 * 16 * 8 * 72 + 8 * 8 * 16 * 72 + 8 * 8 * 33 * 16);
  EXPECT_NE(ops.out.find(concat("Floating Point Operations: ", wanted, "\n")), std::string::npos) << ops.out << wanted;
  const Finished speed = run({"speed", "tiny.v1.cfg", "5"});
  EXPECT_EQ(speed.code, 0) << speed.err;
  EXPECT_TRUE(matches(speed.out, "5 evals, .*\nSpeed: [0-9.]+ sec/eval\nSpeed: [0-9.]+ Hz\n.* ms per image .* images/s")) << speed.out;
  EXPECT_EQ(run({"speed", "tiny.v1.cfg", "0"}).code, 2);
}

TEST_F(Verbs, pictures) {
  ASSERT_EQ(run({"visualize", "tiny.v1.cfg", weights()}).code, 0);
  const Image filters = load_image(file("filters.png"));
  EXPECT_EQ(filters.width, 3 * (63 + 2) + 2) << "8 tiles of 3 x 21 pixels, 3 in a row";
  std::set<uint8_t> levels(filters.pixels.begin(), filters.pixels.end());
  EXPECT_GT(levels.size(), 20u);
  EXPECT_TRUE(levels.contains(0) && levels.contains(255)) << "each filter is stretched to its range";
  EXPECT_EQ(run({"visualize", "tiny.v1.cfg", "-layer", "2", "-out", "third.png"}).code, 0);
  EXPECT_EQ(load_image(file("third.png")).width, 12 * (63 + 2) + 2) << "16 filters of 8 planes";
  EXPECT_EQ(run({"visualize", "tiny.v1.cfg", "-layer", "4"}).code, 2);
  const Finished sheet = run({"imtest", valid_image(0)});
  ASSERT_EQ(sheet.code, 0) << sheet.err;
  EXPECT_GT(load_image(file("imtest.png")).width, 1000);
  EXPECT_EQ(run({"imtest", "none.jpg"}).code, 2);
}

TEST_F(Verbs, old_spellings_of_detector) {
  const std::string w = weights();
  const Finished map = run({"yolo", "map", "tiny.v1.cfg", w, "-data", "set/synth.data"});
  EXPECT_EQ(map.code, 0) << map.err;
  EXPECT_NE(map.out.find("mean average precision"), std::string::npos);
  const Finished test = run({"yolo", "test", "tiny.v1.cfg", w, valid_image(0), "-data", "set/synth.data"});
  EXPECT_EQ(test.code, 0) << test.err;
  EXPECT_NE(run({"yolo", "train", "tiny.v1.cfg"}).err.find("cfg/voc.data"), std::string::npos);
  EXPECT_NE(run({"coco", "train", "tiny.v1.cfg"}).err.find("cfg/coco.data"), std::string::npos);
  // A network of six classes with the names of COCO.
  make_directories(file("cfg"));
  make_directories(file("data"));
  for (const char* name : {"cfg/coco.data", "data/coco.names"})
    fs::copy_file(fs::path(DN_SOURCE_DIR) / name, file(name), fs::copy_options::overwrite_existing);
  const Finished detect = run({"detect", "tiny.v1.cfg", w, valid_image(0), "-ext_output"});
  EXPECT_EQ(detect.code, 2);
  EXPECT_NE(detect.err.find("80"), std::string::npos) << detect.err;
  EXPECT_EQ(run({"detect", "tiny.v1.cfg", w, valid_image(0), "-data", "set/synth.data"}).code, 0);
}

TEST_F(Verbs, of_other_fields_are_refused) {
  for (const char* verb : {"classifier", "cifar", "go", "rnn", "art", "tag", "nightmare", "voxel", "super", "oneoff", "test"}) {
    const Finished refused = run({verb, "train", "a.cfg", "-anything"});
    EXPECT_EQ(refused.code, 2) << verb;
    EXPECT_NE(refused.err.find(concat("error: ", verb, ": not in this program: ")), std::string::npos) << refused.err;
    EXPECT_EQ(std::count(refused.err.begin(), refused.err.end(), '\n'), 1) << refused.err;
  }
  EXPECT_NE(run({"detector", "draw", "a.data", "a.cfg"}).err.find("detector draw: not in this program"), std::string::npos);
}

}  // namespace
}  // namespace dn
