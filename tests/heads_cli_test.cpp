// The heads before and beside [yolo] through the real program: each trains on a few pictures until it finds the objects in them again, and every verb of
// `detector` takes it.
#include "base/json.h"
#include "tests/harness/program.h"

namespace dn {
namespace {

using testing::Finished;
using testing::first_match;
using testing::Groups;
using testing::match_count;
using testing::matches;

constexpr int kIterations = 200;

struct HeadCase {
  const char* name;
  const char* rate;        // learning_rate
  const char* end;         // of the cfg, behind the 4 x 4 cells of 32 channels
  const char* log_line;    // of the family for such heads; empty: none
};

std::ostream& operator<<(std::ostream& out, const HeadCase& c) { return out << c.name; }

std::string convolution(int filters, int stride) {
  return concat("[convolutional]\nbatch_normalize=1\nsize=3\nstride=", stride, "\npad=1\nactivation=leaky\nfilters=", filters, "\n");
}

std::string cfg(const HeadCase& head) {
  return concat("[net]\nbatch=8\nsubdivisions=1\nwidth=64\nheight=64\nchannels=3\nlearning_rate=", head.rate, "\nmomentum=.9\ndecay=.0005\nburn_in=20\n"
                "policy=steps\nsteps=160\nscales=.2\nsaturation=1\nexposure=1\nhue=0\nflip=0\nmax_batches=", kIterations, "\n",
                convolution(16, 2), convolution(16, 2), convolution(32, 2), convolution(32, 2), head.end);
}

const HeadCase kCases[] = {
    {"region", ".004",
     "[convolutional]\nsize=1\nfilters=22\nactivation=linear\n"
     "[region]\nanchors=1,1, 2,2\nbias_match=1\nclasses=6\ncoords=4\nnum=2\nsoftmax=1\njitter=0\nrescore=1\nobject_scale=5\nthresh=.6\n",
     R"(Region Avg IOU: \d\.\d{6}, Class: \d\.\d{6}, Obj: \d\.\d{6}, No Obj: \d\.\d{6}, Avg Recall: \d\.\d{6}, count: \d+\n)"},
    {"detection", ".004",
     "[connected]\noutput=256\nactivation=leaky\n[connected]\noutput=256\nactivation=linear\n"
     "[detection]\nclasses=6\ncoords=4\nrescore=1\nside=4\nnum=2\nsqrt=1\njitter=0\nnoobject_scale=.5\ncoord_scale=5\n",
     R"(Detection Avg IOU: \d\.\d{6}, Pos Cat: -?\d\.\d{6}, All Cat: -?\d\.\d{6}, Pos Obj: -?\d\.\d{6}, Any Obj: -?\d\.\d{6}, count: \d+\n)"},
    {"gaussian_yolo", ".001",
     "[convolutional]\nsize=1\nfilters=30\nactivation=linear\n"
     "[Gaussian_yolo]\nmask=0,1\nanchors=16,16, 32,32\nclasses=6\nnum=2\njitter=0\niou_loss=giou\niou_normalizer=.5\nuc_normalizer=.1\n",
     ""},
};

class HeadsCli : public testing::ProgramTest, public ::testing::WithParamInterface<HeadCase> {};
class ClassTreeCli : public testing::ProgramTest {};

}  // namespace

TEST_P(HeadsCli, learns_and_is_taken_by_every_verb) {
  const std::string name = GetParam().name, net = name + ".cfg", weights = concat("set/backup/", name, "_final.weights");
  write_file(file(net), cfg(GetParam()));
  std::string data = read_text(file("set/synth.data"));
  data.replace(data.find("valid.txt"), 9, "train.txt");   // a few hundred steps teach a few pictures, no more
  write_file(file("set/again.data"), data);
  const Finished trained = run({"detector", "train", "set/again.data", net});
  ASSERT_EQ(trained.code, 0) << trained.err;
  std::vector<double> losses;
  for (const std::string& text : read_lines(file("set/backup/metrics.jsonl"))) {
    const auto object = parse_json(text);
    if (object.at("run") == name && object.at("event") == "iteration") losses.push_back(object.at("avg_loss"));
  }
  ASSERT_EQ(losses.size(), static_cast<size_t>(kIterations));
  EXPECT_LT(losses.back(), .5 * losses[20]);
  if (const std::string line = GetParam().log_line; !line.empty()) {
    EXPECT_EQ(match_count(trained.out, line), static_cast<size_t>(kIterations));
  }
  const Finished map = run({"detector", "map", "set/again.data", net, weights});
  ASSERT_EQ(map.code, 0) << map.err;
  const Groups found = first_match(map.out, R"(mean average precision \(mAP@0\.50\) = ([0-9.]+))");
  ASSERT_FALSE(found.empty()) << map.out;
  EXPECT_GT(parse_real(found[1]).value(), .1) << map.out;
  const Finished test = run({"detector", "test", "set/again.data", net, weights, "set/" + read_lines(file("set/train.txt")).at(0), "-thresh", ".01"});
  EXPECT_EQ(test.code, 0) << test.err;
  EXPECT_NE(test.out.find("%\n"), std::string::npos) << test.out;
  const Finished recall = run({"detector", "recall", "set/again.data", net, weights});
  EXPECT_NE(recall.out.find("Recall:"), std::string::npos) << recall.err;
  EXPECT_EQ(run({"detector", "valid", "set/again.data", net, weights}).code, 0);
  EXPECT_EQ(run({"describe", net}).code, 0);
}

INSTANTIATE_TEST_SUITE_P(Heads, HeadsCli, ::testing::ValuesIn(kCases), [](const auto& instance) { return std::string(instance.param.name); });

// Two kinds of things, the six classes of the pictures below them: what -hier decides, and classes asked for by name.
TEST_F(ClassTreeCli, trains_tests_and_validates) {
  write_file(file("kinds.tree"), "alive -1\nmade -1\na 0\nb 0\nc 0\nd 1\ne 1\nf 1\n");
  write_file(file("kinds.names"), "alive\nmade\na\nb\nc\nd\ne\nf\n");
  write_file(file("kinds.map"), "2\n3\n4\n5\n6\n7\n");   // labels know the leaves only
  HeadCase head{"tree", ".004", "[convolutional]\nsize=1\nfilters=26\nactivation=linear\n[region]\nanchors=1,1, 2,2\nclasses=8\nnum=2\ntree=kinds.tree\nmap=kinds.map\n", ""};
  std::string text = cfg(head);
  text.replace(text.find("max_batches=200"), 15, "max_batches=20");
  write_file(file("tree.cfg"), text);
  const std::string data = read_text(file("set/synth.data"));
  const Finished trained = run({"detector", "train", "set/synth.data", "tree.cfg", "-map"});   // names of the labels' classes
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(trained.out.find("class_id = 5,"), std::string::npos);
  std::string all = data;
  const size_t names = all.find("names");
  write_file(file("set/kinds.data"), all.replace(names, all.find('\n', names) - names, "names = ../kinds.names"));
  const std::string image = "set/" + read_lines(file("set/train.txt")).at(0);
  const auto best = [&](const char* hier) {
    const Finished result = run({"detector", "test", "set/kinds.data", "tree.cfg", "set/backup/tree_final.weights", image, "-thresh", "0.001", "-hier", hier});
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  };
  const std::string root = "(alive|made): ", leaf = "\n[a-f]: ";
  EXPECT_TRUE(matches(best("0"), leaf));
  EXPECT_FALSE(matches(best("0"), root));
  EXPECT_FALSE(matches(best("1"), root));
  EXPECT_FALSE(matches(best("1"), leaf));
  // Its map= asks for nodes of the tree in `valid`.
  write_file(file("two.map"), "0\n1\n");
  write_file(file("set/two.data"), concat(read_text(file("set/kinds.data")), "map = ../two.map\neval = voc\nresults = two\n"));
  const Finished valid = run({"detector", "valid", "set/two.data", "tree.cfg", "set/backup/tree_final.weights"});
  EXPECT_EQ(valid.code, 0) << valid.err;
  EXPECT_NE(valid.out.find("comp4_det_test_made.txt"), std::string::npos) << valid.out;
  EXPECT_EQ(valid.out.find("comp4_det_test_a.txt"), std::string::npos) << valid.out;
}

}  // namespace dn
