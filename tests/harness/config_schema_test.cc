#include "harness/config_schema.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "eval/calibration.h"
#include "eval/protocols.h"
#include "harness/experiment.h"
#include "harness/propagation.h"
#include "methods/codebook.h"
#include "methods/recipe.h"
#include "methods/registry.h"

namespace daq {
namespace {

using Names = std::vector<std::string_view>;

TEST(ConfigSchemaTest, ListsTheKeysBelowAParent) {
  EXPECT_EQ(KeysBelow(""), (Names{"model", "memory_budget", "calibration", "held_out", "evaluate",
                                  "recipes", "sweep", "report"}));
  EXPECT_EQ(KeysBelow("recipes.format"), (Names{"codebook", "group", "symmetric"}));
  EXPECT_EQ(KeysBelow("recipes.format.codebook"), (Names{"name", "values"}));
  EXPECT_TRUE(KeysBelow("model").empty());
}

TEST(ConfigSchemaTest, EveryKeyIsThereOnceAndBelowAnother) {
  std::set<std::string_view> paths;
  for (const ConfigKey& key : ConfigKeys()) {
    EXPECT_TRUE(paths.insert(key.path).second) << key.path;
    const std::size_t dot = key.path.rfind('.');
    EXPECT_TRUE(dot == std::string_view::npos || paths.contains(key.path.substr(0, dot)))
        << key.path;
    EXPECT_EQ(MeaningOf(key.path), key.meaning);
    EXPECT_FALSE(key.meaning.empty());
  }
}

TEST(ConfigSchemaTest, SettingsOfEveryPartCanBeSwept) {
  const std::vector<std::string> paths = SweepPaths();
  const auto has = [&](const std::string& path) {
    return std::find(paths.begin(), paths.end(), path) != paths.end();
  };
  EXPECT_TRUE(has("recipes.range.include_zero"));
  EXPECT_TRUE(has("recipes.range.grid_points"));
  EXPECT_FALSE(has("memory_budget"));
  EXPECT_EQ(std::set<std::string>(paths.begin(), paths.end()).size(), paths.size());
}

// configs/README.md documents every key and every name that a config may hold; names stand in
// backquotes there.
class ConfigReadmeTest : public testing::Test {
 protected:
  void ExpectNamed(std::string_view name) const {
    EXPECT_NE(readme_.find(fmt::format("`{}`", name)), std::string::npos)
        << name << " is not in configs/README.md";
  }

  template <typename Part>
  void ExpectParts(std::span<const PartEntry<Part>> entries) const {
    for (const PartEntry<Part>& entry : entries) {
      ExpectNamed(entry.name);
      for (const SettingSpec& spec : entry.settings()) ExpectNamed(spec.name);
    }
  }

 private:
  std::string readme_ = ReadFile(std::filesystem::path(DAQ_SOURCE_DIR) / "configs/README.md");
};

TEST_F(ConfigReadmeTest, NamesEveryKey) {
  for (const ConfigKey& key : ConfigKeys()) ExpectNamed(key.path);
}

TEST_F(ConfigReadmeTest, NamesEveryPartSettingAndPreset) {
  ExpectParts(Transforms());
  ExpectParts(Ranges());
  ExpectParts(Roundings());
  for (const Preset& preset : Presets()) ExpectNamed(preset.name);
}

TEST_F(ConfigReadmeTest, NamesEveryCodebookAndProtocol) {
  for (const CodebookInfo& info : Codebooks()) ExpectNamed(info.name);
  for (const ProtocolInfo& info : EvaluationProtocols()) ExpectNamed(info.id);
  for (const CalibrationProtocol& protocol : CalibrationProtocols()) ExpectNamed(protocol.id);
  for (const std::string_view name : PropagationNames()) ExpectNamed(name);
}

TEST(ConfigsTest, EveryExperimentOfTheRepositoryReads) {
  int read = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           std::filesystem::path(DAQ_SOURCE_DIR) / "configs")) {
    if (entry.path().extension() != ".yaml" || entry.path().stem() == "datasets") continue;
    EXPECT_NO_THROW(ReadExperimentFile(entry.path())) << entry.path();
    ++read;
  }
  EXPECT_GT(read, 20) << "those of configs/tables and configs/ablations too";
}

}  // namespace
}  // namespace daq
