#include "methods/recipe.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/file.h"
#include "methods/quantize_layer.h"
#include "methods/registry.h"
#include "tests/methods/matrices.h"

namespace daq {
namespace {

template <typename Part>
void ExpectSoundEntries(std::span<const PartEntry<Part>> entries) {
  std::set<std::string_view> names;
  for (const PartEntry<Part>& entry : entries) {
    SCOPED_TRACE(entry.name);
    EXPECT_TRUE(names.insert(entry.name).second);
    EXPECT_FALSE(entry.summary.empty());
    EXPECT_EQ(FindPart(entries, entry.name), &entry);
    EXPECT_NE(entry.make(DefaultSettings(entry.settings())), nullptr);
    for (const SettingSpec& spec : entry.settings()) {
      SCOPED_TRACE(spec.name);
      EXPECT_FALSE(spec.meaning.empty());
      EXPECT_FALSE(spec.source.empty());
      if (const auto* number = std::get_if<double>(&spec.default_value)) {
        EXPECT_TRUE(spec.lowest <= *number && *number <= spec.highest);
      }
      if (const auto* whole = std::get_if<std::int64_t>(&spec.default_value)) {
        EXPECT_TRUE(spec.lowest <= static_cast<double>(*whole) &&
                    static_cast<double>(*whole) <= spec.highest);
      }
      EXPECT_EQ(std::holds_alternative<std::string>(spec.default_value), !spec.choices.empty());
    }
  }
  EXPECT_EQ(FindPart(entries, "no such part"), nullptr);
}

TEST(RegistryTest, EveryEntryIsComplete) {
  ExpectSoundEntries(Transforms());
  ExpectSoundEntries(Ranges());
  ExpectSoundEntries(Roundings());
}

template <typename Part>
void ExpectExplained(std::span<const PartEntry<Part>> entries, const std::string& docs) {
  for (const PartEntry<Part>& entry : entries) {
    const auto part = entry.make(DefaultSettings(entry.settings()));
    for (const DiagnosticSpec& spec : part->diagnostics()) {
      EXPECT_FALSE(spec.meaning.empty()) << spec.name;
      EXPECT_NE(docs.find("`" + std::string(spec.name) + "`"), std::string::npos)
          << spec.name << " is neither in docs/methods.md nor in docs/daq.md";
    }
  }
}

TEST(RegistryTest, DocsExplainEveryDiagnostic) {
  const std::filesystem::path docs = std::filesystem::path(DAQ_SOURCE_DIR) / "docs";
  const std::string text = ReadFile(docs / "methods.md") + ReadFile(docs / "daq.md");
  ExpectExplained(Transforms(), text);
  ExpectExplained(Ranges(), text);
  ExpectExplained(Roundings(), text);
}

TEST(PresetTest, EveryPresetNamesRegisteredPartsAndTheirSettings) {
  for (const Preset& preset : Presets()) {
    SCOPED_TRACE(preset.name);
    EXPECT_EQ(FindPreset(preset.name), &preset);
    EXPECT_FALSE(preset.summary.empty());
    EXPECT_FALSE(preset.source.empty());
    for (const Format& format : AllFormats(0)) {
      const Recipe recipe = MakeRecipe(preset, format);
      EXPECT_EQ(recipe.range.settings.size(), FindPart(Ranges(), preset.range)->settings().size());
      EXPECT_EQ(recipe.rounding.settings.size(),
                FindPart(Roundings(), preset.rounding)->settings().size());
      EXPECT_EQ(recipe.transform.settings.size(),
                FindPart(Transforms(), preset.transform)->settings().size());
      const RecipeParts parts = MakeParts(recipe);
      // Which inputs it calibrates on says nothing of a preset that reads none.
      EXPECT_TRUE(parts.needs_statistics() || preset.propagation == Recipe{}.propagation);
      EXPECT_FALSE(parts.range->Explain(format).empty());
    }
  }
  EXPECT_EQ(FindPreset("rtm"), nullptr);
}

TEST(PresetTest, RtnVariantsDifferInTheirSwitches) {
  const auto switches = [](std::string_view name) {
    const Recipe recipe = MakeRecipe(*FindPreset(name), {.codebook = BuiltIn("int4", false)});
    return std::pair(GetBool(recipe.range.settings, "round_zero_point"),
                     GetBool(recipe.range.settings, "include_zero"));
  };
  EXPECT_EQ(switches("rtn"), std::pair(true, false));
  EXPECT_EQ(switches("rtn-gptq"), std::pair(true, true));
  EXPECT_EQ(switches("rtn-daq"), std::pair(false, false));
}

TEST(TransformNoneTest, LeavesABlockAsItIs) {
  const std::unique_ptr<Transform> none = FindPart(Transforms(), "none")->make({});
  EXPECT_TRUE(none->is_identity());
  TransformBlock block{.name = "b",
                       .layers = {{.name = "q", .weight = NormalMatrix(3, 4, 1.0, 16)}},
                       .norms = {},
                       .groups = {}};
  const MatrixF before = block.layers[0].weight;
  none->Apply(&block, {});
  EXPECT_EQ(block.layers[0].weight, before);
}

}  // namespace
}  // namespace daq
