#include "harness/authors_calibration.h"

#include <gtest/gtest.h>

#include <set>

#include "eval/calibration.h"
#include "harness/recipe_label.h"
#include "methods/recipe.h"

namespace daq {
namespace {

// A preset added without a row would leave `calibration: authors` refused for it, and a row too
// many would calibrate a method that looks at nothing.
TEST(AuthorsCalibrationTest, EveryPresetThatReadsLayerInputsHasARow) {
  for (const Preset& preset : Presets()) {
    const Recipe recipe = MakeRecipe(
        preset, {.codebook = *FindCodebook("int4", false), .symmetric = false, .group_size = 0});
    EXPECT_EQ(FindAuthorsCalibration(preset.name).has_value(), NeedsCalibration(recipe))
        << preset.name;
  }
}

TEST(AuthorsCalibrationTest, RowsAreThereOnceWithTheKeysOfTheirProtocol) {
  std::set<std::string_view> methods;
  for (const AuthorsCalibration& row : AuthorsCalibrations()) {
    SCOPED_TRACE(row.method);
    EXPECT_TRUE(methods.insert(row.method).second);
    EXPECT_NE(FindPreset(row.method), nullptr);
    EXPECT_FALSE(row.source.empty());
    const CalibrationProtocol* protocol = FindCalibrationProtocol(row.protocol);
    ASSERT_NE(protocol, nullptr);
    EXPECT_EQ(row.windows.has_value(), protocol->windows.has_value());
    EXPECT_EQ(row.documents.has_value(), protocol->documents.has_value());
    EXPECT_TRUE(protocol->seed.has_value());
    const CalibrationRequest request = FindAuthorsCalibration(row.method).value();
    EXPECT_EQ(request.source.dataset, protocol->dataset);
    EXPECT_EQ(request.window_tokens, row.window_tokens);
  }
  EXPECT_FALSE(FindAuthorsCalibration("rtn"));
  EXPECT_FALSE(FindAuthorsCalibration("custom"));
  EXPECT_FALSE(FindAuthorsCalibration("fp16"));
}

TEST(AuthorsCalibrationTest, SizesAreThePublishedOnes) {
  const auto size = [](std::string_view method) {
    const CalibrationRequest request = FindAuthorsCalibration(method).value();
    return request.protocol + " " + std::to_string(request.windows.value_or(0)) + " " +
           std::to_string(request.documents.value_or(0)) + " " +
           std::to_string(request.window_tokens) + " " + std::to_string(request.seed.value());
  };
  EXPECT_EQ(size("gptq"), "gptq-c4 128 0 2048 0");
  EXPECT_EQ(size("gptq-act-order"), "gptq-c4 128 0 2048 0");
  EXPECT_EQ(size("awq"), "awq-pile-val 0 128 512 42");
  EXPECT_EQ(size("awq-daq-release"), "awq-pile-val 0 128 512 42");
  EXPECT_EQ(size("awq+gptq"), "awq-pile-val 0 128 512 42");
  EXPECT_EQ(size("daq"), "daq 1 0 512 42");
  EXPECT_EQ(size("daq-release"), "daq 1 0 512 42");
  EXPECT_EQ(size("gptq+daq"), "daq 1 0 512 42");
  EXPECT_EQ(size("awq+daq"), "daq 2 0 512 42");
  EXPECT_EQ(size("awq+daq+gptq"), "daq 2 0 512 42");
}

}  // namespace
}  // namespace daq
