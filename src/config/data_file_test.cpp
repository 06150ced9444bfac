// .data and .names files on disk, and where the paths inside them point.
#include "config/data_file.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "config/keys.h"

namespace dn {
namespace {

class DataFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder = fs::temp_directory_path() / ("dn_data_file_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(folder);
    fs::create_directories(folder);
  }
  void TearDown() override { fs::remove_all(folder); }

  fs::path write(const std::string& name, std::string_view text) {
    fs::create_directories((folder / name).parent_path());
    write_file(folder / name, text);
    return folder / name;
  }
  // The message of the Error with the folder cut away.
  template <class Call>
  std::string message(Call call) {
    try {
      call();
    } catch (const Error& error) {
      std::string text = error.what();
      const std::string prefix = folder.string() + "/";
      for (size_t at; (at = text.find(prefix)) != std::string::npos;) text.erase(at, prefix.size());
      return text;
    }
    return "no error";
  }

  fs::path folder;
};

TEST_F(DataFileTest, ReadsEveryKey) {
  const DataFile data = read_data_file(
      write("o.data",
            "\xEF\xBB\xBF# objects\r\nclasses= 3\r\ntrain =  my data/train #1.txt   # a comment\r\nvalid=v.txt\nnames = n.names\n;no\nbackup = /b c\n"
            "results=r\neval=coco\ndifficult=d.txt\nmap=m.txt\nsaveweights=500\nsavelast=50\ntop=5"));
  EXPECT_EQ(data.classes, 3);
  EXPECT_EQ(data.train, "my data/train");  // a comment begins at a # with a blank before it
  EXPECT_EQ(data.valid, "v.txt");
  EXPECT_EQ(data.names, "n.names");
  EXPECT_EQ(data.backup, "/b c");
  EXPECT_EQ(data.results, "r");
  EXPECT_EQ(data.eval, "coco");
  EXPECT_EQ(data.difficult, "d.txt");
  EXPECT_EQ(data.map, "m.txt");
  EXPECT_EQ(data.saveweights, 500);
  EXPECT_EQ(data.savelast, 50);
  EXPECT_EQ(data.file, (folder / "o.data").string());
}

TEST_F(DataFileTest, PathsKeepTheirInnerBlanksAndHashes) {
  const DataFile data = read_data_file(write("o.data", "train=\t a  b/c#1.txt \nlabels = l.names\n"));
  EXPECT_EQ(data.train, "a  b/c#1.txt");
  EXPECT_EQ(data.valid, data.train);
  EXPECT_EQ(data.names, "l.names");
  EXPECT_EQ(data.backup, "backup");
  EXPECT_EQ(data.eval, "voc");
  EXPECT_EQ(data.classes, 0);
  EXPECT_EQ(data.savelast, 100);
}

TEST_F(DataFileTest, ReportsEveryProblem) {
  const fs::path path = write("o.data", "classes=zero\ntrain\nvalid=\ntrain=a\ntrain=b\n=c\neval=pascal\nsavelast=0\n");
  EXPECT_EQ(message([&] { read_data_file(path); }),
            "o.data:1: classes = zero: not a whole number; expected 1..1000000\n"
            "o.data:2: train: expected key = value\n"
            "o.data:3: valid =: no value; expected key = value\n"
            "o.data:6: =c: no key before the =; expected key = value\n"
            "o.data:7: eval = pascal: expected voc, coco, bdd, kitti, imagenet\n"
            "o.data:8: savelast = 0: expected 1 or more");
}

TEST_F(DataFileTest, UnknownKeysNameTheNearest) {
  const fs::path path = write("o.data", "train=a\nname=b\n");
  set_strict_keys(true);
  EXPECT_EQ(message([&] { read_data_file(path); }), "o.data:2: name = b: unknown key; did you mean 'names'?");
  set_strict_keys(false);
  EXPECT_EQ(read_data_file(path).train, "a");
}

TEST_F(DataFileTest, RefusesWhatIsNoDataFile) {
  EXPECT_EQ(message([&] { read_data_file(write("e.data", "# nothing\n")); }), "e.data: empty; expected lines like train = data/train.txt");
  EXPECT_EQ(message([&] { read_data_file(write("b.data", std::string_view("a=1\n\0\n", 6))); }), "b.data:2: NUL byte; expected a text file in UTF-8");
  EXPECT_NE(message([&] { read_data_file(folder / "none.data"); }), "no error");
  EXPECT_NE(message([&] { read_data_file(folder); }), "no error");
}

TEST_F(DataFileTest, NamesKeepInnerBlankLinesAndDropTheLast) {
  EXPECT_EQ(read_names(write("a.names", "\xEF\xBB\xBFtraffic light\r\n\r\n  dog \t\r\n\r\n\n")),
            (std::vector<std::string>{"traffic light", "", "dog"}));
  EXPECT_EQ(read_names(write("b.names", "cat")), std::vector<std::string>{"cat"});
  EXPECT_EQ(message([&] { read_names(write("c.names", " \n\n")); }), "c.names: no names; expected one class name a line");
}

TEST_F(DataFileTest, RelativePathsStartBesideTheFile) {
  const fs::path near = write("data/o.data", "train=a\n");
  const fs::path beside = write("data/list.txt", "x");
  EXPECT_EQ(resolve_path("list.txt", near), beside);
  EXPECT_EQ(resolve_path("none.txt", near), folder / "data/none.txt");
  EXPECT_EQ(resolve_path("/abs/list.txt", near), "/abs/list.txt");
  EXPECT_EQ(resolve_path("", near), "");
  const fs::path before = fs::current_path();
  fs::current_path(folder);
  EXPECT_EQ(resolve_path("data/list.txt", "data/o.data"), "data/list.txt");  // only there from the working directory
  EXPECT_EQ(resolve_path("list.txt", "data/o.data"), "data/list.txt");
  fs::current_path(before);
}

}  // namespace
}  // namespace dn
