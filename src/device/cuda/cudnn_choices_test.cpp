#include "device/cuda/cudnn_choices.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include "base/files.h"
#include "base/log.h"

namespace dn::cuda::cudnn {
namespace {

class ChoicesTest : public ::testing::Test {
 protected:
  void TearDown() override { fs::remove_all(folder_); }
  const fs::path folder_ = fs::temp_directory_path() / concat("dn_choices_", static_cast<int>(::getpid()));
  const std::string file_ = (folder_ / "convolutions.json").string();
  const RememberedChoice one_{{38, {{2, 21}, {40, 128}}}, true}, other_{{0, {}}, false};
};

TEST_F(ChoicesTest, AreTheSameAfterSavingAndLoading) {
  Choices choices(file_);
  EXPECT_EQ(choices.find("a"), std::nullopt);
  choices.set("a", one_);
  choices.set("b", other_);
  choices.save();
  const Choices again(file_);
  EXPECT_EQ(again.find("a"), one_);
  EXPECT_EQ(again.find("b"), other_);
  EXPECT_EQ(again.find("c"), std::nullopt);
}

TEST_F(ChoicesTest, ThoseOfAnotherRunStay) {
  Choices first(file_), second(file_);
  first.set("a", one_);
  first.set("b", one_);
  first.save();
  second.set("b", other_);
  second.set("c", other_);
  second.save();
  const Choices all(file_);
  EXPECT_EQ(all.find("a"), one_);
  EXPECT_EQ(all.find("b"), other_);
  EXPECT_EQ(all.find("c"), other_);
}

TEST_F(ChoicesTest, ADamagedFileIsIgnoredWithAWarningAndReplaced) {
  fs::create_directories(folder_);
  for (const char* text : {"{\"choices\": {", "[]", "{\"choices\": {\"a\": {\"engine\": \"x\", \"knobs\": [], \"measured\": false}}}",
                           "{\"choices\": {\"a\": {\"engine\": 1, \"knobs\": [[1]], \"measured\": false}}}"}) {
    write_file(file_, text);
    const int64_t before = log::warnings();
    Choices choices(file_);
    EXPECT_EQ(log::warnings(), before + 1) << text;
    EXPECT_EQ(choices.find("a"), std::nullopt) << text;
    choices.set("a", one_);
    choices.save();
    EXPECT_EQ(Choices(file_).find("a"), one_) << text;
  }
}

TEST_F(ChoicesTest, AFileThatCannotBeWrittenIsAWarning) {
  fs::create_directories(folder_);
  write_file(folder_ / "file", "");
  Choices choices((folder_ / "file" / "convolutions.json").string());
  choices.set("a", one_);
  const int64_t before = log::warnings();
  choices.save();
  EXPECT_EQ(log::warnings(), before + 1);
  EXPECT_EQ(choices.find("a"), one_);
}

TEST_F(ChoicesTest, WithoutAFileTheyStayInMemory) {
  Choices choices("");
  choices.set("a", one_);
  choices.save();
  EXPECT_EQ(choices.find("a"), one_);
}

}  // namespace
}  // namespace dn::cuda::cudnn
