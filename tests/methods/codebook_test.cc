#include "methods/codebook.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "methods/format.h"
#include "tests/methods/matrices.h"
#include "tests/support/input_error.h"

namespace daq {
namespace {

// The quantile of the standard normal distribution, by bisection on std::erfc.
double NormalQuantile(double probability) {
  double low = -10;
  double high = 10;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    (0.5 * std::erfc(-middle / std::sqrt(2.0)) < probability ? low : high) = middle;
  }
  return low;
}

// QLoRA's create_normal_map for `bits` bits.
std::vector<double> NormalFloat(int bits) {
  const int half = 1 << (bits - 1);
  const double offset = 1 - (1.0 / (4 * half) + 1.0 / (4 * half - 2)) / 2;
  std::vector<double> values = {0};
  for (int i = 0; i < half; ++i)
    values.push_back(NormalQuantile(offset + (0.5 - offset) * i / half));
  for (int i = 0; i < half - 1; ++i)
    values.push_back(-NormalQuantile(offset + (0.5 - offset) * i / (half - 1)));
  std::sort(values.begin(), values.end());
  const double largest = values.back();
  for (double& value : values) value /= largest;
  return values;
}

TEST(CodebookTest, SizesBitsAndOrder) {
  const std::map<std::string_view, std::pair<std::size_t, int>> expected = {
      {"int2", {4, 2}},
      {"int3", {8, 3}},
      {"int4", {16, 4}},
      {"int5", {32, 5}},
      {"int6", {64, 6}},
      {"int8", {256, 8}},
      {"nf2", {4, 2}},
      {"nf3", {8, 3}},
      {"nf4", {16, 4}},
      {"fp4_e2m1", {15, 4}},
      {"fp4_e2m1_release", {15, 4}},
      {"fp4_bnb", {15, 4}},
      {"fp8_e4m3", {253, 8}}};
  EXPECT_EQ(Codebooks().size(), expected.size());
  for (const CodebookInfo& info : Codebooks()) {
    SCOPED_TRACE(info.name);
    for (const bool symmetric : {false, true}) {
      const Codebook book = BuiltIn(info.name, symmetric);
      EXPECT_EQ(book.name, info.name);
      EXPECT_EQ(std::pair(book.values.size(), book.bits), expected.at(info.name));
      EXPECT_EQ(book.integer, info.name.starts_with("int"));
      EXPECT_EQ(info.symmetric_by_default, !book.integer);
      EXPECT_TRUE(std::is_sorted(book.values.begin(), book.values.end(), std::less_equal<>()));
      EXPECT_EQ(std::count(book.values.begin(), book.values.end(), 0.0F), 1);
      EXPECT_TRUE(IsBuiltIn(book));
    }
  }
}

TEST(CodebookTest, IntegersAreSignedWhereSymmetric) {
  EXPECT_EQ(BuiltIn("int3", false).values, (std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(BuiltIn("int3", true).values, (std::vector<float>{-4, -3, -2, -1, 0, 1, 2, 3}));
  EXPECT_EQ(BuiltIn("int8", true).first(), -128.0F);
  EXPECT_EQ(BuiltIn("int8", false).last(), 255.0F);
}

TEST(CodebookTest, NormalFloatsFollowTheConstruction) {
  for (const int bits : {2, 3, 4}) {
    const Codebook book = BuiltIn("nf" + std::to_string(bits), true);
    const std::vector<double> expected = NormalFloat(bits);
    ASSERT_EQ(book.values.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      // The published digits were computed in float32 from a linspace in float32: its steps are off
      // by up to 6e-8 in probability, times the slope of the quantile (below 14 at 0.968) over the
      // largest value 1.85.
      EXPECT_NEAR(static_cast<double>(book.values[i]), expected[i], 4.5e-7)
          << "nf" << bits << " " << i;
    }
  }
}

TEST(CodebookTest, Nf4WithQlorasRoundedOffsetIsTheSame) {
  // 0.9677083 as written in create_normal_map against the formula's 0.96770833...
  EXPECT_NEAR(1 - (1.0 / 32 + 1.0 / 30) / 2, 0.9677083, 4e-8);
}

TEST(CodebookTest, Fp4BooksMirror) {
  EXPECT_EQ(BuiltIn("fp4_e2m1", true).values,
            (std::vector<float>{-6, -4, -3, -2, -1.5F, -1, -0.5F, 0, 0.5F, 1, 1.5F, 2, 3, 4, 6}));
  EXPECT_EQ(
      BuiltIn("fp4_e2m1_release", true).values,
      (std::vector<float>{-6, -4, -3, -2, -1.5F, -1, -0.0625F, 0, 0.0625F, 1, 1.5F, 2, 3, 4, 6}));
  EXPECT_EQ(BuiltIn("fp4_bnb", true).values,
            (std::vector<float>{-12, -8, -6, -4, -3, -2, -0.0625F, 0, 0.0625F, 2, 3, 4, 6, 8, 12}));
}

TEST(CodebookTest, E4M3HasTheSpecificationsLandmarks) {
  const std::vector<float> values = BuiltIn("fp8_e4m3", true).values;
  EXPECT_EQ(values.back(), 448.0F);              // largest
  EXPECT_EQ(values[values.size() - 2], 416.0F);  // next below: the step is 32 there
  EXPECT_EQ(values[127], 0x1p-9F);               // smallest subnormal
  EXPECT_EQ(values[126 + 7], 7 * 0x1p-9F);       // largest subnormal
  EXPECT_EQ(values[126 + 8], 0x1p-6F);           // smallest normal
  EXPECT_EQ(values.front(), -448.0F);
}

TEST(CodebookTest, AnUnknownNameGivesNothing) {
  EXPECT_FALSE(FindCodebook("int7", false));
  EXPECT_FALSE(FindCodebook("", false));
}

TEST(CustomCodebookTest, KeepsValuesAndCountsBits) {
  for (const auto& [count, bits] :
       std::map<int, int>{{2, 1}, {3, 2}, {4, 2}, {5, 3}, {16, 4}, {17, 5}, {256, 8}}) {
    std::vector<double> values;
    for (int i = 0; i < count; ++i) values.push_back(i * 0.25 - 1);
    const Codebook book = CustomCodebook("mine", values, {"a.yaml", 3}, "values");
    EXPECT_EQ(book.bits, bits);
    EXPECT_EQ(book.values.size(), values.size());
    EXPECT_FALSE(book.integer);
    EXPECT_FALSE(IsBuiltIn(book));
  }
}

std::string CustomError(std::string name, const std::vector<double>& values) {
  return InputErrorOf("", [&] {
    CustomCodebook(std::move(name), values, {"a.yaml", 3}, "format.codebook.values");
  });
}

TEST(CustomCodebookTest, RefusalsSayWhatIsWrong) {
  EXPECT_EQ(CustomError("mine", {1}),
            "a.yaml:3: format.codebook.values: expected 2 to 256 values, found 1");
  EXPECT_EQ(CustomError("mine", std::vector<double>(257)),
            "a.yaml:3: format.codebook.values: expected 2 to 256 values, found 257");
  EXPECT_EQ(CustomError("mine", {0, 1, 1}),
            "a.yaml:3: format.codebook.values: expected strictly increasing float32 values, found "
            "1 after 1");
  EXPECT_EQ(CustomError("mine", {0, 1, 1 + 1e-12}),
            "a.yaml:3: format.codebook.values: expected strictly increasing float32 values, found "
            "1.000000000001 after 1");
  EXPECT_EQ(CustomError("mine", {0, std::nan("")}),
            "a.yaml:3: format.codebook.values: expected finite float32 values, found nan");
  EXPECT_EQ(CustomError("mine", {0, 1e300}),
            "a.yaml:3: format.codebook.values: expected finite float32 values, found 1e+300");
  EXPECT_EQ(CustomError("nf4", {0, 1}),
            "a.yaml:3: format.codebook.values: expected a name that no built-in code book has, "
            "found nf4");
}

TEST(FormatTest, NamesTellWhereAFormatDepartsFromItsDefault) {
  EXPECT_EQ(FormatName({.codebook = BuiltIn("int4", false)}), "int4");
  EXPECT_EQ(FormatName({.codebook = BuiltIn("int4", true), .symmetric = true}), "int4-sym");
  EXPECT_EQ(FormatName({.codebook = BuiltIn("nf4", true), .symmetric = true}), "nf4");
  EXPECT_EQ(FormatName({.codebook = BuiltIn("nf4", false)}), "nf4-asym");
  EXPECT_EQ(GranularityName({.codebook = {}}), "channel");
  EXPECT_EQ(GranularityName({.codebook = {}, .group_size = 128}), "group-128");
}

TEST(FormatTest, GroupsMustDivideARow) {
  const Format format{.codebook = BuiltIn("int4", false), .group_size = 64};
  EXPECT_EQ(GroupsPerRow(format, 256, "q"), 4);
  EXPECT_EQ(GroupLength(format, 256), 64);
  EXPECT_EQ(GroupsPerRow({.codebook = {}}, 96, "q"), 1);
  EXPECT_EQ(GroupLength({.codebook = {}}, 96), 96);
  EXPECT_EQ(InputErrorOf("", [&] { GroupsPerRow(format, 96, "model.layers.0.self_attn.q_proj"); }),
            "model.layers.0.self_attn.q_proj: format.group: expected a divisor of in_features 96, "
            "found 64");
}

}  // namespace
}  // namespace daq
