#include "harness/workload.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "base/file.h"
#include "harness/calibration_texts.h"
#include "harness/manifest.h"
#include "harness/parse_experiment.h"
#include "harness/recipe_label.h"
#include "methods/recipe.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

// Experiments on the demo model, its tokenizer and small texts.
class WorkloadTest : public testing::Test {
 protected:
  WorkloadTest() {
    const std::string story =
        ReadFile(std::filesystem::path(DAQ_SOURCE_DIR) / "tests/data/stories.txt");
    std::string lines;
    for (std::size_t at = 0; at < story.size(); at += 300)
      lines += nlohmann::json({{"text", story.substr(at, 300)}}).dump() + "\n";
    WriteText(folder_.path(), "calib.jsonl", lines);
    WriteText(folder_.path(), "w.json",
              "{\"windows\": [[1, 2, 3, 4], [5, 6, 7, 8], [9, 1, 2, 3]]}");
    WriteText(folder_.path(), "w8.json", "{\"windows\": [[1, 2, 3, 4, 5, 6, 7, 8]]}");
  }

  Workload Resolve(const std::string& rest) const {
    const auto path =
        WriteText(folder_.path(), "x.yaml",
                  "model: " + (std::filesystem::path(DAQ_SOURCE_DIR) / "demo/model").string() +
                      "\nevaluate: [{protocol: ids, file: w.json}]\n" + rest);
    return ResolveWorkload(ReadExperimentFile(path),
                           {.data = {folder_.path() / "data"}, .results = folder_.path() / "out"});
  }

  // A message with the test's own folder left out.
  std::string WithoutFolder(std::string text) const {
    const std::string prefix = folder_.path().string() + "/";
    for (std::size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix))
      text.erase(at, prefix.size());
    return text;
  }

  // The first preset whose parts read layer inputs, as a config's recipe without its last brace.
  static std::string CalibratedRecipe() {
    for (const Preset& preset : Presets()) {
      const Format format{
          .codebook = *FindCodebook("int4", false), .symmetric = false, .group_size = 0};
      if (NeedsCalibration(MakeRecipe(preset, format)))
        return "{method: " + std::string(preset.name) + ", format: int4";
    }
    return "";
  }

  TemporaryFolder folder_;
};

TEST_F(WorkloadTest, EqualRequestsShareACalibration) {
  const Workload work = Resolve(
      "calibration: {protocol: daq, file: calib.jsonl, windows: 2, window_tokens: 32}\n"
      "recipes:\n"
      "  - fp16\n"
      "  - {method: rtn, format: nf4}\n"
      "  - {method: rtn, format: nf3, calibration: none}\n"
      "  - {method: rtn, format: nf2, calibration: {protocol: awq-pile-val, file: calib.jsonl, "
      "documents: 3, "
      "window_tokens: 32}}\n"
      "  - {method: rtn, format: int4, calibration: {protocol: daq, file: calib.jsonl, windows: 2, "
      "window_tokens: 32}}\n");
  ASSERT_TRUE(work.problems.empty()) << work.problems[0];
  ASSERT_EQ(work.calibrations.size(), 2U);
  ASSERT_EQ(work.arms.size(), 5U);
  EXPECT_EQ(work.arms[0].calibration, std::nullopt);
  EXPECT_EQ(work.arms[1].calibration, 0U);
  EXPECT_EQ(work.arms[2].calibration, std::nullopt);
  EXPECT_EQ(work.arms[3].calibration, 1U);
  EXPECT_EQ(work.arms[4].calibration, 0U);
  EXPECT_EQ(work.calibrations[0].windows.count(), 2);
  EXPECT_EQ(CalibrationLabel(work.calibrations[0]), "daq 2x32 (calib.jsonl)");
  const TokenWindows& awq = work.calibrations[1].windows;
  EXPECT_GT(awq.count(), 2);
  EXPECT_EQ(CalibrationLabel(work.calibrations[1]),
            "awq-pile-val " + std::to_string(awq.count()) + "x32 (calib.jsonl)");
  // One stream: what `daq` reads is the beginning of what AWQ's documents give.
  EXPECT_TRUE(std::equal(work.calibrations[0].windows.ids.begin(),
                         work.calibrations[0].windows.ids.end(), awq.ids.begin()));
}

TEST_F(WorkloadTest, ARecipeThatReadsNothingIsOneArmOfACalibrationSweep) {
  const Workload work = Resolve(
      "calibration: {protocol: daq, file: calib.jsonl, window_tokens: 32}\n"
      "recipes: [{method: rtn, format: nf4}]\n"
      "sweep: {calibration.windows: [1, 3, 2], recipes.propagate: [full_precision, quantized]}\n");
  ASSERT_TRUE(work.problems.empty()) << work.problems[0];
  EXPECT_EQ(work.arms.size(), 1U);
  EXPECT_EQ(work.cells.size(), 1U);
  ASSERT_EQ(work.calibrations.size(), 3U);
  EXPECT_EQ(work.arms[0].description, "rtn nf4 channel");
  // Prefixes of one text, each with the hashes of a text that was read for itself alone.
  const TokenWindows& one = work.calibrations[0].windows;
  const TokenWindows& three = work.calibrations[1].windows;
  EXPECT_EQ(one.count(), 1);
  EXPECT_EQ(three.count(), 3);
  EXPECT_TRUE(std::equal(one.ids.begin(), one.ids.end(), three.ids.begin()));
  const Workload alone = Resolve(
      "calibration: {protocol: daq, file: calib.jsonl, window_tokens: 32}\n"
      "recipes: [{method: rtn, format: nf4}]\n");
  EXPECT_EQ(alone.calibrations[0].windows.ids_sha256, one.ids_sha256);
  EXPECT_EQ(alone.calibrations[0].windows.text_sha256, one.text_sha256);
}

// Its layer reports are measured on the first point's windows: a cell that was made on others is
// another, or a table would depend on what its folder held before.
TEST_F(WorkloadTest, ARecipeThatReadsNothingIsNamedByWhatItsReportsAreMeasuredOn) {
  const auto id = [&](const std::string& windows, const std::string& method = "rtn") {
    const Workload work = Resolve(
        "calibration: {protocol: daq, file: calib.jsonl, window_tokens: 32}\n"
        "recipes: [{method: " +
        method +
        ", format: nf4}]\n"
        "sweep: {calibration.windows: " +
        windows + "}\n");
    EXPECT_TRUE(work.problems.empty()) << work.problems[0];
    EXPECT_EQ(work.arms.size(), 1U);
    return work.arms[0].id;
  };
  EXPECT_EQ(id("[1]"), id("[1, 3, 2]"));
  EXPECT_NE(id("[1]"), id("[3, 1, 2]"));
  EXPECT_NE(id("[1]"), id("[1]", "mse"));
  const auto full_precision = [&](const std::string& calibration) {
    return Resolve(calibration + "recipes: [fp16]\n").arms[0].id;
  };
  EXPECT_EQ(full_precision(""),
            full_precision("calibration: {protocol: daq, file: calib.jsonl, window_tokens: 32}\n"));
}

// Where a part reads layer inputs, the windows and the propagation are part of the name, and
// nothing else of the calibration is.
TEST_F(WorkloadTest, ArmsAreNamedByWhatTheirRecipeReads) {
  const std::string recipe = CalibratedRecipe();
  if (recipe.empty()) GTEST_SKIP() << "no preset reads layer inputs";
  const auto id = [&](const std::string& keys) {
    const Workload work = Resolve("recipes:\n  - " + recipe + ", " + keys + "}\n");
    EXPECT_TRUE(work.problems.empty()) << work.problems[0];
    EXPECT_EQ(work.arms.size(), 1U);
    return work.arms[0].id;
  };
  const std::string two_fours = id("calibration: {protocol: ids, file: w.json, windows: 2}");
  EXPECT_EQ(id("calibration: {protocol: ids, file: w.json, windows: 2}"), two_fours);
  std::set<std::string> ids = {two_fours};
  EXPECT_TRUE(ids.insert(id("calibration: {protocol: ids, file: w.json, windows: 1}")).second);
  EXPECT_TRUE(ids.insert(id("calibration: {protocol: ids, file: w.json, windows: 3}")).second);
  EXPECT_TRUE(ids.insert(id("calibration: {protocol: ids, file: w8.json}")).second)
      << "the same ids in one window are other inputs";
  for (const char* propagate : {"full_precision", "quantized", "quantized_within_block"}) {
    ids.insert(id("calibration: {protocol: ids, file: w.json, windows: 2}, propagate: " +
                  std::string(propagate)));
  }
  EXPECT_EQ(ids.size(), 6U) << "one of the three propagations is the method's own";
  // The same windows from another file and protocol.
  WriteText(folder_.path(), "copy.json", "{\"windows\": [[1, 2, 3, 4],\n [5, 6, 7, 8]]}");
  EXPECT_EQ(id("calibration: {protocol: ids, file: copy.json, windows: 2}"), two_fours);
}

TEST_F(WorkloadTest, TablesNameTheCalibrationOfRecipesThatReadIt) {
  const std::string recipe = CalibratedRecipe();
  if (recipe.empty()) GTEST_SKIP() << "no preset reads layer inputs";
  const std::string config =
      "calibration: {protocol: ids, file: w.json}\n"
      "recipes:\n  - fp16\n  - {method: rtn, format: nf4}\n  - " +
      recipe + "}\n  - " + recipe +
      ", calibration: {protocol: daq, file: calib.jsonl, "
      "window_tokens: 32, seed: 7}}\n";
  const Workload work = Resolve(config);
  ASSERT_TRUE(work.problems.empty()) << work.problems[0];
  const Manifest manifest = MakeManifest(ReadExperimentFile(folder_.path() / "x.yaml"), work);
  ASSERT_EQ(manifest.rows.size(), 4U);
  EXPECT_EQ(manifest.rows[0].calibration, "");
  EXPECT_EQ(manifest.rows[1].calibration, "");
  EXPECT_EQ(manifest.rows[2].calibration, "ids 1x4 (w.json)");
  EXPECT_EQ(manifest.rows[3].calibration, "daq 1x32 (calib.jsonl, seed 7)");
  EXPECT_TRUE(work.arms[3].description.ends_with(" daq 1x32 (calib.jsonl, seed 7)"));
}

TEST_F(WorkloadTest, ProblemsOfACalibrationLeaveOtherRecipes) {
  const Workload work = Resolve(
      "calibration: {protocol: daq}\n"
      "recipes:\n"
      "  - fp16\n"
      "  - {method: rtn, format: nf4}\n"
      "  - {method: rtn, format: nf3}\n"
      "  - {method: rtn, format: nf2, calibration: {protocol: ids, file: w.json, windows: 4}}\n"
      "  - {method: rtn, format: int2, calibration: {protocol: ids, file: w.json, windows: 3}}\n"
      "  - {method: rtn, format: int3, calibration: {protocol: awq-pile-val, file: calib.jsonl, "
      "documents: 9999}}\n");
  ASSERT_EQ(work.problems.size(), 3U);
  EXPECT_EQ(WithoutFolder(work.problems[0]),
            "x.yaml:3: calibration: pile-val/val.jsonl.zst: not found in the data folder data; get "
            "it by: daq-bench fetch pile-val --data data");
  EXPECT_EQ(WithoutFolder(work.problems[1]),
            "x.yaml:8: recipes[3].calibration.windows: expected at most 3 windows of 4 tokens, all "
            "that w.json has, found 4");
  EXPECT_EQ(
      WithoutFolder(work.problems[2]),
      "x.yaml:10: recipes[5].calibration.file: calib.jsonl: the text has 25 documents of 1 to "
      "512 tokens, fewer than the 9999 asked for");
  EXPECT_EQ(work.arms.size(), 2U);
}

// Each with the config's line and key, whatever it is that is missing or too short.
TEST_F(WorkloadTest, WhatIsWrongIsToldWhereTheConfigAsksForIt) {
  const auto problems = [&](const std::string& text) {
    const auto path = WriteText(folder_.path(), "x.yaml", text);
    const Workload work = ResolveWorkload(ReadExperimentFile(path),
                                          {.data = "data", .results = folder_.path() / "out"});
    std::vector<std::string> found;
    for (const std::string& problem : work.problems) found.push_back(WithoutFolder(problem));
    return found;
  };
  const std::string model =
      "model: " + (std::filesystem::path(DAQ_SOURCE_DIR) / "demo/model").string() + "\n";
  using Problems = std::vector<std::string>;
  EXPECT_EQ(problems(model + "evaluate:\n"
                             "  - {protocol: ids, file: no.json}\n"
                             "  - protocol: ids\n"
                             "    name: more\n"
                             "    file: w.json\n"
                             "    max_windows: 4\n"
                             "  - {protocol: ids, name: all, file: w.json, max_windows: 3}\n"
                             "calibration:\n"
                             "  protocol: ids\n"
                             "  file: none.json\n"
                             "recipes: [fp16, {method: rtn, format: nf4}]\n"),
            (Problems{"x.yaml:3: evaluate[0].file: no.json: No such file or directory",
                      "x.yaml:7: evaluate[1].max_windows: expected at most 3 windows of 4 tokens, "
                      "all that w.json has, found 4",
                      "x.yaml:11: calibration.file: none.json: No such file or directory"}));
  EXPECT_EQ(
      problems(model + "evaluate: [{protocol: ids, file: w.json}]\n"
                       "held_out: {protocol: ids, file: w.json, windows: 5}\n"
                       "recipes: [fp16, {method: rtn, format: nf4}]\n"),
      (Problems{"x.yaml:3: held_out.windows: expected at most 3 windows of 4 tokens, all that "
                "w.json has, found 5"}));
  EXPECT_EQ(
      problems(model +
               "evaluate: [{protocol: ids, file: w.json}]\n"
               "recipes:\n"
               "  - {method: rtn, format: nf4, calibration: {protocol: ids, file: no.json}}\n"),
      (Problems{"x.yaml:4: recipes[0].calibration.file: no.json: No such file or directory"}));
  EXPECT_EQ(problems("model: /no/where\n"
                     "held_out: {protocol: ids, file: no.json}\n"
                     "evaluate: [{protocol: ids, file: w.json}]\n"
                     "recipes: [fp16]\n"),
            (Problems{"x.yaml:1: model: /no/where: no such model: there is no folder /no/where",
                      "x.yaml:2: held_out.file: no.json: No such file or directory"}));
  EXPECT_EQ(problems("evaluate: [{protocol: ids, file: w.json}]\n"
                     "recipes: [fp16]\n"
                     "sweep:\n"
                     "  model:\n"
                     "    - /no/where\n"
                     "    - /no/more\n"),
            (Problems{"x.yaml:5: model: /no/where: no such model: there is no folder /no/where",
                      "x.yaml:6: model: /no/more: no such model: there is no folder /no/more"}));
  EXPECT_EQ(
      problems(model + "evaluate:\n"
                       "  - gptq-c4\n"
                       "  - {protocol: gptq-c4, name: new, dataset: wikitext2, dataset_file: "
                       "wiki.test.raw}\n"
                       "recipes: [fp16]\n"),
      (Problems{"x.yaml:3: evaluate[0]: c4/c4-validation.00000-of-00008.json.gz: not found in "
                "the data folder data; get it by: daq-bench fetch c4 --data data",
                "x.yaml:4: evaluate[1].dataset_file: wikitext2/wiki.test.raw: not found in "
                "the data folder data; get it by: daq-bench fetch wikitext2 --data data"}));
}

TEST_F(WorkloadTest, RecordsSayAllOfACalibration) {
  const Workload work = Resolve(
      "recipes:\n"
      "  - {method: rtn, format: nf2, calibration: {protocol: awq-pile-val, file: calib.jsonl, "
      "documents: 3, "
      "window_tokens: 32, seed: 5}}\n"
      "  - {method: rtn, format: nf3, calibration: {protocol: ids, file: w.json, windows: 2}}\n");
  ASSERT_TRUE(work.problems.empty()) << work.problems[0];
  CellRecord cell;
  cell.recipe = work.arms[0].recipe;
  cell.evaluation.window_losses = {1.0, 2.0};
  const auto json = [&](std::size_t calibration) {
    cell.calibration = MakeCalibrationRecord(work.calibrations[calibration]);
    return ToJson(cell).at("calibration").dump();
  };
  const TokenWindows& awq = work.calibrations[0].windows;
  EXPECT_EQ(json(0), R"({"protocol":"awq-pile-val","dataset":"calib.jsonl","windows":)" +
                         std::to_string(awq.count()) +
                         R"(,"window_tokens":32,"documents":3,"seed":5,"text_sha256":")" +
                         awq.text_sha256 + R"(","ids_sha256":")" + awq.ids_sha256 + "\"}");
  const TokenWindows& ids = work.calibrations[1].windows;
  EXPECT_EQ(json(1), R"({"protocol":"ids","dataset":"w.json","windows":2,"window_tokens":4,)"
                     R"("documents":null,"seed":null,"text_sha256":")" +
                         ids.text_sha256 + R"(","ids_sha256":")" + ids.ids_sha256 + "\"}");
}

// A text of ids 0, 1, 2, ... in windows of 2, of which there are `available`.
CalibrationWindows Numbers(Index available, Index wanted) {
  TokenWindows windows;
  windows.window_tokens = 2;
  windows.source = "text.jsonl";
  std::vector<std::string> hashes;
  for (Index i = 0; i < std::min(available, wanted); ++i) {
    windows.ids.push_back(static_cast<TokenId>(2 * i));
    windows.ids.push_back(static_cast<TokenId>(2 * i + 1));
    hashes.push_back("hash " + std::to_string(i + 1));
  }
  return {windows, hashes};
}

TEST(CalibrationTextsTest, ReadsATextOnceForAllSizesOfIt) {
  const ExperimentFile file = ParseExperiment(
      "calibration: {protocol: daq}\nevaluate: [gptq-c4]\nrecipes: [fp16, {method: rtn, format: "
      "nf4}]\nsweep: {model: [a, b], calibration.windows: [2, 5, 9], calibration.seed: [1, 2]}\n",
      "x.yaml");
  CalibrationTexts texts(file);
  std::vector<std::string> made;
  for (const Experiment& point : file.points) {
    const CalibrationRequest& request = *point.recipes[1].calibration;
    const auto windows = [&] {
      return texts.Windows(point.model, request, [&](const CalibrationRequest& largest) {
        EXPECT_EQ(largest.windows, 9);
        made.push_back(point.model + std::to_string(*largest.seed));
        return Numbers(5, *largest.windows);
      });
    };
    if (request.windows == 9) {
      EXPECT_EQ(MessageOf(windows),
                "x.yaml:4: calibration.windows: expected at most 5 windows of 2 tokens, all that "
                "text.jsonl has, found 9");
    } else {
      EXPECT_EQ(windows().count(), request.windows);
      EXPECT_EQ(windows().text_sha256, "hash " + std::to_string(*request.windows));
    }
  }
  EXPECT_EQ(made, (std::vector<std::string>{"a1", "a2", "b1", "b2"}));
}

TEST(CalibrationTextsTest, FailsOnceForAllSizesOfAText) {
  const ExperimentFile file = ParseExperiment(
      "model: m\ncalibration: {protocol: daq}\nevaluate: [gptq-c4]\nrecipes: [{method: rtn, "
      "format: nf4}]\nsweep: {calibration.windows: [2, 5]}\n",
      "x.yaml");
  CalibrationTexts texts(file);
  int tries = 0;
  for (const Experiment& point : file.points) {
    EXPECT_EQ(MessageOf([&] {
                texts.Windows("m", *point.recipes[0].calibration,
                              [&](const CalibrationRequest&) -> CalibrationWindows {
                                ++tries;
                                throw InputError({"text.jsonl"}, "damaged");
                              });
              }),
              "x.yaml:2: calibration: text.jsonl: damaged");
  }
  EXPECT_EQ(tries, 1);
}

}  // namespace
}  // namespace daq
