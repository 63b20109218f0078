#include "harness/wrapped_text.h"

#include <gtest/gtest.h>

namespace daq {
namespace {

TEST(WrappedTextTest, BreaksAtSpacesAndIndents) {
  EXPECT_EQ(WrappedText("- ", "one two three", 9), "- one two\n  three\n");
  EXPECT_EQ(WrappedText("- ", "one two three", 8), "- one\n  two\n  three\n");
  EXPECT_EQ(WrappedText("", "one  two", 100), "one two\n");
  EXPECT_EQ(WrappedText("- ", "", 100), "- \n");
}

TEST(WrappedTextTest, ALongWordHasALineOfItsOwn) {
  EXPECT_EQ(WrappedText("- ", "a abcdefghij b", 6), "- a\n  abcdefghij\n  b\n");
}

}  // namespace
}  // namespace daq
