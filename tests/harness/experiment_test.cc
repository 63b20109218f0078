#include "harness/experiment.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/python_random.h"
#include "eval/calibration.h"
#include "harness/explain.h"
#include "harness/parse_experiment.h"
#include "harness/propagation.h"
#include "harness/recipe_json.h"
#include "methods/registry.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

// Every kind of value that a config may hold.
constexpr const char* kFullConfig =
    "# every key\n"
    "model: meta-llama/Llama-2-7b-hf\n"
    "memory_budget: 12GiB\n"
    "calibration: {protocol: gptq-wikitext2, file: calib.txt, windows: 4, window_tokens: 256, "
    "seed: 7}\n"
    "evaluate:\n"
    "  - gptq-wikitext2\n"
    "  - {protocol: gptq-wikitext2, name: wt2-512, file: ../texts/F.txt, window_tokens: 512, "
    "max_windows: 64}\n"
    "  - {protocol: ids, file: /data/w.json}\n"
    "  - {protocol: gptq-wikitext2, name: valid, dataset_file: wiki.valid.raw}\n"
    "  - {protocol: gptq-wikitext2, name: crossed, dataset: c4, dataset_file: "
    "c4-validation.00000-of-00008.json.gz}\n"
    "recipes:\n"
    "  - fp16\n"
    "  - {method: rtn, format: nf4}\n"
    "  - {method: rtn, format: {codebook: int4, group: 128, symmetric: true}}\n"
    "  - {method: rtn, format: int3, range: {include_zero: true}}\n"
    "  - {transform: none, range: {name: mse, grid_points: 50, norm: 2}, rounding: nearest,\n"
    "     format: {codebook: nf3, group: 64}}\n"
    "  - {transform: none, range: minmax, rounding: nearest,\n"
    "     format: {codebook: {name: my3, values: [-1, -0.4, 0, 0.4, 1]}, group: channel}}\n"
    "  - {method: rtn, format: nf2, propagate: quantized_within_block,\n"
    "     calibration: {protocol: awq-pile-val, documents: 16}}\n";

Recipe OnlyRecipe(const std::string& recipe) {
  const ExperimentFile file = ParseExperiment(
      "model: m\nevaluate: [gptq-wikitext2]\nrecipes:\n  - " + recipe + "\n", "x.yaml");
  EXPECT_EQ(file.points.size(), 1U);
  EXPECT_EQ(file.points[0].recipes.size(), 1U);
  return file.points[0].recipes[0].recipe;
}

TEST(ExperimentTest, ReadsEveryKey) {
  const ExperimentFile file = ParseExperiment(kFullConfig, "configs/all.yaml");
  EXPECT_EQ(file.name, "all");
  EXPECT_EQ(file.path, "configs/all.yaml");
  EXPECT_EQ(file.memory_budget_bytes, std::uint64_t{12} << 30);
  ASSERT_EQ(file.points.size(), 1U);
  const Experiment& point = file.points[0];
  EXPECT_TRUE(point.sweep_point.empty());
  EXPECT_EQ(point.model, "meta-llama/Llama-2-7b-hf");
  EXPECT_EQ(point.model_place.where, (FileLocation{"configs/all.yaml", 2}));
  ASSERT_EQ(point.recipes.size(), 7U);
  const CalibrationRequest calibration = {
      .protocol = "gptq-wikitext2",
      .source = {.file = "configs/calib.txt", .dataset = {}, .dataset_file = {}},
      .windows = 4,
      .documents = {},
      .window_tokens = 256,
      .seed = 7};
  EXPECT_EQ(point.recipes[0].calibration, std::nullopt) << "full precision has none";
  for (const std::size_t i : {1U, 2U, 3U, 4U, 5U})
    EXPECT_EQ(point.recipes[i].calibration, calibration);
  EXPECT_EQ(point.recipes[6].calibration,
            (CalibrationRequest{
                .protocol = "awq-pile-val",
                .source = {.file = {}, .dataset = "pile-val", .dataset_file = "val.jsonl.zst"},
                .windows = {},
                .documents = 16,
                .window_tokens = 512,
                .seed = 42}));
  EXPECT_EQ(point.recipes[5].recipe.propagation, Propagation::kFullPrecision);
  EXPECT_EQ(point.recipes[6].recipe.propagation, Propagation::kQuantizedWithinBlock);
}

TEST(ExperimentTest, ReadsEvaluationsWithTheirDefaults) {
  const std::vector<EvaluationRequest> evaluations =
      ParseExperiment(kFullConfig, "configs/all.yaml").points[0].evaluations;
  const TextSource wikitext2 = {
      .file = {}, .dataset = "wikitext2", .dataset_file = "wiki.test.raw"};
  ASSERT_EQ(evaluations.size(), 5U);
  EXPECT_EQ(evaluations[0], (EvaluationRequest{.name = "gptq-wikitext2",
                                               .protocol = "gptq-wikitext2",
                                               .source = wikitext2,
                                               .window_tokens = 2048,
                                               .max_windows = {}}));
  // A file is taken relative to the config's folder.
  EXPECT_EQ(evaluations[1],
            (EvaluationRequest{.name = "wt2-512",
                               .protocol = "gptq-wikitext2",
                               .source = {.file = "texts/F.txt", .dataset = {}, .dataset_file = {}},
                               .window_tokens = 512,
                               .max_windows = 64}));
  EXPECT_EQ(evaluations[2].name, "ids");
  EXPECT_EQ(evaluations[2].source.file, "/data/w.json");
  EXPECT_EQ(evaluations[3].source.dataset, "wikitext2");
  EXPECT_EQ(evaluations[3].source.dataset_file, "wiki.valid.raw");
  EXPECT_EQ(evaluations[4].source.dataset, "c4");
  EXPECT_EQ(evaluations[4].source.dataset_file, "c4-validation.00000-of-00008.json.gz");
}

TEST(ExperimentTest, FillsInEveryDefault) {
  const ExperimentFile file = ParseExperiment(
      "model: m\nevaluate: [gptq-c4]\nrecipes: [{method: rtn, format: int4}]\n", "x.yaml");
  EXPECT_EQ(file.name, "x");
  EXPECT_FALSE(file.memory_budget_bytes);
  EXPECT_FALSE(file.points[0].recipes[0].calibration);
  EXPECT_EQ(file.points[0].recipes[0].format_place.where, (FileLocation{"x.yaml", 3}));
  // A new configuration of the registry must reach the reader: the expected recipe is made from it.
  const Format format{
      .codebook = *FindCodebook("int4", false), .symmetric = false, .group_size = 0};
  EXPECT_EQ(file.points[0].recipes[0].recipe, MakeRecipe(*FindPreset("rtn"), format));
}

// What `calibration` of the config comes to for one recipe, `rtn` with the keys of `recipe` added.
std::optional<CalibrationRequest> OnlyCalibration(const std::string& calibration,
                                                  const std::string& recipe = "") {
  const ExperimentFile file = ParseExperiment(
      "model: m\ncalibration: " + calibration +
          "\nevaluate: [gptq-c4]\nrecipes: [{method: rtn, format: nf4" + recipe + "}]\n",
      "x.yaml");
  return file.points[0].recipes[0].calibration;
}

TEST(ExperimentTest, CalibrationsHaveTheirProtocolsDefaults) {
  for (const CalibrationProtocol& protocol : CalibrationProtocols()) {
    const std::string file = protocol.dataset.empty() ? ", file: c.json" : "";
    const CalibrationRequest request =
        OnlyCalibration("{protocol: " + std::string(protocol.id) + file + "}").value();
    EXPECT_EQ(request.protocol, protocol.id);
    EXPECT_EQ(request.source.file, protocol.dataset.empty() ? "c.json" : "");
    EXPECT_EQ(request.source.dataset, protocol.dataset);
    EXPECT_EQ(request.source.dataset_file, protocol.dataset_file);
    EXPECT_EQ(request.windows, protocol.windows);
    EXPECT_EQ(request.documents, protocol.documents);
    EXPECT_EQ(request.window_tokens, protocol.window_tokens.value_or(512));
    EXPECT_EQ(request.seed, protocol.seed);
  }
}

TEST(ExperimentTest, AnyTextMayStandInForAProtocolsOwn) {
  const CalibrationRequest file =
      OnlyCalibration("{protocol: daq, file: mine.jsonl.gz, windows: 3, seed: 1}").value();
  EXPECT_EQ(file.source, (TextSource{.file = "mine.jsonl.gz", .dataset = {}, .dataset_file = {}}));
  EXPECT_EQ(file.windows, 3);
  EXPECT_EQ(file.seed, 1);
  EXPECT_EQ(OnlyCalibration("{protocol: gptq-wikitext2, dataset_file: wiki.valid.raw}")->source,
            (TextSource{.file = {}, .dataset = "wikitext2", .dataset_file = "wiki.valid.raw"}));
  EXPECT_EQ(OnlyCalibration("{protocol: awq-pile-val, dataset: c4, dataset_file: "
                            "c4-train.00000-of-01024.json.gz}")
                ->source.dataset,
            "c4");
}

TEST(ExperimentTest, ARecipesOwnCalibrationComesFirst) {
  const std::string shared = "{protocol: text, file: c.txt}";
  EXPECT_EQ(OnlyCalibration(shared)->protocol, "text");
  EXPECT_EQ(OnlyCalibration(shared, ", calibration: {protocol: daq}")->protocol, "daq");
  EXPECT_EQ(OnlyCalibration(shared, ", calibration: none"), std::nullopt);
  EXPECT_EQ(OnlyCalibration("none", ", calibration: {protocol: daq}")->protocol, "daq");
  EXPECT_EQ(OnlyCalibration("authors", ", calibration: {protocol: daq}")->protocol, "daq");
  // rtn reads no layer inputs, so its authors have none.
  EXPECT_EQ(OnlyCalibration("authors"), std::nullopt);
  EXPECT_EQ(OnlyCalibration(shared, ", calibration: authors"), std::nullopt);
}

TEST(ExperimentTest, ReadsAFile) {
  const TemporaryFolder folder;
  const std::filesystem::path path =
      WriteText(folder.path(), "small.yaml",
                "model: m\nevaluate: [{protocol: ids, file: w.json}]\nrecipes: [fp16]\n");
  const ExperimentFile file = ReadExperimentFile(path);
  EXPECT_EQ(file.name, "small");
  EXPECT_EQ(file.points[0].evaluations[0].source.file, folder.path() / "w.json");
}

TEST(RecipeConfigTest, FullPrecisionIsAWordOrAMethod) {
  for (const char* text : {"fp16", "'fp16'", "{method: fp16}"}) {
    const Recipe recipe = OnlyRecipe(text);
    EXPECT_TRUE(recipe.full_precision);
    EXPECT_EQ(recipe.method, "fp16");
  }
}

TEST(RecipeConfigTest, EveryPresetTakesAFormatAlone) {
  for (const Preset& preset : Presets()) {
    const Recipe recipe = OnlyRecipe("{method: " + std::string(preset.name) +
                                     ", format: {codebook: nf4, group: 64}, calibration: "
                                     "{protocol: daq}}");
    // DAQ's grids and its release's baselines have zero-points; all others keep what is usual for
    // the book.
    const bool symmetric = preset.name.find("daq") == std::string_view::npos;
    const Format format{
        .codebook = *FindCodebook("nf4", symmetric), .symmetric = symmetric, .group_size = 64};
    EXPECT_EQ(recipe, MakeRecipe(preset, format)) << preset.name;
  }
}

TEST(RecipeConfigTest, SettingsOverrideThePresets) {
  const Recipe recipe = OnlyRecipe("{method: rtn, format: int3, range: {include_zero: true}}");
  EXPECT_EQ(recipe.method, "rtn");
  EXPECT_TRUE(GetBool(recipe.range.settings, "include_zero"));
  EXPECT_TRUE(GetBool(recipe.range.settings, "round_zero_point"));
}

TEST(RecipeConfigTest, PropagationIsThePresetsUnlessGiven) {
  for (const Preset& preset : Presets()) {
    const std::string head =
        "{method: " + std::string(preset.name) + ", format: nf4, calibration: {protocol: daq}";
    EXPECT_EQ(OnlyRecipe(head + "}").propagation, preset.propagation) << preset.name;
    for (const std::string_view name : PropagationNames()) {
      EXPECT_EQ(
          PropagationName(OnlyRecipe(head + ", propagate: " + std::string(name) + "}").propagation),
          name);
    }
  }
  const std::string spelled_out = "{range: mse, rounding: nearest, format: nf4";
  EXPECT_EQ(OnlyRecipe(spelled_out + "}").propagation, Propagation::kFullPrecision);
  EXPECT_EQ(OnlyRecipe(spelled_out + ", propagate: quantized}").propagation,
            Propagation::kQuantized);
}

TEST(RecipeConfigTest, SpelledOutPartsGetTheirDefaults) {
  const Recipe recipe =
      OnlyRecipe("{range: {grid_points: 50, norm: 2, name: mse}, rounding: nearest, format: nf3}");
  EXPECT_EQ(recipe.method, "custom");
  EXPECT_EQ(recipe.transform, (PartChoice{.name = "none", .settings = {}}));
  EXPECT_EQ(recipe.rounding, (PartChoice{.name = "nearest", .settings = {}}));
  Settings expected = DefaultSettings(FindPart(Ranges(), "mse")->settings());
  expected.at("grid_points") = std::int64_t{50};
  expected.at("norm") = 2.0;  // an integer in the config, a double in the recipe
  EXPECT_EQ(recipe.range, (PartChoice{.name = "mse", .settings = expected}));
}

TEST(RecipeConfigTest, EveryBuiltInBookHasItsDefaultSymmetry) {
  for (const CodebookInfo& info : Codebooks()) {
    const Format format =
        OnlyRecipe("{method: rtn, format: " + std::string(info.name) + "}").format;
    EXPECT_EQ(format.codebook, *FindCodebook(info.name, info.symmetric_by_default));
    EXPECT_EQ(format.symmetric, info.symmetric_by_default) << info.name;
    EXPECT_EQ(format.group_size, 0);
  }
}

TEST(RecipeConfigTest, SymmetricIntegersGetTheSignedGrid) {
  const Format format =
      OnlyRecipe("{method: rtn, format: {codebook: int4, symmetric: true, group: channel}}").format;
  EXPECT_TRUE(format.symmetric);
  EXPECT_EQ(format.codebook.first(), -8.0F);
  EXPECT_EQ(format.group_size, 0);
}

TEST(RecipeConfigTest, ReadsABookOfItsOwn) {
  const Format format = OnlyRecipe(
                            "{method: rtn, format: {codebook: {name: my3, values: [-1, -0.4, 0, "
                            "0.4, 1]}, group: 32}}")
                            .format;
  EXPECT_EQ(format.codebook.name, "my3");
  EXPECT_EQ(format.codebook.values, (std::vector<float>{-1.0F, -0.4F, 0.0F, 0.4F, 1.0F}));
  EXPECT_EQ(format.codebook.bits, 3);
  EXPECT_TRUE(format.symmetric);
  EXPECT_EQ(format.group_size, 32);
}

// Changed copies of a good config: each must be read or refused with an InputError, and what is
// read can be explained.
TEST(SlowExperimentTest, MutatedConfigsAreReadOrRefused) {
  const std::string sweep =
      "sweep:\n  recipes.format.group: [channel, 64]\n  calibration.windows: [1, 2]\n  "
      "evaluate.window_tokens: [512]\n";
  const std::string good = std::string(kFullConfig) + sweep;
  const std::vector<std::string> pieces = {"{",
                                           "}",
                                           "[",
                                           "]",
                                           ":",
                                           ", ",
                                           "- ",
                                           "\n",
                                           "  ",
                                           "'",
                                           "\"",
                                           "&a ",
                                           "*a",
                                           "!b ",
                                           "<<: ",
                                           "? ",
                                           "|",
                                           ">",
                                           "%",
                                           "#",
                                           "---\n",
                                           "\t",
                                           "~",
                                           "null",
                                           "true",
                                           "010",
                                           "-1",
                                           "1e999",
                                           ".nan",
                                           "\xFF",
                                           "\xC3\xA9",
                                           "fp16",
                                           "nf4",
                                           "method",
                                           "mse",
                                           "sweep",
                                           "channel: ",
                                           "recipes:",
                                           "calibration: authors\n",
                                           "propagate: quantized, ",
                                           "name: ",
                                           "\\",
                                           "99999999999999999999"};
  ASSERT_EQ(ParseExperiment(good, "x.yaml").points.size(), 4U);
  PythonRandom random(4);
  int read = 0;
  constexpr int kTries = 4000;
  for (int i = 0; i < kTries; ++i) {
    std::string text = good;
    for (std::int64_t change = random.RandInt(1, 2); change > 0; --change) {
      const auto size = static_cast<std::int64_t>(text.size());
      const auto at = static_cast<std::size_t>(random.RandInt(0, size));
      const auto length = static_cast<std::size_t>(random.RandInt(0, 12));
      const auto from = static_cast<std::size_t>(random.RandInt(0, size));
      switch (random.RandInt(0, 3)) {
        case 0:
          text.erase(at, length);
          break;
        case 1:
          text.insert(at, text.substr(from, length * 4));
          break;
        case 2:
          text.insert(at, pieces[static_cast<std::size_t>(
                              random.RandInt(0, static_cast<std::int64_t>(pieces.size()) - 1))]);
          break;
        default:
          text.replace(at, 1, 1, static_cast<char>(random.RandInt(0, 255)));
      }
    }
    try {
      const ExperimentFile file = ParseExperiment(text, "x.yaml");
      EXPECT_FALSE(Explain(file).empty());
      ++read;
    } catch (const InputError& error) {
      EXPECT_TRUE(std::string_view(error.what()).starts_with("x.yaml")) << error.what();
    }
  }
  // Both ways are taken often, or the changes test little.
  EXPECT_GT(read, kTries / 50);
  EXPECT_LT(read, kTries / 2);
}

}  // namespace
}  // namespace daq
