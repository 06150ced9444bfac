// The real program, run as its users run it: commands, files it leaves behind, messages, exit codes, signals.
#include "base/json.h"
#include "image/image.h"
#include "tests/harness/program.h"

namespace dn {
namespace {

using testing::Finished;
using testing::first_match;
using testing::Groups;
using testing::match_count;
using testing::matches;
using testing::Running;
using testing::tiny_cfg;

class Cli : public testing::ProgramTest {};

TEST_F(Cli, help_for_every_command) {
  const Finished all = run({"help"});
  EXPECT_EQ(all.code, 0);
  for (const std::vector<std::string>& verb : std::vector<std::vector<std::string>>{{"detector", "train"},
                                                                                    {"detector", "test"},
                                                                                    {"detector", "map"},
                                                                                    {"detector", "valid"},
                                                                                    {"detector", "recall"},
                                                                                    {"detector", "calc_anchors"},
                                                                                    {"partial"},
                                                                                    {"describe"},
                                                                                    {"synth"},
                                                                                    {"demo"},
                                                                                    {"help"},
                                                                                    {"version"}}) {
    std::vector<std::string> words = verb;
    words.push_back("--help");
    const Finished one = run(words);
    EXPECT_EQ(one.code, 0) << verb.back();
    EXPECT_NE(one.out.find("usage: darknet " + verb[0]), std::string::npos) << verb.back();
    EXPECT_NE(all.out.find(verb.back()), std::string::npos) << verb.back();
  }
  EXPECT_EQ(run({}).code, 2);
  EXPECT_EQ(run({"-h"}).code, 0);
}

TEST_F(Cli, mistakes_end_with_2_and_say_what_is_wrong) {
  const struct {
    std::vector<std::string> words;
    const char* message;
  } cases[] = {
      {{"detecter"}, "did you mean 'detector'"},
      {{"detector", "train", "set/synth.data", "tiny.v1.cfg", "-clera"}, "unknown option"},
      {{"detector", "train", "set/synth.data"}, "too few arguments"},
      {{"detector", "train", "set/synth.data", "none.cfg"}, "none.cfg: cannot open"},
      {{"detector", "train", "none.data", "tiny.v1.cfg"}, "none.data: cannot open"},
      {{"detector", "train", "set/synth.data", "tiny.v1.cfg", "none.weights"}, "none.weights: cannot open"},
      {{"detector", "test", "set/synth.data", "tiny.v1.cfg", "w"}, "no images"},
      {{"describe", "convolutonal"}, "did you mean 'convolutional'"},
      {{"partial", "tiny.v1.cfg", "w", "out", "77"}, "expected 1..5"},
      {{"detector", "calc_anchors", "set/synth.data"}, "-width is needed"},
  };
  for (const auto& c : cases) {
    const Finished result = run(c.words);
    EXPECT_EQ(result.code, 2) << c.message;
    EXPECT_NE(("\n" + result.err).find("\nerror: "), std::string::npos) << result.err;
    EXPECT_NE(result.err.find(c.message), std::string::npos) << result.err;
  }
}

TEST_F(Cli, pointless_training_is_refused) {
  write_file(file("zero.cfg"), tiny_cfg(0));
  EXPECT_NE(run({"detector", "train", "set/synth.data", "zero.cfg"}).err.find("max_batches = 0"), std::string::npos);
  std::string one = tiny_cfg(6);
  write_file(file("one.cfg"), one.replace(one.find("batch=4\nsubdivisions=2"), 22, "batch=1\nsubdivisions=1"));
  EXPECT_NE(run({"detector", "train", "set/synth.data", "one.cfg"}).err.find("batch = 1"), std::string::npos);
  const Finished done = run({"detector", "train", "set/synth.data", "tiny.v1.cfg", weights()});
  EXPECT_EQ(done.code, 2);
  EXPECT_NE(done.err.find("-clear"), std::string::npos) << done.err;
}

TEST_F(Cli, training_leaves_its_lines_and_files) {
  fs::remove_all(file("set/backup"));
  make_directories(file("set/backup"));
  const Finished result = run({"detector", "train", "set/synth.data", "tiny.v1.cfg", "-map", "-dont_show"});
  ASSERT_EQ(result.code, 0) << result.err;
  const std::string line = R"( \d+: \d+\.\d{6}, \d+\.\d{6} avg loss, \d\.\d{6} rate, \d+\.\d{6} seconds, \d+ images, \d+\.\d{6} hours left\n)";
  EXPECT_EQ(match_count(result.out, line), 6u) << result.out;
  EXPECT_NE(result.out.find("4 images per update = 2 x 2"), std::string::npos);
  EXPECT_NE(result.out.find("mean average precision (mAP@0.50)"), std::string::npos);
  EXPECT_NE(result.err.find("-dont_show changes nothing"), std::string::npos);
  for (const char* name :
       {"set/backup/tiny.v1_final.weights", "set/backup/tiny.v1_best.weights", "set/backup/metrics.jsonl", "chart.png", "chart_tiny.v1.png"})
    EXPECT_TRUE(fs::exists(file(name))) << name;
  std::vector<std::string> events;
  for (const std::string& text : read_lines(file("set/backup/metrics.jsonl"))) {
    const auto object = parse_json(text);
    events.push_back(object.at("event"));
    EXPECT_EQ(object.at("run"), "tiny.v1");
  }
  EXPECT_EQ(std::count(events.begin(), events.end(), "iteration"), 6);
  EXPECT_EQ(std::count(events.begin(), events.end(), "map"), 1);
  EXPECT_EQ(events.front(), "start");
  EXPECT_EQ(events.back(), "end");
}

TEST_F(Cli, runs_are_reproducible_and_seeds_matter) {
  const std::string first = read_text(file(weights()));
  const auto again = [&](const char* seed, const char* threads) {
    EXPECT_EQ(run({"detector", "train", "set/synth.data", "tiny.v1.cfg", "-seed", seed, "-loader_threads", threads}).code, 0);
    return read_text(file("set/backup/tiny.v1_final.weights"));
  };
  EXPECT_EQ(again("1", "3"), first);
  EXPECT_NE(again("2", "1"), first);
}

TEST_F(Cli, a_signal_saves_and_a_later_run_goes_on) {
  write_file(file("long.cfg"), tiny_cfg(100000));
  for (const int number : {SIGINT, SIGTERM}) {
    Running training(folder(), {"detector", "train", "set/synth.data", "long.cfg"});
    ASSERT_TRUE(training.wait_for(" avg loss", 3));
    training.signal(number);
    const Finished stopped = training.finish();
    EXPECT_EQ(stopped.code, 128 + number) << stopped.err;
    EXPECT_NE(stopped.out.find("go on with: darknet detector train"), std::string::npos) << stopped.out;
  }
  Running resumed(folder(), {"detector", "train", "set/synth.data", "long.cfg", "set/backup/long_last.weights"});
  ASSERT_TRUE(resumed.wait_for(" avg loss", 1));
  resumed.signal(SIGINT);
  const Finished result = resumed.finish();
  const Groups found = first_match(result.out, "going on after iteration (\\d+)");
  ASSERT_FALSE(found.empty()) << result.out;
  const int64_t start = parse_integer(found[1]).value();
  EXPECT_GE(start, 3);
  EXPECT_NE(result.out.find(concat("\n ", start + 1, ": ")), std::string::npos) << result.out;
}

TEST_F(Cli, two_runs_of_a_name_do_not_share_a_folder) {
  write_file(file("long.cfg"), tiny_cfg(100000));
  Running training(folder(), {"detector", "train", "set/synth.data", "long.cfg"});
  ASSERT_TRUE(training.wait_for(" avg loss", 1));
  const fs::path other = file("elsewhere");
  make_directories(other);
  const Finished second = Running(other, {"detector", "train", "../set/synth.data", "../long.cfg"}).finish();
  EXPECT_EQ(second.code, 2);
  EXPECT_NE(second.err.find("another run of long"), std::string::npos) << second.err;
  training.signal(SIGINT);
  EXPECT_EQ(training.finish().code, 130);
}

TEST_F(Cli, a_backup_folder_that_cannot_be_written_is_said_at_the_start) {
  write_file(file("blocked"), "a file, not a folder");
  std::string data = read_text(file("set/synth.data"));
  data.replace(data.find("backup = backup"), 15, "backup = ../blocked");
  write_file(file("set/blocked.data"), data);
  const Finished result = run({"detector", "train", "set/blocked.data", "tiny.v1.cfg"});
  EXPECT_EQ(result.code, 2) << result.out;
  EXPECT_EQ(result.out.find(" avg loss"), std::string::npos);
}

TEST_F(Cli, multi_scale_training) {
  write_file(file("scale.cfg"), tiny_cfg(25, "", "random=1\n"));
  const Finished result = run({"detector", "train", "set/synth.data", "scale.cfg"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(result.out.find("another size between"), std::string::npos);
  for (const std::string& text : read_lines(file("set/backup/metrics.jsonl"))) {
    const auto object = parse_json(text);
    if (object.at("run") == "scale" && object.at("event") == "iteration") {
      EXPECT_EQ(object.at("width").get<int>() % 32, 0);
    }
  }
}

TEST_F(Cli, test_writes_json_and_pictures) {
  const std::string w = weights(), first = valid_image(0), second = valid_image(1);
  const Finished one = run({"detector", "test", "set/synth.data", "tiny.v1.cfg", w, first, "-thresh", ".0001", "-out", "r.json", "-ext_output"});
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_NE(one.out.find(first + ": Predicted in "), std::string::npos) << one.out;
  EXPECT_GT(load_image(file("predictions.jpg")).width, 0);
  const auto json = parse_json(read_text(file("r.json")));
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(json[0]["frame_id"], 1);
  EXPECT_EQ(json[0]["filename"], first);
  for (const auto& object : json[0]["objects"]) EXPECT_GT(object["confidence"].get<double>(), .0001);
  const Finished several = run({"detector", "test", "set/synth.data", "tiny.v1.cfg", w, first, "missing.jpg", second});
  EXPECT_EQ(several.code, 1);
  EXPECT_NE(several.err.find("missing.jpg"), std::string::npos);
  EXPECT_TRUE(fs::exists(file(concat("predictions_", fs::path(first).stem().string(), ".jpg"))));
  EXPECT_TRUE(fs::exists(file(concat("predictions_", fs::path(second).stem().string(), ".jpg"))));
}

// The whole way, shortened: an eighth of the demonstration's iterations. A network that learns nothing stays below 0.02 here.
TEST_F(Cli, demonstration_learns) {
  std::string cfg = read_text(fs::path(DN_SOURCE_DIR) / "cfg" / "demo.cfg");
  for (const char* key : {"max_batches = ", "sgdr_cycle = "}) {
    const size_t at = cfg.find(key);
    ASSERT_NE(at, std::string::npos);
    cfg.replace(at, cfg.find('\n', at) - at, concat(key, 300));
  }
  write_file(file("short.cfg"), cfg);
  const Finished result = run({"demo", "-out", "demonstration", "-cfg", "short.cfg", "-images", "300"});
  ASSERT_EQ(result.code, 0) << result.err;
  std::vector<double> losses;
  double map = 0;
  for (const std::string& text : read_lines(file("demonstration/backup/metrics.jsonl"))) {
    const auto object = parse_json(text);
    if (object.at("event") == "iteration") losses.push_back(object.at("avg_loss"));
    if (object.at("event") == "map") map = object.at("map");
  }
  ASSERT_EQ(losses.size(), 300u);
  EXPECT_LT(losses.back(), losses[99] * .8);
  EXPECT_GT(map, .2);
  for (const char* picture : {"predictions.jpg", "chart.png"}) EXPECT_GT(load_image(file(concat("demonstration/", picture)).string()).width, 200) << picture;
}

TEST_F(Cli, evaluation_verbs) {
  const std::string w = weights();
  const Finished map = run({"detector", "map", "set/synth.data", "tiny.v1.cfg", w, "-points", "101", "-iou_thresh", ".75"});
  EXPECT_EQ(map.code, 0) << map.err;
  EXPECT_NE(map.out.find("used 101 Recall-points"), std::string::npos);
  EXPECT_NE(map.out.find("mAP@0.75"), std::string::npos);
  const Finished recall = run({"detector", "recall", "set/synth.data", "tiny.v1.cfg", w});
  EXPECT_EQ(recall.code, 0) << recall.err;
  EXPECT_NE(recall.out.find("RPs/Img"), std::string::npos);
  for (const char* format : {"voc", "coco", "bdd", "kitti", "imagenet"}) {
    write_file(file("set/eval.data"), concat(read_text(file("set/synth.data")), "eval = ", format, "\n"));
    const Finished valid = run({"detector", "valid", "set/eval.data", "tiny.v1.cfg", w});
    EXPECT_EQ(valid.code, 0) << format << valid.err;
  }
  EXPECT_TRUE(parse_json(read_text(file("results/coco_results.json"))).is_array());
  EXPECT_TRUE(parse_json(read_text(file("results/bdd_results.json"))).is_array());
  EXPECT_TRUE(fs::exists(file("results/imagenet-detection.txt")));
  EXPECT_TRUE(fs::is_directory(file("results/data")));
}

TEST_F(Cli, partial_makes_a_pretrained_part) {
  const std::string w = weights();
  ASSERT_EQ(run({"partial", "tiny.v1.cfg", w, "tiny.conv.3", "3"}).code, 0);
  EXPECT_EQ(run({"detector", "map", "set/synth.data", "tiny.v1.cfg", "tiny.conv.3"}).code, 2);
  const Finished trained = run({"detector", "train", "set/synth.data", "tiny.v1.cfg", "tiny.conv.3"});
  EXPECT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.out.find("loaded 3 of 5 layers"), std::string::npos);
}

TEST_F(Cli, weights_and_safetensors_turn_into_each_other) {
  const std::string w = weights();
  ASSERT_EQ(run({"partial", "tiny.v1.cfg", w, "tiny.safetensors", "5"}).code, 0);
  ASSERT_EQ(run({"partial", "tiny.v1.cfg", "tiny.safetensors", "back.weights", "5"}).code, 0);
  EXPECT_EQ(read_text(file("back.weights")).substr(20), read_text(file(w)).substr(20));   // behind the counters
  const Finished before = run({"detector", "map", "set/synth.data", "tiny.v1.cfg", w});
  const Finished after = run({"detector", "map", "tiny.safetensors", "set/synth.data", "tiny.v1.cfg"});
  EXPECT_EQ(after.code, 0) << after.err;
  const auto mean = [](const std::string& text) { return text.substr(text.find("mean average precision"), 60); };
  EXPECT_EQ(mean(after.out), mean(before.out));
}

TEST_F(Cli, anchors_and_descriptions) {
  const Finished anchors = run({"detector", "calc_anchors", "set/synth.data", "-num_of_clusters", "3", "-width", "64", "-height", "64"});
  EXPECT_EQ(anchors.code, 0) << anchors.err;
  EXPECT_TRUE(fs::exists(file("anchors.txt")));
  const Finished cfg = run({"describe", "tiny.v1.cfg"});
  EXPECT_EQ(cfg.code, 0) << cfg.err;
  EXPECT_NE(cfg.out.find("0 layout conversions"), std::string::npos) << cfg.out;
  write_file(file("whole.cfg"), tiny_cfg(3, "norm_scope=batch\n"));
  EXPECT_TRUE(matches(run({"describe", "whole.cfg", "-memory", "2G"}).out, "\n  auto +all kept .* <- this one\n"));
  EXPECT_NE(run({"describe", "whole.cfg", "-memory", "1M"}).err.find("expected -memory "), std::string::npos);
  EXPECT_NE(run({"describe", "[net]"}).out.find("subdivisions"), std::string::npos);
  EXPECT_NE(run({"describe", "yolo"}).out.find("ignore_thresh"), std::string::npos);
}

TEST_F(Cli, strict_makes_unknown_keys_fatal) {
  write_file(file("typo.cfg"), tiny_cfg(6, "momentun=.9\n"));
  const Finished loose = run({"describe", "typo.cfg"});
  EXPECT_EQ(loose.code, 0);
  EXPECT_NE(loose.err.find("did you mean 'momentum'"), std::string::npos) << loose.err;
  EXPECT_EQ(run({"describe", "typo.cfg", "-strict"}).code, 2);
}

TEST_F(Cli, bad_images_are_replaced_and_listed) {
  fs::remove_all(file("set2"));
  fs::copy(file("set"), file("set2"), fs::copy_options::recursive);
  fs::remove_all(file("set2/backup"));
  make_directories(file("set2/backup"));
  const fs::path victim = file("set2/images/train/000003.jpg");
  ASSERT_TRUE(fs::exists(victim));
  write_file(victim, "<html>not a picture</html>");
  const Finished result = run({"detector", "train", "set2/synth.data", "tiny.v1.cfg"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_NE(read_text(file("set2/backup/bad_samples.txt")).find("000003.jpg"), std::string::npos);
}

}  // namespace
}  // namespace dn
