// What a report derives by comparing cells, from made-up losses.
#include "harness/report_cells.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/bootstrap.h"
#include "base/statistics.h"
#include "harness/report.h"
#include "harness/report_seeds.h"
#include "tests/harness/report_fixture.h"
#include "tests/support/input_error.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;
using Losses = std::vector<double>;

// The table of seeds as reports print it; empty if there is none.
std::string SeedTable(const Manifest& manifest, const ReportCells& cells) {
  const std::optional<ReportSection> section = SeedSection(manifest, cells, "model");
  return section ? section->caption + "\n\n" + section->table.ToMarkdown() : "";
}

TEST_F(ReportCellsTest, LossesHaveThePairedInterval) {
  const std::size_t fp = Add("fp16", "f16", kFp);
  const std::size_t rtn = Add("rtn", "nf3", Worse(0.05, 0.01));
  EXPECT_TRUE(Metric(fp).at("loss_vs_fp").is_null());
  EXPECT_TRUE(Metric(fp).at("loss_vs_fp_low").is_null());
  const Json metric = Metric(rtn);
  const auto draws = BootstrapPerplexities({Worse(0.05, 0.01), kFp}, UsualBlockWindows(Size(kFp)));
  const Interval interval = DifferenceInterval(draws[0], draws[1]);
  EXPECT_EQ(metric.at("loss_vs_fp_low"), interval.low);
  EXPECT_EQ(metric.at("loss_vs_fp_high"), interval.high);
  EXPECT_LT(metric.at("loss_vs_fp_low"), metric.at("loss_vs_fp"));
  EXPECT_GT(metric.at("loss_vs_fp_high"), metric.at("loss_vs_fp"));
  EXPECT_EQ(metric.at("block_windows"), 2);
  EXPECT_EQ(metric.at("window_losses").size(), 24U);
}

TEST_F(ReportCellsTest, ReductionIsAgainstTheBestBaselineOfTheFormat) {
  Add("fp16", "f16", kFp);
  Add("rtn", "nf3", Worse(0.10));
  const std::size_t awq = Add("awq", "nf3", Worse(0.06, 0.01), "ids 2x64");
  Add("gptq", "nf3", Worse(0.08), "ids 2x64");
  Add("rtn", "nf4", Worse(0.01));  // another format: no measure for nf3
  const std::size_t daq = Add("daq", "nf3-asym", Worse(0.03), "ids 2x64");
  EXPECT_TRUE(Metric(awq).at("loss_reduction").is_null());
  const Json metric = Metric(daq);
  EXPECT_EQ(metric.at("best_baseline"), "awq nf3 channel ids 2x64");
  // Losses are P (exp(x) - 1); the ripple has no mean.
  const double expected = 1 - (std::exp(0.03) - 1) / (std::exp(0.06) - 1);
  EXPECT_NEAR(metric.at("loss_reduction"), expected, 1e-12);
  EXPECT_LT(metric.at("loss_reduction_low"), expected);
  EXPECT_GT(metric.at("loss_reduction_high"), expected);
}

TEST_F(ReportCellsTest, ReductionIsAgainstBaselinesOfTheSameCalibrationWhereTheyAreThere) {
  Add("fp16", "f16", kFp);
  Add("rtn", "nf3", Worse(0.10));
  Add("gptq", "nf3", Worse(0.08), "ids 1x64");
  Add("gptq", "nf3", Worse(0.04), "ids 2x64");
  const std::size_t one = Add("daq", "nf3-asym", Worse(0.03), "ids 1x64");
  const std::size_t two = Add("daq", "nf3-asym", Worse(0.03), "ids 2x64");
  const std::size_t four = Add("daq", "nf3-asym", Worse(0.03), "ids 4x64");
  EXPECT_EQ(Metric(one).at("best_baseline"), "gptq nf3 channel ids 1x64");
  EXPECT_EQ(Metric(two).at("best_baseline"), "gptq nf3 channel ids 2x64");
  EXPECT_EQ(Metric(four).at("best_baseline"), "gptq nf3 channel ids 2x64") << "the best of all";
  // A method that is there on another calibration alone counts beside those that are on this one.
  Add("awq", "nf3", Worse(0.05), "ids 4x64");
  EXPECT_EQ(Metric(one).at("best_baseline"), "awq nf3 channel ids 4x64");
}

// Every window loses in proportion: the reduction is the same on every draw.
TEST_F(ReportCellsTest, ReductionOfParallelLossesIsCertain) {
  Add("fp16", "f16", kFp);
  Add("rtn", "nf3", Worse(0.10));
  const Json metric = Metric(Add("daq", "nf3-asym", Worse(0.05)));
  EXPECT_NEAR(metric.at("loss_reduction_low"), metric.at("loss_reduction"), 1e-10);
  EXPECT_NEAR(metric.at("loss_reduction_high"), metric.at("loss_reduction"), 1e-10);
}

TEST_F(ReportCellsTest, NoReductionWhereItMeansNothing) {
  Add("fp16", "f16", kFp);
  const std::size_t alone = Add("daq", "nf3-asym", Worse(0.05));
  EXPECT_TRUE(Metric(alone).at("loss_reduction").is_null()) << "no baseline";
  Add("rtn", "nf3", Worse(-0.01));
  EXPECT_TRUE(Metric(alone).at("loss_reduction").is_null()) << "the baseline loses nothing";
  Add("rtn", "nf4", Worse(0.001, 0.05));
  const Json metric = Metric(Add("daq", "nf4-asym", Worse(0.0005)));
  EXPECT_FALSE(metric.at("loss_reduction").is_null());
  EXPECT_TRUE(metric.at("loss_reduction_low").is_null()) << "on some draws it loses nothing";
}

TEST_F(ReportCellsTest, AgainstAMethodComparesWithinAFormat) {
  const std::size_t fp = Add("fp16", "f16", kFp);
  Add("awq", "nf3", Worse(0.06, 0.01));
  const std::size_t awq4 = Add("awq", "nf4", Worse(0.02, 0.01));
  const std::size_t daq = Add("daq", "nf4-asym", Worse(0.01));
  const std::size_t same = Add("rtn", "nf4", Worse(0.02, -0.01));
  const Json metric = Metric(daq, "awq");
  EXPECT_EQ(metric.at("against"), "awq nf4 channel");
  const auto draws =
      BootstrapPerplexities({Worse(0.01), Worse(0.02, 0.01)}, UsualBlockWindows(Size(kFp)));
  const Interval interval = DifferenceInterval(draws[0], draws[1]);
  EXPECT_EQ(metric.at("difference_low"), interval.low);
  EXPECT_EQ(metric.at("difference_high"), interval.high);
  EXPECT_EQ(metric.at("significant"), interval.high < 0);
  EXPECT_EQ(metric.at("significant"), true);
  EXPECT_EQ(Metric(same, "awq").at("significant"), false);
  // No row is compared with itself, nor one without a format with one of some format.
  EXPECT_TRUE(Metric(awq4, "awq").at("difference").is_null());
  EXPECT_TRUE(Metric(awq4, "awq").at("significant").is_null());
  EXPECT_TRUE(Metric(fp, "awq").at("against").is_null());
  // A whole name is one row, for all formats.
  EXPECT_EQ(Metric(daq, "awq nf3 channel").at("against"), "awq nf3 channel");
  EXPECT_EQ(Metric(fp, "awq nf3 channel").at("against"), "awq nf3 channel");
  EXPECT_EQ(Metric(daq, "fp16").at("difference_low"), Metric(daq).at("loss_vs_fp_low"));
  EXPECT_FALSE(Metric(daq).contains("against"));
}

TEST_F(ReportCellsTest, OfSeveralTheRowWithTheSameCalibrationIsMeant) {
  Add("awq", "nf4", Worse(0.02), "daq 1x64");
  Add("awq", "nf4", Worse(0.03), "daq 1x64 (seed 1)");
  const std::size_t daq = Add("daq", "nf4-asym", Worse(0.01), "daq 1x64 (seed 1)");
  const std::size_t rtn = Add("rtn", "nf4", Worse(0.01));
  EXPECT_EQ(Metric(daq, "awq").at("against"), "awq nf4 channel daq 1x64 (seed 1)");
  EXPECT_TRUE(Metric(rtn, "awq").at("against").is_null()) << "either could be meant";
}

TEST_F(ReportCellsTest, ACodeBookAloneNamesItsOnlyFormat) {
  const std::size_t rtn = Add("rtn", "nf3", Worse(0.02));
  Add("daq", "nf3-asym", Worse(0.01));
  EXPECT_EQ(Metric(rtn, "daq nf3").at("against"), "daq nf3-asym channel");
  EXPECT_EQ(Metric(rtn, "daq nf3 channel").at("against"), "daq nf3-asym channel");
  // A row of that very name is meant before it.
  Add("daq", "nf3", Worse(0.03));
  EXPECT_EQ(Metric(rtn, "daq nf3").at("against"), "daq nf3 channel");
}

TEST_F(ReportCellsTest, UnknownRowsAreRefused) {
  Add("awq", "nf4", Worse(0.02));
  EXPECT_EQ(InputErrorOf(folder_.path(), [&] { Metric(0, "qwa"); }),
            "--against: expected the first fields of a row of the table, such as \"awq\", "
            "found \"qwa\"");
  EXPECT_EQ(InputErrorOf(folder_.path(), [&] { Metric(0, "awq nf4 chanel"); }),
            "--against: expected the first fields of a row of the table, such as \"awq\", "
            "found \"awq nf4 chanel\" (did you mean awq nf4 channel?)");
}

// Three seeds of one calibration, one of a larger calibration, and a method that needs none.
TEST_F(ReportCellsTest, RowsThatDifferInTheSeedAreOneRowOfMeansAndSpreads) {
  const auto record = [](Index windows, std::int64_t seed) {
    return CalibrationRecord{.protocol = "gptq-c4",
                             .dataset = "c4.json.gz",
                             .windows = windows,
                             .window_tokens = 64,
                             .seed = seed,
                             .ids_sha256 = ""};
  };
  Add("fp16", "f16", Losses(8, std::log(40.0)));
  Add("rtn", "nf3", Losses(8, std::log(50.0)), "", record(2, 0));
  Add("gptq", "nf3", Losses(8, std::log(44.0)), "gptq-c4 2x64", record(2, 0));
  Add("gptq", "nf3", Losses(8, std::log(45.0)), "gptq-c4 2x64 (seed 1)", record(2, 1));
  Add("gptq", "nf3", Losses(8, std::log(49.0)), "gptq-c4 2x64 (seed 2)", record(2, 2));
  Add("gptq", "nf3", Losses(8, std::log(43.0)), "gptq-c4 4x64", record(4, 0));
  const ReportCells cells(manifest_, folder_.path(), "");
  const std::string table = SeedTable(manifest_, cells);
  // Mean 46, squares 4 + 1 + 9 over n - 1 = 2: 2.646.
  EXPECT_EQ(
      table,
      "Over calibration seeds: mean ± standard deviation between seeds (number of seeds)\n\n"
      "| method | format | granularity | calibration  |                   text |          loss "
      "vs fp16 |\n"
      "|:-------|:-------|:------------|:-------------|-----------------------:|---------------"
      "-------:|\n"
      "| gptq   | nf3    | channel     | gptq-c4 2x64 | 46.000 ± 2.646 (n = 3) | 6.000 ± 2.646 "
      "(n = 3) |\n");
  EXPECT_NE(Report(experiment_, manifest_, folder_.path(), {.format = ReportFormat::kMarkdown})
                .find(table),
            std::string::npos);
}

// The number of windows follows from the draw where documents are counted; another text is another
// group; one seed is no spread.
TEST_F(ReportCellsTest, SeedsOfCountedDocumentsAreOneGroupAndTextsAreNot) {
  const auto record = [](Index windows, std::int64_t seed, const std::string& dataset) {
    return CalibrationRecord{.protocol = "awq-pile-val",
                             .dataset = dataset,
                             .windows = windows,
                             .window_tokens = 512,
                             .documents = 128,
                             .seed = seed,
                             .ids_sha256 = ""};
  };
  Add("awq", "nf3", Worse(0.04), "awq-pile-val 58x512", record(58, 42, "val.jsonl"));
  Add("awq", "nf3", Worse(0.05), "awq-pile-val 61x512 (own.jsonl)", record(61, 42, "own.jsonl"));
  EXPECT_EQ(SeedTable(manifest_, ReportCells(manifest_, folder_.path(), "")), "");
  Add("awq", "nf3", Worse(0.03), "awq-pile-val 60x512 (seed 1)", record(60, 1, "val.jsonl"));
  const std::string table = SeedTable(manifest_, ReportCells(manifest_, folder_.path(), ""));
  EXPECT_NE(table.find("| awq-pile-val 128 documents x512 |"), std::string::npos) << table;
  EXPECT_NE(table.find("(n = 2)"), std::string::npos) << table;
  EXPECT_EQ(table.find("own.jsonl"), std::string::npos) << table;
}

TEST_F(ReportCellsTest, TablesShowIntervalsCompactly) {
  Add("fp16", "f16", kFp);
  Add("rtn", "nf3", Worse(0.10));
  Add("daq", "nf3-asym", Worse(0.05));
  const std::string table = Report(experiment_, manifest_, folder_.path(),
                                   {.format = ReportFormat::kMarkdown, .against = "rtn"});
  for (const char* wanted :
       {"| loss reduction |", "  vs rtn |", "+1.030 [", "51 % [51, 51]", "] * |"})
    EXPECT_NE(table.find(wanted), std::string::npos) << wanted << "\n" << table;
  const std::string csv = Report(experiment_, manifest_, folder_.path(),
                                 {.format = ReportFormat::kCsv, .against = "rtn"});
  EXPECT_NE(csv.find(",loss_vs_fp_low,loss_vs_fp_high,loss_reduction,"), std::string::npos);
  EXPECT_NE(csv.find(",rtn nf3 channel,rtn nf3 channel,-"), std::string::npos) << csv;
}

TEST_F(ReportCellsTest, TwoWindowsHaveNeitherIntervalsNorStars) {
  Add("fp16", "f16", {3.1, 2.9});
  Add("rtn", "nf3", {3.3, 3.0});
  Add("daq", "nf3-asym", {3.2, 2.95});
  const Json metric = Metric(1, "fp16");
  EXPECT_TRUE(metric.at("loss_vs_fp_low").is_null());
  EXPECT_TRUE(metric.at("difference_high").is_null());
  EXPECT_TRUE(metric.at("significant").is_null());
  EXPECT_TRUE(Metric(2).at("loss_reduction_low").is_null());
  const std::string table = Report(experiment_, manifest_, folder_.path(),
                                   {.format = ReportFormat::kMarkdown, .against = "fp16"});
  const std::string rows = table.substr(0, table.find("\n\n", table.find('|')));
  EXPECT_NE(rows.find("  +3.251 |\n"), std::string::npos) << table;
  EXPECT_EQ(rows.find_first_of("[*"), std::string::npos) << table;
  EXPECT_NE(table.find("ids sha256 , too few windows for 95 % intervals\n"), std::string::npos)
      << table;
}

TEST_F(ReportCellsTest, OneWindowIsAWindow) {
  Add("fp16", "f16", {3.1});
  EXPECT_NE(Report(experiment_, manifest_, folder_.path(), {}).find("text: , 1 window of 0 tokens"),
            std::string::npos);
}

TEST_F(ReportCellsTest, WindowsCountByTheirScoredTokens) {
  window_tokens_scored_.assign(kFp.size(), 9);
  window_tokens_scored_[1] = window_tokens_scored_[7] = 1;
  Add("fp16", "f16", kFp);
  const std::vector<double> worse = Worse(0.1, 0.05);
  const std::size_t row = Add("rtn", "nf3", worse);
  const std::vector<double> weights(window_tokens_scored_.begin(), window_tokens_scored_.end());
  const nlohmann::ordered_json metric = Metric(row);
  EXPECT_EQ(metric.at("perplexity"), Perplexity(worse, weights));
  EXPECT_EQ(metric.at("stderr"), PerplexityStandardError(worse, weights));
  const PairedDifference loss = PerplexityDifference(worse, kFp, weights);
  EXPECT_EQ(metric.at("loss_vs_fp"), loss.value);
  EXPECT_EQ(metric.at("loss_vs_fp_stderr"), loss.standard_error);
  const auto draws =
      BootstrapPerplexities({kFp, worse}, metric.at("block_windows").get<Index>(), weights);
  EXPECT_EQ(metric.at("loss_vs_fp_low"), DifferenceInterval(draws[1], draws[0]).low);
  // The long fields come last.
  std::string last;
  for (const auto& [name, value] : metric.items()) last = name;
  EXPECT_EQ(last, "window_losses");
  EXPECT_EQ(metric.at("window_tokens_scored"), window_tokens_scored_);
}

// Of 24 windows rtn stopped after all but each fourth, daq after all but two, gptq after none.
TEST_F(ReportCellsTest, ResultsOfFewerWindowsAreComparedOnThoseThatBothHave) {
  const auto on = [](const std::vector<double>& losses, const std::vector<Index>& windows) {
    std::vector<double> own;
    for (const Index window : windows) own.push_back(losses[static_cast<std::size_t>(window)]);
    return own;
  };
  std::vector<Index> all;
  std::vector<Index> few;
  std::vector<Index> most;
  for (Index window = 0; window < Size(kFp); ++window) {
    all.push_back(window);
    if (window % 4 != 3) few.push_back(window);
    if (window != 3 && window != 7) most.push_back(window);
  }
  const std::vector<double> rtn = Worse(0.2, 0.02);
  const std::vector<double> gptq = Worse(0.15, 0.05);
  const std::vector<double> daq = Worse(0.1, 0.01);
  window_indices_ = all;
  Add("fp16", "f16", kFp);
  const std::size_t gptq_row = Add("gptq", "nf3", gptq);
  window_indices_ = few;
  const std::size_t rtn_row = Add("rtn", "nf3", on(rtn, few));
  window_indices_ = most;
  const std::size_t daq_row = Add("daq", "nf3-asym", on(daq, most));

  nlohmann::ordered_json metric = Metric(rtn_row, "daq");
  EXPECT_EQ(metric.at("loss_vs_fp"), Perplexity(on(rtn, few)) - Perplexity(on(kFp, few)));
  EXPECT_EQ(metric.at("loss_vs_fp_stderr"),
            PerplexityDifference(on(rtn, few), on(kFp, few)).standard_error);
  EXPECT_EQ(metric.at("difference"), Perplexity(on(rtn, few)) - Perplexity(on(daq, few)));
  const auto draws = BootstrapPerplexities({on(rtn, few), on(daq, few)},
                                           UsualBlockWindows(static_cast<Index>(few.size())));
  EXPECT_EQ(metric.at("difference_low"), DifferenceInterval(draws[0], draws[1]).low);

  metric = Metric(gptq_row, "daq");
  EXPECT_EQ(metric.at("loss_vs_fp"), Perplexity(gptq) - Perplexity(kFp));
  EXPECT_EQ(metric.at("difference"), Perplexity(on(gptq, most)) - Perplexity(on(daq, most)));

  // The best baseline is found, and compared with, where all of them have windows.
  metric = Metric(daq_row);
  EXPECT_EQ(metric.at("best_baseline"), "gptq nf3 channel");
  const double fp = Perplexity(on(kFp, few));
  EXPECT_EQ(metric.at("loss_reduction"),
            1 - (Perplexity(on(daq, few)) - fp) / (Perplexity(on(gptq, few)) - fp));
}

TEST_F(ReportCellsTest, ResultsOfWindowsThatOthersLackAreRefused) {
  window_indices_.resize(kFp.size());
  std::iota(window_indices_.begin(), window_indices_.end(), Index{0});
  Add("fp16", "f16", kFp);
  window_indices_ = {0, 1, 2};
  Add("rtn", "nf3", {3, 3, 3});
  window_indices_ = {0, 3};
  Add("gptq", "nf3", {3, 3});
  EXPECT_EQ(InputErrorOf(folder_.path(), [&] { ReportCells(manifest_, folder_.path(), ""); }),
            "cells/cell-2.json: windows: expected the first ones of the other cells of its column, "
            "found others");
}

TEST_F(ReportCellsTest, CellsOfOtherWindowsAreRefused) {
  Add("fp16", "f16", kFp);
  Add("rtn", "nf3", {3, 3});
  EXPECT_EQ(
      InputErrorOf(folder_.path(), [&] { ReportCells(manifest_, folder_.path(), ""); }),
      "cells/cell-1.json: windows: expected 24, as in the other cells of its column, found 2");
}

// exp(800) is beyond every double, and null in JSON.
TEST_F(ReportCellsTest, PerplexitiesThatAreNoNumberAreLeftOut) {
  Add("fp16", "f16", kFp);
  Add("rtn", "nf3", std::vector<double>(kFp.size(), 800));
  Add("gptq", "nf3", std::vector<double>(kFp.size(), 900));
  manifest_.rows[0].model = "llama-7b";  // of which values are published
  manifest_.rows[0].cells[0] = "cell-1";
  manifest_.columns[0].protocol = "gptq-wikitext2";
  manifest_.columns[0].as_published = true;
  for (const char* against : {"", "rtn"}) {
    const std::string table = Report(experiment_, manifest_, folder_.path(),
                                     {.format = ReportFormat::kMarkdown, .against = against});
    EXPECT_NE(table.find("5.68 \u2260"), std::string::npos) << table;
  }
}

TEST_F(ReportCellsTest, ATableWithoutRowsHasNoneToCompareWith) {
  EXPECT_EQ(InputErrorOf("", [&] { ReportCells(manifest_, folder_.path(), "awq"); }),
            "--against: expected the first fields of a row of the table, such as \"fp16\", "
            "found \"awq\"");
}

}  // namespace
}  // namespace daq
