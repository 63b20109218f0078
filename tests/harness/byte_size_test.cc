#include "harness/byte_size.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/text_files.h"

namespace daq {
namespace {

std::uint64_t Parse(std::string_view text) {
  return ParseByteSize(text, {"x.yaml", 3}, "memory_budget");
}

TEST(ByteSizeTest, ReadsEveryUnit) {
  EXPECT_EQ(Parse("1B"), 1U);
  EXPECT_EQ(Parse("2KB"), 2'000U);
  EXPECT_EQ(Parse("3MB"), 3'000'000U);
  EXPECT_EQ(Parse("4GB"), 4'000'000'000U);
  EXPECT_EQ(Parse("5TB"), 5'000'000'000'000U);
  EXPECT_EQ(Parse("6KiB"), 6'144U);
  EXPECT_EQ(Parse("7MiB"), 7'340'032U);
  EXPECT_EQ(Parse("12GiB"), 12'884'901'888U);
  EXPECT_EQ(Parse("2TiB"), 2'199'023'255'552U);
}

TEST(ByteSizeTest, ReadsUpToTheLargestNumber) {
  EXPECT_EQ(Parse("18446744073709551615B"), 18446744073709551615U);
  EXPECT_EQ(Parse("16777215TiB"), 18446742974197923840U);
}

class ByteSizeErrorTest : public testing::TestWithParam<std::string> {};

TEST_P(ByteSizeErrorTest, IsRefused) {
  const bool number =
      !GetParam().empty() &&
      ((GetParam().front() >= '0' && GetParam().front() <= '9') || GetParam().front() == '-');
  const std::string found =
      GetParam().empty() ? "nothing" : (number ? GetParam() : "\"" + GetParam() + "\"");
  EXPECT_EQ(MessageOf([] { Parse(GetParam()); }),
            "x.yaml:3: memory_budget: expected a size such as 12GiB (a whole number and B, KB, MB, "
            "GB, TB, KiB, MiB, "
            "GiB or TiB), found " +
                found);
}

INSTANTIATE_TEST_SUITE_P(Sizes, ByteSizeErrorTest,
                         testing::Values("", "12", "0GiB", "012GiB", "-1GiB", "1.5GiB", "12 GiB",
                                         "12gib", "12G", "GiB", "1GiBB", "18446744073709551616B",
                                         "16777216TiB", "inf", "99999999999999999999"));

}  // namespace
}  // namespace daq
