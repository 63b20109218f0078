#include "harness/recipe_json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "harness/propagation.h"
#include "harness/recipe_label.h"

namespace daq {
namespace {

Recipe Rtn(const Format& format) { return MakeRecipe(*FindPreset("rtn"), format); }

Format BuiltIn(std::string_view name, bool symmetric, Index group) {
  return {.codebook = *FindCodebook(name, symmetric), .symmetric = symmetric, .group_size = group};
}

TEST(RecipeJsonTest, HoldsEverySettingInAFixedOrder) {
  EXPECT_EQ(
      ToJson(Rtn(BuiltIn("int4", true, 128))).dump(),
      R"({"method":"rtn","full_precision":false,"transform":{"name":"none","settings":{}},)"
      R"("range":{"name":"minmax","settings":{"include_zero":false,"round_zero_point":true}},)"
      R"("rounding":{"name":"nearest","settings":{}},)"
      R"("format":{"codebook":"int4","symmetric":true,"group_size":128},)"
      R"("propagate":"full_precision"})");
  Recipe full_precision;
  full_precision.method = "fp16";
  full_precision.full_precision = true;
  EXPECT_EQ(ToJson(full_precision).dump(), R"({"method":"fp16","full_precision":true})");
}

TEST(RecipeJsonTest, WritesABookOfItsOwnWithItsValues) {
  const double values[] = {-1, -0.4, 0, 1};
  const Format format{
      .codebook = CustomCodebook("mine", values, {}, ""), .symmetric = true, .group_size = 0};
  const nlohmann::ordered_json json = ToJson(Rtn(format))["format"]["codebook"];
  EXPECT_EQ(json["name"], "mine");
  const auto read = nlohmann::ordered_json::parse(json["values"].dump()).get<std::vector<float>>();
  EXPECT_EQ(read, format.codebook.values);
}

TEST(RecipeJsonTest, DoublesReadBackToTheSameBits) {
  Recipe recipe = MakeRecipe(*FindPreset("mse"), BuiltIn("nf4", true, 0));
  for (const double value : {0.1, 2.4, 1.0 / 3.0, 9.999999999999999e-5}) {
    recipe.range.settings.at("norm") = value;
    const auto json = nlohmann::ordered_json::parse(ToJson(recipe).dump());
    EXPECT_EQ(json["range"]["settings"]["norm"].get<double>(), value);
  }
}

TEST(RecipeJsonTest, ContentIsTheQuantiserNotItsName) {
  const Recipe preset = Rtn(BuiltIn("nf4", true, 0));
  Recipe spelled_out = preset;
  spelled_out.method = "custom";
  EXPECT_EQ(RecipeContent(preset).dump(), RecipeContent(spelled_out).dump());
  EXPECT_NE(ToJson(preset).dump(), ToJson(spelled_out).dump());
}

TEST(RecipeJsonTest, AnyDifferenceChangesTheContent) {
  const Recipe base = Rtn(BuiltIn("int4", false, 0));
  std::vector<Recipe> others = {Rtn(BuiltIn("int4", true, 0)), Rtn(BuiltIn("int4", false, 64)),
                                Rtn(BuiltIn("int3", false, 0)),
                                MakeRecipe(*FindPreset("mse"), base.format),
                                MakeRecipe(*FindPreset("rtn-gptq"), base.format)};
  for (const Recipe& other : others)
    EXPECT_NE(RecipeContent(base).dump(), RecipeContent(other).dump());
}

TEST(RecipeJsonTest, PropagationCountsWherePartsReadLayerInputs) {
  for (const Preset& preset : Presets()) {
    const Recipe recipe = MakeRecipe(preset, BuiltIn("int4", false, 0));
    Recipe other = recipe;
    other.propagation = recipe.propagation == Propagation::kQuantized ? Propagation::kFullPrecision
                                                                      : Propagation::kQuantized;
    EXPECT_EQ(RecipeContent(recipe).dump() != RecipeContent(other).dump(), NeedsCalibration(recipe))
        << preset.name;
    EXPECT_EQ(MethodLabel(recipe), preset.name);
    EXPECT_EQ(MethodLabel(other), NeedsCalibration(recipe)
                                      ? fmt::format("{} (propagate={})", preset.name,
                                                    PropagationName(other.propagation))
                                      : preset.name)
        << preset.name;
    EXPECT_NE(ToJson(recipe).dump(), ToJson(other).dump());
  }
}

}  // namespace
}  // namespace daq
