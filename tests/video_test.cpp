// Videos: written and read back, read when damaged, and `detector demo` from a file to a file. The videos are made here, by our own writer.
#include "video/video.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/json.h"
#include "tests/harness/program.h"

namespace dn {
namespace {

using testing::Finished;
using testing::matches;

constexpr int kWidth = 96, kHeight = 64, kFrames = 20;

// A bright square that moves to the right by four pixels a frame, on a background that is brighter in every frame.
Image scene(int frame) {
  Image image{kWidth, kHeight, 3, std::vector<uint8_t>(static_cast<size_t>(kWidth * kHeight * 3))};
  for (int y = 0; y < kHeight; ++y)
    for (int x = 0; x < kWidth; ++x)
      for (int c = 0; c < 3; ++c) {
        const bool inside = x >= 4 * frame && x < 4 * frame + 16 && y >= 24 && y < 40;
        image.pixels[static_cast<size_t>((y * kWidth + x) * 3 + c)] = static_cast<uint8_t>(inside ? (c == 0 ? 230 : 40) : 40 + 4 * frame);
      }
  return image;
}

void make_video(const fs::path& path, int frames = kFrames) {
  VideoWriter writer(path, kWidth, kHeight, 12.5);
  for (int i = 0; i < frames; ++i) writer.write(scene(i));
  writer.finish();
}

double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

std::vector<nlohmann::json> json_lines(const fs::path& path) {
  std::vector<nlohmann::json> objects;
  for (const std::string& line : read_lines(path)) objects.push_back(parse_json(line));
  return objects;
}

int count_frames(const fs::path& path) {
  VideoReader reader(path.string());
  Image frame;
  int count = 0;
  while (reader.read(frame)) ++count;
  EXPECT_EQ(reader.skipped(), 0) << path;
  return count;
}

class Video : public testing::ProgramTest {
 protected:
  void SetUp() override {
    ProgramTest::SetUp();
    if (!video_available()) GTEST_SKIP() << "built without FFmpeg";
  }
  static Finished demo(std::vector<std::string> more) {
    std::vector<std::string> words = {"detector", "demo", "set/synth.data", "tiny.v1.cfg", weights(), "-thresh", ".0001"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
};

TEST_F(Video, written_frames_are_read_back) {
  for (const char* name : {"a.mp4", "a.avi", "a.mkv"}) {
    make_video(file(name));
    EXPECT_LT(dn::file_size(file(name)), 50'000u);
    VideoReader reader(file(name).string());
    EXPECT_EQ(reader.info().width, kWidth);
    EXPECT_EQ(reader.info().height, kHeight);
    EXPECT_NEAR(reader.info().fps, 12.5, .01) << name;
    EXPECT_NEAR(reader.info().seconds, kFrames / 12.5, .2) << name;
    EXPECT_NEAR(static_cast<double>(reader.info().frames), kFrames, 1) << name;
    Image frame;
    for (int i = 0; i < kFrames; ++i) {
      ASSERT_TRUE(reader.read(frame)) << name << " " << i;
      EXPECT_LT(mean_difference(frame, scene(i)), 6) << name << " " << i;
      EXPECT_GT(mean_difference(frame, scene((i + 8) % kFrames)), 10) << "the right frame in the right place";
    }
    EXPECT_FALSE(reader.read(frame));
    EXPECT_EQ(reader.skipped(), 0);
  }
  EXPECT_FALSE(fs::exists(file(".a.part.mp4")));
}

TEST_F(Video, an_unfinished_one_leaves_nothing) {
  {
    VideoWriter writer(file("half.mp4"), kWidth, kHeight, 25);
    writer.write(scene(0));
  }
  EXPECT_FALSE(fs::exists(file("half.mp4")));
  EXPECT_FALSE(fs::exists(file(".half.part.mp4")));
  EXPECT_THROW(VideoWriter(file("none.xyzzy"), kWidth, kHeight, 25), Error);
  EXPECT_THROW(VideoWriter(file("nowhere/none.mp4"), kWidth, kHeight, 25), Error);
}

TEST_F(Video, odd_sides_lose_a_pixel) {
  {
    VideoWriter writer(file("odd.avi"), 33, 31, 25);
    Image image{33, 31, 3, std::vector<uint8_t>(33 * 31 * 3, 100)};
    writer.write(image);
    writer.finish();
  }
  VideoReader reader(file("odd.avi").string());
  EXPECT_EQ(reader.info().width, 32);
  EXPECT_EQ(reader.info().height, 30);
}

TEST_F(Video, what_is_none_is_said) {
  write_file(file("text.mp4"), "this is no video at all, whatever its name says\n");
  EXPECT_THROW(VideoReader(file("text.mp4").string()), Error);
  EXPECT_THROW(VideoReader(file("missing.mp4").string()), Error);
  EXPECT_THROW(VideoReader(987), Error) << "no such camera";
  const Finished result = demo({"missing.mp4"});
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("missing.mp4: cannot open"), std::string::npos) << result.err;
}

TEST_F(Video, demo_writes_video_lines_and_frames) {
  make_video(file("in.mp4"));
  const Finished result = demo({"in.mp4", "-dont_show", "-out_filename", "out.mp4", "-json_file_output", "out.jsonl", "-prefix", "frame", "-ext_output"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(count_frames(file("out.mp4")), kFrames);
  EXPECT_NE(result.out.find(concat(kFrames, " frames, ")), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("AVG_FPS:"), std::string::npos);
  const auto lines = json_lines(file("out.jsonl"));
  ASSERT_EQ(lines.size(), static_cast<size_t>(kFrames));
  size_t objects = 0;
  for (int i = 0; i < kFrames; ++i) {
    EXPECT_EQ(lines[static_cast<size_t>(i)].at("frame_id"), i + 1);
    EXPECT_EQ(lines[static_cast<size_t>(i)].at("filename"), "in.mp4");
    objects += lines[static_cast<size_t>(i)].at("objects").size();
    EXPECT_EQ(load_image(file(concat("frame_000000", i + 1 < 10 ? "0" : "", i + 1, ".jpg"))).width, kWidth);
  }
  EXPECT_GT(objects, 0u);
  EXPECT_NE(result.out.find("left_x:"), std::string::npos) << "boxes in pixels";
  // The boxes are in the frames unless they are not wanted there.
  EXPECT_GT(mean_difference(load_image(file("frame_00000001.jpg")), scene(0)), 4);
  ASSERT_EQ(demo({"in.mp4", "-prefix", "bare", "-dontdraw_bbox"}).code, 0);
  EXPECT_LT(mean_difference(load_image(file("bare_00000001.jpg")), scene(0)), 4);
}

// The same network on the same picture, by the way of `detector test`.
TEST_F(Video, demo_finds_what_test_finds) {
  make_video(file("in.mkv"), 1);
  {
    VideoReader reader(file("in.mkv").string());
    Image frame;
    ASSERT_TRUE(reader.read(frame));
    save_image(file("first.png"), frame);
  }
  ASSERT_EQ(demo({"in.mkv", "-json_file_output", "one.jsonl", "-letter_box"}).code, 0);
  ASSERT_EQ(run({"detector", "test", "set/synth.data", "tiny.v1.cfg", weights(), "-thresh", ".0001", "first.png", "-out", "one.json", "-letter_box"}).code, 0);
  const auto video = json_lines(file("one.jsonl")).at(0).at("objects");
  const auto image = parse_json(read_text(file("one.json"))).at(0).at("objects");
  EXPECT_GT(video.size(), 0u);
  EXPECT_EQ(video, image);
}

TEST_F(Video, frames_are_left_out_and_averaged) {
  make_video(file("in.mp4"));
  ASSERT_EQ(demo({"in.mp4", "-s", "3", "-json_file_output", "skip.jsonl", "-out_filename", "skip.mp4"}).code, 0);
  const auto lines = json_lines(file("skip.jsonl"));
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[1].at("frame_id"), 5);
  EXPECT_NEAR(VideoReader(file("skip.mp4").string()).info().fps, 12.5 / 4, .01) << "it plays as fast as before";
  ASSERT_EQ(demo({"in.mp4", "-json_file_output", "plain.jsonl"}).code, 0);
  ASSERT_EQ(demo({"in.mp4", "-json_file_output", "mean.jsonl", "-avgframes", "4"}).code, 0);
  const auto plain = json_lines(file("plain.jsonl")), mean = json_lines(file("mean.jsonl"));
  EXPECT_EQ(plain[0].at("objects"), mean[0].at("objects")) << "one frame is its own mean";
  EXPECT_NE(plain[10].at("objects"), mean[10].at("objects"));
}

// Frames go on from each other's state, images do not.
TEST_F(Video, recurrent_networks_go_on_from_frame_to_frame) {
  std::string text = testing::tiny_cfg(2);
  write_file(file("recurrent.cfg"), text.insert(text.rfind("[convolutional]"), "[conv_lstm]\npad=1\noutput=16\n"));
  ASSERT_EQ(run({"detector", "train", "set/synth.data", "recurrent.cfg"}).code, 0);
  make_video(file("in.mkv"), 2);
  VideoReader reader(file("in.mkv").string());
  Image frame;
  for (const char* name : {"first.png", "second.png"}) {
    ASSERT_TRUE(reader.read(frame));
    save_image(file(name), frame);
  }
  const std::string trained = "set/backup/recurrent_final.weights";
  ASSERT_EQ(run({"detector", "demo", "set/synth.data", "recurrent.cfg", trained, "in.mkv", "-thresh", ".0001", "-json_file_output", "two.jsonl"}).code, 0);
  ASSERT_EQ(run({"detector", "test", "set/synth.data", "recurrent.cfg", trained, "first.png", "second.png", "-thresh", ".0001", "-out", "two.json"}).code, 0);
  const auto video = json_lines(file("two.jsonl"));
  const auto images = parse_json(read_text(file("two.json")));
  ASSERT_EQ(video.size(), 2u);
  EXPECT_GT(video[0].at("objects").size(), 0u);
  EXPECT_EQ(video[0].at("objects"), images.at(0).at("objects"));
  EXPECT_NE(video[1].at("objects"), images.at(1).at("objects"));
}

// The camera stands still, and so do the objects: they keep their numbers.
TEST_F(Video, objects_are_numbered_through_frames) {
  std::string text = testing::tiny_cfg(2, {}, "embedding_layer=-2\ntrack_history_size=3\nsim_thresh=.9\n");
  write_file(file("track.cfg"), text.replace(text.find("filters=16"), 10, "filters=18"));
  ASSERT_EQ(run({"detector", "train", "set/synth.data", "track.cfg"}).code, 0);
  {
    VideoWriter writer(file("still.mp4"), kWidth, kHeight, 25);
    for (int i = 0; i < 4; ++i) writer.write(scene(5));
    writer.finish();
  }
  const Finished result = run({"detector", "demo", "set/synth.data", "track.cfg", "set/backup/track_final.weights", "still.mp4", "-track", "-thresh", ".1",
                               "-json_file_output", "track.jsonl"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("(object 1)"), std::string::npos) << result.out;
  const auto numbers = [](const nlohmann::json& line) {
    std::set<int> all;
    for (const auto& object : line.at("objects")) all.insert(object.at("track_id").get<int>());
    return all;
  };
  const auto lines = json_lines(file("track.jsonl"));
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_GT(numbers(lines[0]).size(), 0u);
  EXPECT_TRUE(std::ranges::includes(numbers(lines[0]), std::set<int>{1}));
  EXPECT_TRUE(std::ranges::includes(numbers(lines[3]), std::set<int>{1})) << "still the first object";
  const Finished refused = demo({"still.mp4", "-track"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("no [yolo] has an embedding_layer"), std::string::npos) << refused.err;
}

TEST_F(Video, damaged_frames_are_left_out_and_counted) {
  make_video(file("in.avi"));
  std::string bytes = read_text(file("in.avi"));
  // Half of the way through the pictures, some packets.
  const size_t pictures = bytes.find("movi"), middle = (pictures + bytes.size()) / 2;
  ASSERT_NE(pictures, std::string::npos);
  bytes.replace(middle, 400, std::string(400, '\xff'));
  write_file(file("damaged.avi"), bytes);
  VideoReader reader(file("damaged.avi").string());
  Image frame;
  int read = 0;
  while (reader.read(frame)) ++read;
  EXPECT_LT(read, kFrames);
  EXPECT_GT(read, kFrames / 4);
  EXPECT_GT(reader.skipped(), 0);
  const Finished result = demo({"damaged.avi", "-out_filename", "repaired.mp4"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find(concat(reader.skipped(), " could not be decoded")), std::string::npos) << result.out;
  EXPECT_EQ(count_frames(file("repaired.mp4")), read);
  // Cut short: what is there.
  write_file(file("short.avi"), read_text(file("in.avi")).substr(0, middle));
  const Finished cut = demo({"short.avi"});
  EXPECT_EQ(cut.code, 0) << cut.err;
}

TEST_F(Video, demo_ends_when_it_is_told_to) {
  make_video(file("in.mp4"));
  const Finished timed = demo({"in.mp4", "-benchmark", "-time_limit_sec", ".2"});
  EXPECT_EQ(timed.code, 0) << timed.err;
  EXPECT_TRUE(matches(timed.out, "\\d+ frames, [0-9.]+ frames/s")) << timed.out;
  testing::Running endless(folder(), {"detector", "demo", "set/synth.data", "tiny.v1.cfg", weights(), "in.mp4", "-benchmark", "-time_limit_sec", "1000"});
  ASSERT_TRUE(endless.wait_for("in.mp4: 96 x 64, 12.50 frames/s", 1));
  endless.signal(SIGINT);
  EXPECT_EQ(endless.finish().code, 130);
}

TEST_F(Video, a_failing_stage_ends_the_others) {
  make_video(file("in.mp4"));
  write_file(file("blocked"), "a file, not a folder");
  const Finished result = demo({"in.mp4", "-prefix", "blocked/frame"});
  EXPECT_EQ(result.code, 2);
  EXPECT_NE(result.err.find("blocked"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace dn
