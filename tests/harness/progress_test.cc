#include "harness/progress.h"

#include <gtest/gtest.h>

namespace daq {
namespace {

TEST(ProgressTest, TimesReadAsPeopleSayThem) {
  EXPECT_EQ(FormatSeconds(0.04), "0.0 s");
  EXPECT_EQ(FormatSeconds(119.4), "119 s");
  EXPECT_EQ(FormatSeconds(121), "2 min");
  EXPECT_EQ(FormatSeconds(3600 * 3 + 300), "3 h 05 min");
}

TEST(ProgressTest, SizesAreInPowersOf1024) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1536), "1.5 KiB");
  EXPECT_EQ(FormatBytes(3.0 * (1ULL << 40U)), "3.0 TiB");
}

TEST(ProgressTest, LinesAreCutToTheTerminal) {
  EXPECT_EQ(FitToColumns("12345678", 8), "12345678");
  EXPECT_EQ(FitToColumns("123456789", 8), "123456..");
  EXPECT_EQ(FitToColumns("123", 1), "1");
  EXPECT_EQ(FitToColumns("123", 0), "");
}

TEST(ProgressTest, QuietHidesNotesButNotProblems) {
  testing::internal::CaptureStderr();
  Progress progress(100, /*quiet=*/true);
  progress.Start("a step");
  progress.Add(50);
  progress.Note("a result");
  progress.Problem("a failure");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "a failure\n");
}

}  // namespace
}  // namespace daq
