// The program on networks with embeddings and with labels that are left out.
#include "base/json.h"
#include "tests/harness/program.h"

namespace dn {
namespace {

using testing::Finished;
using testing::tiny_cfg;

class YoloCli : public testing::ProgramTest {
 protected:
  // The lines of metrics.jsonl of a run and an event.
  static std::vector<nlohmann::json> events(const std::string& name, const std::string& event) {
    std::vector<nlohmann::json> found;
    for (const std::string& line : read_lines(file("set/backup/metrics.jsonl"))) {
      const auto object = parse_json(line);
      if (object.at("run") == name && object.at("event") == event) found.push_back(object);
    }
    return found;
  }
  // tiny_cfg whose third convolution, three times six channels, describes the objects.
  static std::string embedding_cfg(int max_batches, const std::string& more_net = {}, const std::string& more_head = {}) {
    std::string text = tiny_cfg(max_batches, more_net, "embedding_layer=-2\n" + more_head);
    return text.replace(text.find("filters=16"), 10, "filters=18");
  }
};

// Two equal frames: every object keeps its number.
TEST_F(YoloCli, objects_are_numbered_through_frames) {
  write_file(file("track.cfg"), embedding_cfg(2, {}, "track_history_size=3\nsim_thresh=.99\n"));
  ASSERT_EQ(run({"detector", "train", "set/synth.data", "track.cfg"}).code, 0);
  const std::string frame = read_lines(file("set/valid.txt")).at(0) + "\n";
  write_file(file("set/frames.txt"), frame + frame);
  const Finished result = run({"detector", "test", "set/synth.data", "track.cfg", "set/backup/track_final.weights", "-list", "set/frames.txt",
                               "-track", "-thresh", ".1", "-out", "track.json"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("(object 1)"), std::string::npos) << result.out;
  const auto json = parse_json(read_text(file("track.json")));
  ASSERT_EQ(json.size(), 2u);
  ASSERT_GT(json[0]["objects"].size(), 0u);
  EXPECT_EQ(json[0]["objects"], json[1]["objects"]);
  for (const auto& object : json[0]["objects"]) EXPECT_GT(object.at("track_id").get<int>(), 0);
  const Finished refused = run({"detector", "test", "set/synth.data", "tiny.v1.cfg", weights(), valid_image(0), "-track"});
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("no [yolo] has an embedding_layer"), std::string::npos) << refused.err;
}

// The state goes through the log to the next session: here one that could not come from the session's own batches.
TEST_F(YoloCli, rejection_of_labels_goes_on_after_a_resume) {
  const std::string keys = "equidistant_point=2\nbadlabels_rejection_percentage=5\n";
  write_file(file("labels.cfg"), tiny_cfg(6, keys));
  ASSERT_EQ(run({"detector", "train", "set/synth.data", "labels.cfg"}).code, 0);
  const auto first = events("labels", "rejection");
  ASSERT_EQ(first.size(), 3u);  // batches 4, 5, 6: iterations 3, 4, 5 are behind the second
  EXPECT_EQ(first[0].at("iteration"), 4);
  EXPECT_EQ(first[0].at("left_out"), 0);
  EXPECT_GT(first[2].at("left_out").get<double>(), 0);
  const fs::path metrics = file("set/backup/metrics.jsonl");
  write_file(metrics,
             read_text(metrics) +
                 "{\"event\":\"rejection\",\"run\":\"labels\",\"iteration\":6,\"maximum\":1000,\"mean\":2,\"deviation\":1,\"threshold\":50}\n");
  write_file(file("labels.cfg"), tiny_cfg(7, keys));
  const Finished resumed = run({"detector", "train", "set/synth.data", "labels.cfg", "set/backup/labels_final.weights"});
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  const auto all = events("labels", "rejection");
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[4].at("iteration"), 7);
  EXPECT_NEAR(all[4].at("maximum").get<double>(), 990, 5);
  EXPECT_NEAR(all[4].at("threshold").get<double>(), 50, .02);
}

TEST_F(YoloCli, contrastive_trains_beside_the_head) {
  write_file(file("contrast.cfg"), embedding_cfg(2, "contrastive=1\n") +
                                       "[route]\nlayers=2\n[contrastive]\nclasses=6\ntemperature=1.0\nyolo_layer=-2\n"
                                       "cls_normalizer=1.0\nmax_delta=10\n");
  const Finished result = run({"detector", "train", "set/synth.data", "contrast.cfg", "-map"});
  ASSERT_EQ(result.code, 0) << result.err;
  const auto iterations = events("contrast", "iteration");
  ASSERT_EQ(iterations.size(), 2u);
  ASSERT_EQ(iterations[0].at("heads").size(), 2u);
  EXPECT_EQ(iterations[0].at("heads")[1].at("layer"), 6);
  EXPECT_GE(iterations[0].at("heads")[1].at("cost").get<double>(), 0);
  const Finished described = run({"describe", "contrast.cfg"});
  EXPECT_NE(described.out.find("objects of 4  3 x 6"), std::string::npos) << described.out;
}

}  // namespace
}  // namespace dn
