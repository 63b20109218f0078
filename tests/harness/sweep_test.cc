#include "harness/sweep.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "harness/parse_experiment.h"
#include "harness/recipe_label.h"
#include "harness/yaml_value.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

constexpr const char* kBase =
    "model: m\n"
    "calibration: {protocol: daq, file: c.jsonl}\n"
    "evaluate: [gptq-wikitext2, {protocol: ids, file: w.json}]\n"
    "recipes:\n"
    "  - fp16\n"
    "  - {method: rtn, format: nf4}\n"
    "  - {method: mse, format: {codebook: int4, group: 128}}\n"
    "sweep:\n";  // line 8

ExperimentFile Read(const std::string& sweep) { return ParseExperiment(kBase + sweep, "x.yaml"); }

std::string ErrorOf(const std::string& sweep) {
  return MessageOf([&] { Read(sweep); });
}

std::vector<std::string> Labels(const Experiment& point) {
  std::vector<std::string> labels;
  for (const RecipeRequest& request : point.recipes) labels.push_back(RecipeLabel(request.recipe));
  return labels;
}

using Strings = std::vector<std::string>;
using Label = std::vector<std::pair<std::string, std::string>>;

TEST(SweepTest, WithoutOneThereIsOnePoint) {
  const YamlDocument document = ParseYaml("model: m\n", "x.yaml");
  const Sweep sweep(document);
  EXPECT_EQ(sweep.points(), 1U);
  EXPECT_EQ(sweep.line(), 0);
  EXPECT_TRUE(sweep.Label(0).empty());
  EXPECT_EQ(FlowText(sweep.Document(0).root), "{model: m}");
}

TEST(SweepTest, SpansEveryCombinationTheLastKeyFastest) {
  const ExperimentFile file =
      Read("  recipes.format.group: [channel, 64]\n  calibration.windows: [1, 2, 4]\n");
  ASSERT_EQ(file.points.size(), 6U);
  EXPECT_EQ(file.points[0].sweep_point,
            (Label{{"recipes.format.group", "channel"}, {"calibration.windows", "1"}}));
  EXPECT_EQ(file.points[1].sweep_point,
            (Label{{"recipes.format.group", "channel"}, {"calibration.windows", "2"}}));
  EXPECT_EQ(file.points[5].sweep_point,
            (Label{{"recipes.format.group", "64"}, {"calibration.windows", "4"}}));
  EXPECT_EQ(Labels(file.points[1]), (Strings{"fp16", "rtn nf4 channel", "mse int4 channel"}));
  EXPECT_EQ(file.points[1].recipes[1].calibration->windows, 2);
  EXPECT_EQ(Labels(file.points[5]), (Strings{"fp16", "rtn nf4 group-64", "mse int4 group-64"}));
  EXPECT_EQ(file.points[5].recipes[2].calibration->windows, 4);
}

TEST(SweepTest, WritesWholeFormatsBeforeTheirKeys) {
  const ExperimentFile file = Read(
      "  recipes.format.group: [32]\n"
      "  recipes.format: [nf3, {codebook: int2, group: 64, symmetric: true}]\n");
  ASSERT_EQ(file.points.size(), 2U);
  EXPECT_EQ(Labels(file.points[0]), (Strings{"fp16", "rtn nf3 group-32", "mse nf3 group-32"}));
  EXPECT_EQ(Labels(file.points[1]),
            (Strings{"fp16", "rtn int2-sym group-32", "mse int2-sym group-32"}));
  EXPECT_EQ(file.points[1].sweep_point[1].second, "{codebook: int2, group: 64, symmetric: true}");
}

TEST(SweepTest, SetsSettingsThatTheRecipesDoNotWriteOut) {
  const ExperimentFile file = Read("  recipes.range.include_zero: [true, false]\n");
  EXPECT_EQ(Labels(file.points[0]), (Strings{"fp16", "rtn (include_zero=true) nf4 channel",
                                             "mse (include_zero=true) int4 group-128"}));
  EXPECT_EQ(Labels(file.points[1]), (Strings{"fp16", "rtn nf4 channel", "mse int4 group-128"}));
}

TEST(SweepTest, SetsEvaluationsButNotTheWindowsOfIds) {
  const ExperimentFile file =
      Read("  evaluate.window_tokens: [512]\n  evaluate.max_windows: [3]\n");
  ASSERT_EQ(file.points.size(), 1U);
  EXPECT_EQ(file.points[0].evaluations[0].window_tokens, 512);
  EXPECT_EQ(file.points[0].evaluations[0].max_windows, 3);
  EXPECT_EQ(file.points[0].evaluations[1].window_tokens, EvaluationRequest{}.window_tokens);
  EXPECT_EQ(file.points[0].evaluations[1].max_windows, 3);
}

// Of the shared calibration a point's recipes all get the value; of their own, those that have a
// map.
TEST(SweepTest, SetsCalibrationsWhereAMapStands) {
  const std::string config =
      "model: m\n"
      "calibration: {protocol: daq}\n"
      "evaluate: [gptq-c4]\n"
      "recipes:\n"
      "  - fp16\n"
      "  - {method: rtn, format: nf4}\n"
      "  - {method: mse, format: nf4, calibration: {protocol: daq, windows: 9}}\n"
      "  - {method: rtn, format: nf3, calibration: none}\n"
      "  - {method: rtn, format: nf2, calibration: authors}\n"
      "sweep:\n"
      "  calibration.windows: [2, 3]\n"
      "  recipes.calibration.windows: [4, 5]\n";
  const ExperimentFile file = ParseExperiment(config, "x.yaml");
  ASSERT_EQ(file.points.size(), 4U);
  const auto windows = [&](std::size_t point, std::size_t recipe) {
    const auto& calibration = file.points[point].recipes[recipe].calibration;
    return calibration ? calibration->windows.value_or(-1) : 0;
  };
  for (std::size_t point = 0; point < 4; ++point) {
    EXPECT_EQ(windows(point, 0), 0);
    EXPECT_EQ(windows(point, 1), point < 2 ? 2 : 3);
    EXPECT_EQ(windows(point, 2), point % 2 == 0 ? 4 : 5);
    EXPECT_EQ(windows(point, 3), 0);
    EXPECT_EQ(windows(point, 4), 0);
  }
}

TEST(SweepTest, SetsWholeCalibrationsAndPropagationsOfAllRecipes) {
  const ExperimentFile file = Read(
      "  recipes.calibration.windows: [7]\n"
      "  recipes.calibration: [{protocol: text, file: a.txt}, {protocol: gptq-c4}]\n"
      "  recipes.propagate: [quantized, full_precision]\n");
  ASSERT_EQ(file.points.size(), 4U);
  for (std::size_t point = 0; point < 4; ++point) {
    EXPECT_EQ(file.points[point].recipes[0].calibration, std::nullopt);
    for (const std::size_t recipe : {1U, 2U}) {
      const RecipeRequest& request = file.points[point].recipes[recipe];
      EXPECT_EQ(request.calibration->protocol, point < 2 ? "text" : "gptq-c4");
      EXPECT_EQ(request.calibration->windows, 7);
      EXPECT_EQ(request.recipe.propagation,
                point % 2 == 0 ? Propagation::kQuantized : Propagation::kFullPrecision);
    }
  }
}

TEST(SweepTest, MayHoldWhatTheRestLeavesOut) {
  const ExperimentFile file = ParseExperiment(
      "evaluate: [gptq-c4]\nrecipes: [{method: rtn}]\nsweep: {model: [a, b], recipes.format: "
      "[nf4], calibration: [none]}\n",
      "x.yaml");
  ASSERT_EQ(file.points.size(), 2U);
  EXPECT_EQ(file.points[1].model, "b");
  EXPECT_EQ(file.points[1].model_place.where, (FileLocation{"x.yaml", 3}));
}

TEST(SweepTest, RefusesWrongSweeps) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"  recipes.format: nf4\n",
       "x.yaml:9: sweep.recipes.format: expected a list of values, found \"nf4\""},
      {"  recipes.format: []\n",
       "x.yaml:9: sweep.recipes.format: expected a list of values, found an empty list"},
      {"  calibration.windows: [1,\n    2, 1]\n",
       "x.yaml:10: sweep.calibration.windows[2]: expected every value once, found 1"},
      {"  calibration.windows: [1]\n  calibration.windows: [2]\n",
       "x.yaml:10: sweep.calibration.windows: expected every key once, found it again (first on "
       "line 9)"},
      {"",
       "x.yaml:8: sweep: expected a map of lists such as {recipes.format: [nf4, nf3]}, found "
       "nothing"},
      {"  {}\n",
       "x.yaml:9: sweep: expected a list of values for one key or more, found an empty map"},
      {"  - a\n",
       "x.yaml:9: sweep: expected a map of lists such as {recipes.format: [nf4, nf3]}, found a "
       "list"},
  };
  for (const auto& [sweep, message] : cases) EXPECT_EQ(ErrorOf(sweep), message) << sweep;
}

TEST(SweepTest, RefusesUnknownKeysWithTheNearest) {
  const std::string message = ErrorOf("  recipes.fromat: [nf4]\n");
  EXPECT_TRUE(
      message.starts_with("x.yaml:9: sweep.recipes.fromat: expected one of model, calibration, "))
      << message;
  EXPECT_TRUE(message.ends_with(", found \"recipes.fromat\" (did you mean recipes.format?)"))
      << message;
  // Not one value of a point, or nothing that a point could differ in.
  for (const char* key : {"memory_budget", "sweep", "recipes", "evaluate", "evaluate.name"}) {
    EXPECT_TRUE(ErrorOf("  " + std::string(key) + ": [1]\n")
                    .starts_with("x.yaml:9: sweep." + std::string(key)));
  }
}

TEST(SweepTest, NamesTheLineOfAWrongValueAndThePoint) {
  EXPECT_EQ(ErrorOf("  calibration.windows:\n    - 1\n    - 0\n"),
            "x.yaml:11: calibration.windows: expected an integer from 1 to 1000000000, found 0 (in "
            "the sweep of line 8, at "
            "calibration.windows: 0)");
  EXPECT_EQ(ErrorOf("  recipes.format.group: [64, -1]\n  calibration.windows: [1]\n"),
            "x.yaml:9: recipes[1].format.group: expected channel or an integer from 1 to 1000000, "
            "found -1 (in the sweep "
            "of line 8, at recipes.format.group: -1, calibration.windows: 1)");
  EXPECT_EQ(ErrorOf("  recipes.range.grid_points: [50]\n"),
            "x.yaml:9: recipes[1].range.grid_points: expected one of round_zero_point, "
            "include_zero, found "
            "\"grid_points\" (in the sweep of line 8, at recipes.range.grid_points: 50)");
  EXPECT_EQ(ErrorOf("  calibration:\n    - {protocol: awq-pile-val}\n  calibration.windows: [1]\n"),
            "x.yaml:11: calibration.windows: expected no such key with protocol awq-pile-val: its "
            "windows follow from documents, found 1 (in the sweep of line 8, at calibration: "
            "{protocol: awq-pile-val}, calibration.windows: 1)");
  EXPECT_EQ(
      ErrorOf("  recipes.propagate: [quantised]\n"),
      "x.yaml:9: recipes[1].propagate: expected one of full_precision, quantized, "
      "quantized_within_block, found \"quantised\" (did you mean quantized?) (in the sweep of "
      "line 8, at recipes.propagate: quantised)");
  // A format that the range cannot serve is made of two lines; the sweep's is named.
  EXPECT_EQ(ErrorOf("  recipes.format.codebook: [{name: b, values: [1, 2]}]\n"),
            "x.yaml:9: recipes[1]: format: symmetric: expected false for b, whose values are of "
            "one sign, found true (in "
            "the sweep of line 8, at recipes.format.codebook: {name: b, values: [1, 2]})");
}

TEST(SweepTest, NamesThePointWhereTwoRecipesBecomeOne) {
  EXPECT_EQ(MessageOf([] {
              ParseExperiment(
                  "model: m\nevaluate: [gptq-c4]\nrecipes:\n  - {method: rtn, format: nf4}\n  - "
                  "{method: rtn, format: "
                  "nf3}\nsweep:\n  recipes.format: [nf2]\n",
                  "x.yaml");
            }),
            "x.yaml:5: recipes[1]: expected every quantiser once, found rtn nf2 channel, which is "
            "recipes[0] on line 4 (in "
            "the sweep of line 6, at recipes.format: nf2)");
}

TEST(SweepTest, DoesNotBlameItselfForOtherMistakes) {
  EXPECT_EQ(MessageOf([] {
              ParseExperiment(
                  "model: m\nevaluate: [gptq-c5]\nrecipes: [fp16]\nsweep: {model: [m, n]}\n",
                  "x.yaml");
            }),
            "x.yaml:2: evaluate[0]: expected one of gptq-wikitext2, gptq-c4, gptq-c4-new, "
            "llamacpp-512, lm-eval-wikitext, ids, "
            "found \"gptq-c5\" (did you "
            "mean gptq-c4?)");
}

TEST(SweepTest, RefusesAValueThatNothingTakes) {
  const std::string head =
      "model: m\nevaluate: [{protocol: ids, file: w}]\nrecipes: [fp16]\nsweep:\n  ";
  const auto error = [&](const std::string& sweep) {
    return MessageOf([&] { ParseExperiment(head + sweep + "\n", "x.yaml"); });
  };
  EXPECT_EQ(error("recipes.format: [nf4]"),
            "x.yaml:5: sweep.recipes.format: expected something under recipes that takes it, found "
            "nothing");
  EXPECT_EQ(error("evaluate.window_tokens: [512]"),
            "x.yaml:5: sweep.evaluate.window_tokens: expected something under evaluate that takes "
            "it, found nothing");
  EXPECT_EQ(error("calibration.windows: [1]"),
            "x.yaml:5: sweep.calibration.windows: expected something under calibration that takes "
            "it, found nothing");
  EXPECT_EQ(error("recipes.calibration.windows: [1]"),
            "x.yaml:5: sweep.recipes.calibration.windows: expected something under recipes that "
            "takes it, found nothing");
  // A recipe without a calibration of its own gets none by a key of one.
  EXPECT_EQ(ErrorOf("  recipes.calibration.windows: [1]\n"),
            "x.yaml:9: sweep.recipes.calibration.windows: expected something under recipes that "
            "takes it, found nothing");
  EXPECT_EQ(ErrorOf("  recipes.calibration: [none, authors]\n  recipes.calibration.seed: [1]\n"),
            "x.yaml:10: sweep.recipes.calibration.seed: expected something under recipes that "
            "takes it, found nothing");
}

std::string Numbers(int count) {
  std::string list = "[";
  for (int i = 1; i <= count; ++i) list.append(i > 1 ? ", " : "").append(std::to_string(i));
  return list + "]";
}

TEST(SweepTest, BoundsPointsAndTheirSize) {
  const std::string hundred = "  calibration.windows: " + Numbers(100) + "\n";
  EXPECT_EQ(ErrorOf(hundred + "  calibration.seed: " + Numbers(101) + "\n"),
            "x.yaml:9: sweep: expected at most 10000 points, found more");
  // 4,000,000 / 5,000 points leaves 800 values each; the file has more.
  std::string wide = "  recipes.format.codebook: [{name: wide, values: " + Numbers(256) +
                     "}, {name: w2, values: " + Numbers(255) +
                     "}, {name: w3, values: " + Numbers(254) +
                     "}, {name: w4, values: " + Numbers(253) + "}]\n";
  EXPECT_EQ(ErrorOf(hundred + "  calibration.seed: " + Numbers(25) + "\n" + wide),
            "x.yaml:9: sweep: expected at most 4000000 values in all points together, found more");
}

TEST(SlowSweepTest, ReadsTenThousandPoints) {
  const ExperimentFile file = Read("  calibration.windows: " + Numbers(100) +
                                   "\n  calibration.seed: " + Numbers(100) + "\n");
  ASSERT_EQ(file.points.size(), 10'000U);
  EXPECT_EQ(file.points[9'999].recipes[1].calibration->windows, 100);
  EXPECT_EQ(file.points[9'998].recipes[1].calibration->seed, 99);
}

// Each point keeps a copy of every text.
TEST(SweepTest, ALongTextCountsAsManyValues) {
  std::string config = "model: " + std::string(100'000, 'm') +
                       "\nevaluate: [gptq-c4]\nrecipes: [{method: rtn, format: nf4}]\nsweep:\n";
  for (const char* key : {"recipes.format.group", "evaluate.window_tokens"}) {
    config.append("  ").append(key).append(": [2");
    for (int value = 3; value < 100; ++value) config.append(", ").append(std::to_string(value));
    config.append("]\n");
  }
  EXPECT_EQ(MessageOf([&] { ParseExperiment(config, "x.yaml"); }),
            "x.yaml:5: sweep: expected at most 4000000 values in all points together, found more");
}

}  // namespace
}  // namespace daq
