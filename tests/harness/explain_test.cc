#include "harness/explain.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>

#include "harness/authors_calibration.h"
#include "harness/parse_experiment.h"
#include "methods/registry.h"

namespace daq {
namespace {

std::string ExplainText(const std::string& text) {
  return Explain(ParseExperiment(text, "configs/x.yaml"));
}

// With every run of spaces and line feeds one space, so that a test need not know where lines
// break.
std::string Unwrapped(const std::string& text) {
  std::istringstream words(text);
  std::string joined;
  for (std::string word; words >> word;) joined.append(joined.empty() ? "" : " ").append(word);
  return joined;
}

void ExpectHas(const std::string& text, const std::string& part) {
  EXPECT_NE(Unwrapped(text).find(part), std::string::npos) << "\"" << part << "\" is not in\n"
                                                           << text;
}

constexpr const char* kConfig =
    "model: m\n"
    "calibration: {protocol: text, file: c.txt, windows: 4}\n"
    "evaluate: [gptq-wikitext2, {protocol: ids, file: w.json, max_windows: 5}]\n"
    "recipes:\n"
    "  - fp16\n"
    "  - {method: rtn, format: {codebook: int4, group: 128}}\n"
    "  - {method: rtn-gptq, format: nf3, range: {round_zero_point: false}}\n"
    "  - {range: {name: mse, grid_points: 50}, rounding: nearest,\n"
    "     format: {codebook: {name: mine, values: [-1, -0.4, 0, 1]}}}\n";

TEST(ExplainTest, SaysWhoChoseEachValue) {
  const std::string text = ExplainText(kConfig);
  ExpectHas(text, "round_zero_point = true (method)");
  ExpectHas(text, "round_zero_point = false (config)");
  ExpectHas(text, "include_zero = true (method)");
  ExpectHas(text, "grid_points = 50 (config)");
  ExpectHas(text, "max_shrink = 0.8 (default)");
  ExpectHas(text, "group = 128 (config)");
  ExpectHas(text, "group = channel (default)");
  ExpectHas(text, "memory_budget 70 % of the machine's memory (default)");
  ExpectHas(text, "windows 4 (config)");
  ExpectHas(text, "window_tokens 512 (default)");
  ExpectHas(text, "max_windows 5 (config)");
  ExpectHas(text, "token_metrics false (default)");
  ExpectHas(ExplainText(std::string(kConfig) + "memory_budget: 1KiB\n"),
            "memory_budget 1024 bytes (config)");
}

TEST(ExplainTest, GivesMeaningAndSourceOfEverySetting) {
  const std::string text = ExplainText(kConfig);
  for (const char* name : {"minmax", "mse"}) {
    for (const SettingSpec& spec : FindPart<Range>(Ranges(), name)->settings()) {
      ExpectHas(text, std::string(spec.meaning) + ". Source: " + std::string(spec.source));
    }
  }
}

TEST(ExplainTest, GivesFormatsWithTheirValues) {
  const std::string text = ExplainText(kConfig);
  ExpectHas(text, "int4: uniform grid of 16 integers, 4 bits a code.");
  ExpectHas(text, "values = the integers from 0 to 15");
  ExpectHas(text, "mine: a book of this config, 2 bits a code.");
  ExpectHas(text, "values = -1 -0.4 0 1");
  ExpectHas(text, "symmetric = false (default)");
  ExpectHas(text, "symmetric = true (default)");
}

TEST(ExplainTest, SaysWhoChoseSymmetryForEveryPreset) {
  for (const Preset& preset : Presets()) {
    for (const CodebookInfo& info : Codebooks()) {
      const auto explain = [&](const std::string& format) {
        return ExplainText(
            "model: m\ncalibration: authors\nevaluate: [gptq-c4]\nrecipes: [{method: " +
            std::string(preset.name) + ", format: " + format + "}]\n");
      };
      const std::string name(info.name);
      SCOPED_TRACE(std::string(preset.name) + " " + name);
      const bool usual = preset.symmetric.value_or(info.symmetric_by_default);
      const std::string chosen = preset.symmetric ? "method" : "default";
      ExpectHas(explain(name),
                std::string("symmetric = ") + (usual ? "true" : "false") + " (" + chosen + ")");
      const std::string other = usual ? "false" : "true";
      ExpectHas(explain("{codebook: " + name + ", symmetric: " + other + "}"),
                "symmetric = " + other + " (config)");
    }
  }
}

TEST(ExplainTest, GivesEvaluationsWithProtocolAndText) {
  const std::string text = ExplainText(kConfig);
  ExpectHas(text, "protocol gptq-wikitext2: all rows joined by two line feeds");
  ExpectHas(text, "text wiki.test.raw of dataset wikitext2 (default)");
  ExpectHas(text, "text file configs/w.json (config)");
  ExpectHas(text, "window_tokens 2048 (default)");
}

TEST(ExplainTest, WindowsHaveTheProtocolsOwnLength) {
  const std::string text = ExplainText(
      "model: m\nrecipes: [fp16]\n"
      "evaluate: [llamacpp-512, {protocol: lm-eval-wikitext, window_tokens: 4096}]\n");
  ExpectHas(text, "1. llamacpp-512 protocol llamacpp-512: the raw file tokenised at once");
  ExpectHas(text, "window_tokens 512 (default)");
  ExpectHas(text, "2. lm-eval-wikitext protocol lm-eval-wikitext: the pages of WikiText-2");
  ExpectHas(text, "window_tokens 4096 (config)");
}

TEST(ExplainTest, TellsSharedThingsOnceWithTheirPoints) {
  const std::string text = ExplainText(
      std::string(kConfig) +
      "sweep: {recipes.format.group: [channel, 64, 32], calibration.windows: [1, 2]}\n");
  ExpectHas(text, "point 4 recipes.format.group = 64, calibration.windows = 2");
  ExpectHas(text, "1. fp16 method");  // no note: at every point
  ExpectHas(text, "rtn int4 channel [points 1-2]");
  ExpectHas(text, "rtn int4 group-64 [points 3-4]");
  ExpectHas(text, "text [points 1, 3, 5]");
  const std::string once = "rtn int4 group-32";
  EXPECT_EQ(text.find(once), text.rfind(once));
}

TEST(ExplainTest, TellsEachCalibrationWithItsRecipes) {
  const std::string text = ExplainText(
      "model: m\n"
      "calibration: {protocol: daq, windows: 2}\n"
      "evaluate: [gptq-c4]\n"
      "recipes:\n"
      "  - fp16\n"
      "  - {method: rtn, format: nf4}\n"
      "  - {method: rtn, format: nf3, propagate: quantized}\n"
      "  - {method: rtn, format: nf2, calibration: {protocol: awq-pile-val, seed: 1}}\n");
  ExpectHas(text, "1. none for recipe 1");
  ExpectHas(text, "2. daq for recipes 2-3 protocol daq (config): the same stream of documents");
  ExpectHas(text, "text val.jsonl.zst of dataset pile-val (default)");
  ExpectHas(text, "windows 2 (config): how many windows");
  ExpectHas(text, "seed 42 (default): of the draws");
  ExpectHas(text, "3. awq-pile-val for recipe 4");
  ExpectHas(text, "documents 128 (default): how many documents");
  ExpectHas(text, "seed 1 (config)");
  ExpectHas(text, "propagate full_precision (default): which inputs a block is calibrated on");
  ExpectHas(text, "propagate quantized (config): which inputs a block is calibrated on");
  ExpectHas(text, "No part of this recipe reads layer inputs");
  ExpectHas(ExplainText("model: m\nevaluate: [gptq-c4]\nrecipes: [fp16, {method: rtn, format: "
                        "nf4}]\n"),
            "Calibration 1. none for recipes 1-2");
}

TEST(ExplainTest, SaysWhichCalibrationsAreTheAuthors) {
  int calibrated = 0;
  for (const AuthorsCalibration& row : AuthorsCalibrations()) {
    if (FindPreset(row.method) == nullptr) continue;
    ++calibrated;
    const std::string text =
        ExplainText("model: m\ncalibration: authors\nevaluate: [gptq-c4]\nrecipes: [{method: " +
                    std::string(row.method) + ", format: int4}]\n");
    ExpectHas(text, "protocol " + std::string(row.protocol) + " (authors): ");
    ExpectHas(text, "seed " + std::to_string(row.seed) + " (authors): ");
  }
  if (calibrated == 0) GTEST_SKIP() << "no preset reads layer inputs";
}

TEST(ExplainTest, KeepsToAHundredColumns) {
  std::istringstream lines(ExplainText(kConfig));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 100U) << line;
}

}  // namespace
}  // namespace daq
