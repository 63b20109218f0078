#include "harness/nearest_name.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace daq {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"rtn", "gptq", "awq", "daq"};

TEST(EditDistanceTest, CountsInsertionsRemovalsChangesAndSwaps) {
  EXPECT_EQ(EditDistance("", ""), 0U);
  EXPECT_EQ(EditDistance("gptq", "gptq"), 0U);
  EXPECT_EQ(EditDistance("gptq", ""), 4U);
  EXPECT_EQ(EditDistance("", "gptq"), 4U);
  EXPECT_EQ(EditDistance("recipies", "recipes"), 1U);
  EXPECT_EQ(EditDistance("modl", "model"), 1U);
  EXPECT_EQ(EditDistance("nf5", "nf4"), 1U);
  EXPECT_EQ(EditDistance("gtpq", "gptq"), 1U);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3U);
  // "ca" to "abc" is 3, not 2: a swapped pair is not edited again (optimal string alignment).
  EXPECT_EQ(EditDistance("ca", "abc"), 3U);
}

TEST(EditDistanceTest, IsSymmetricAndIgnoresCase) {
  EXPECT_EQ(EditDistance("sitting", "kitten"), EditDistance("kitten", "sitting"));
  EXPECT_EQ(EditDistance("NF4", "nf4"), 0U);
}

TEST(NearestNameTest, FindsTheNearest) {
  EXPECT_EQ(NearestName("gtpq", kNames), "gptq");
  EXPECT_EQ(NearestName("RTN", kNames), "rtn");
  EXPECT_EQ(NearestName("awp", kNames), "awq");
}

TEST(NearestNameTest, TakesTheFirstOfEquallyNearOnes) {
  EXPECT_EQ(NearestName("aq", kNames), "awq");  // awq and daq are both one insertion away
}

TEST(NearestNameTest, TakesALongerNameThatBeginsWithIt) {
  constexpr std::array<std::string_view, 3> kLong = {"norm", "grid_points", "max_shrink"};
  EXPECT_EQ(NearestName("grid", kLong), "grid_points");
  EXPECT_EQ(NearestName("gr", kLong), "");
}

TEST(NearestNameTest, GivesNothingForAFarName) {
  EXPECT_EQ(NearestName("hadamard", kNames), "");
  EXPECT_EQ(NearestName("", kNames), "");
  EXPECT_EQ(NearestName(std::string(1 << 20, 'g'), kNames), "");
  EXPECT_EQ(NearestName("gptq", {}), "");
}

TEST(NearestNameTest, Wording) {
  EXPECT_EQ(DidYouMean("gtpq", kNames), " (did you mean gptq?)");
  EXPECT_EQ(DidYouMean("hadamard", kNames), "");
  EXPECT_EQ(OneOf(kNames), "one of rtn, gptq, awq, daq");
  EXPECT_EQ(OneOf(std::span(kNames).first(1)), "rtn");
}

}  // namespace
}  // namespace daq
