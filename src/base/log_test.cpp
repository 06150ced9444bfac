#include "base/log.h"

#include <gtest/gtest.h>

namespace dn::log {
namespace {

// Elsewhere than on a terminal: plain lines.
std::string progress_text(int64_t total, int64_t done) {
  ::testing::internal::CaptureStderr();
  Progress("drawing", total, "images", 0).update(done);
  return ::testing::internal::GetCapturedStderr();
}

TEST(Progress, tells_what_is_left_where_it_is_known) {
  const std::string line = progress_text(100, 50);
  EXPECT_EQ(line.substr(0, 22), "drawing 50/100 images,") << line;
  EXPECT_NE(line.find(" left"), std::string::npos) << line;
  EXPECT_EQ(progress_text(0, 50), "drawing 50 images\n");
}

}  // namespace
}  // namespace dn::log
