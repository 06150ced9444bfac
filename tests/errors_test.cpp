// Every NAME.cfg in tests/errors is read as a user's cfg; what the program says about it must be NAME.expected, to the letter: the warnings, then the
// errors, with the path of the file shortened to its name. An error has to name the place, so a changed message is a change on purpose.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "graph/network.h"

namespace dn {
namespace {

const fs::path kFolder = fs::path(DN_SOURCE_DIR) / "tests" / "errors";

std::vector<std::string> cases() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kFolder))
    if (entry.path().extension() == ".cfg") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string said_about(const fs::path& cfg) {
  std::string errors;
  ::testing::internal::CaptureStderr();
  try {
    Network::from_cfg(cfg);
  } catch (const Error& error) {
    errors = std::string(error.what()) + "\n";
  }
  std::string said = ::testing::internal::GetCapturedStderr() + errors;
  const std::string folder = cfg.parent_path().string() + "/";
  for (size_t at; (at = said.find(folder)) != std::string::npos;) said.erase(at, folder.size());
  return said;
}

class Errors : public ::testing::TestWithParam<std::string> {};

TEST_P(Errors, AreSaidInTheseWords) {
  const std::string said = said_about(kFolder / (GetParam() + ".cfg"));
  EXPECT_EQ(said, read_text(kFolder / (GetParam() + ".expected")));
  EXPECT_FALSE(said.empty());
}

INSTANTIATE_TEST_SUITE_P(Cfg, Errors, ::testing::ValuesIn(cases()), [](const auto& instance) { return instance.param; });

TEST(ErrorsFolder, EveryExpectationHasItsCfg) {
  const std::vector<std::string> names = cases();
  EXPECT_GE(names.size(), 25u);
  for (const auto& entry : fs::directory_iterator(kFolder)) {
    if (entry.path().extension() != ".expected") continue;
    EXPECT_TRUE(std::find(names.begin(), names.end(), entry.path().stem().string()) != names.end()) << entry.path();
  }
}

}  // namespace
}  // namespace dn
