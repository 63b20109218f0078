// Evaluations that stop early (stop_when): where they stop, and that nothing but the windows
// decides it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "base/statistics.h"
#include "harness/cell_record.h"
#include "harness/stop_rule.h"
#include "tests/harness/program_fixture.h"

namespace daq {
namespace {

class StopProgramTest : public ProgramTest {
 protected:
  static constexpr Index kWindows = 75;

  StopProgramTest() {
    WriteWindows(kWindows, /*tokens=*/24);
    WriteConfig(Config(""));
    EXPECT_EQ(Run({config()}, "plain").exit_code, 0);
    for (const auto& [name, cell] : Cells("plain")) {
      if (!name.ends_with(".json")) continue;
      const nlohmann::json json = nlohmann::json::parse(cell);
      plain_[json.at("method")] = *json.at("metrics").begin();
      const std::string losses = Cells("plain").at(TokenLossesFileName(json.at("id")));
      std::vector<float>& tokens = plain_token_losses_[json.at("method")];
      tokens.resize(losses.size() / sizeof(float));
      std::memcpy(tokens.data(), losses.data(), losses.size());
    }
    // Met by rtn after 48 windows, so by others elsewhere.
    limit_ = ErrorOf("rtn", 48);
    WriteConfig(Config(fmt::format("stop_when: {{loss_vs_fp_stderr: {}}}", limit_)));
  }

  static std::string Config(const std::string& more) {
    return fmt::format(R"(model: model
calibration: {{protocol: ids, file: windows.json, windows: 2}}
evaluate:
  - {{protocol: ids, file: windows.json, token_metrics: true{}{}}}
recipes:
  - fp16
  - {{method: rtn, format: int3}}
  - {{method: gptq, format: nf4}}
  - {{method: daq, format: nf3}}
)",
                       more.empty() ? "" : ", ", more);
  }

  // Of the first windows of the order, as a run of all of them has their losses.
  double ErrorOf(const std::string& method, Index windows) const {
    const std::vector<Index> order = StopOrder(kWindows);
    std::vector<double> arm;
    std::vector<double> fp;
    for (Index i = 0; i < windows; ++i) {
      const auto window = static_cast<std::size_t>(order[static_cast<std::size_t>(i)]);
      arm.push_back(plain_.at(method).at("window_losses")[window]);
      fp.push_back(plain_.at("fp16").at("window_losses")[window]);
    }
    return PerplexityDifference(arm, fp).standard_error;
  }

  // The loss of a result on its own windows.
  double LossOn(const nlohmann::json& metric) const {
    const auto losses = metric.at("window_losses").get<std::vector<double>>();
    std::vector<double> fp;
    for (const Index window : metric.at("window_indices").get<std::vector<Index>>())
      fp.push_back(plain_.at("fp16").at("window_losses")[static_cast<std::size_t>(window)]);
    return Perplexity(losses) - Perplexity(fp);
  }

  // From the definition in docs/metrics.md.
  Index ExpectedWindows(const std::string& method) const {
    if (method == "fp16") return kWindows;
    Index windows = 32;
    while (windows < kWindows && ErrorOf(method, windows) > limit_) windows += 16;
    return std::min(windows, kWindows);
  }

  std::map<std::string, nlohmann::json> plain_;  // by method: metrics of a run of all windows
  std::map<std::string, std::vector<float>> plain_token_losses_;
  double limit_ = 0;
};

TEST_F(StopProgramTest, StopsWhereThePairedErrorIsSmallEnough) {
  const ProgramResult run = Run({config()});
  ASSERT_EQ(run.exit_code, 0) << run.errors;
  int stopped = 0;
  for (const auto& [name, content] : Cells()) {
    if (!name.ends_with(".json")) continue;
    const nlohmann::json cell = nlohmann::json::parse(content);
    const std::string method = cell.at("method");
    const nlohmann::json& metric = *cell.at("metrics").begin();
    const Index windows = ExpectedWindows(method);
    ASSERT_EQ(metric.at("windows"), windows) << method;
    EXPECT_EQ(metric.at("windows_of_text"), kWindows);
    EXPECT_EQ(metric.at("stop_when").at("loss_vs_fp_stderr"), limit_);
    EXPECT_EQ(metric.at("tokens"), windows * 23);
    EXPECT_EQ(metric.at("ids_sha256"), plain_.at(method).at("ids_sha256"));
    stopped += windows < kWindows ? 1 : 0;
    std::vector<Index> used = StopOrder(kWindows);
    used.resize(static_cast<std::size_t>(windows));
    std::sort(used.begin(), used.end());
    ASSERT_EQ(metric.at("window_indices"), used);
    // The windows' and tokens' losses are those of a run of all of them, in the text's order.
    std::vector<double> losses;
    std::string token_losses;
    for (const Index window : used) {
      losses.push_back(plain_.at(method).at("window_losses")[static_cast<std::size_t>(window)]);
      const float* tokens = plain_token_losses_.at(method).data() + window * 23;
      token_losses.append(reinterpret_cast<const char*>(tokens), 23 * sizeof(float));
    }
    EXPECT_EQ(metric.at("window_losses"), losses);
    EXPECT_EQ(metric.at("perplexity"), Perplexity(losses));
    EXPECT_EQ(Cells().at(TokenLossesFileName(cell.at("id"))), token_losses);
  }
  EXPECT_GE(stopped, 1);
  // The table says how many, and its losses are of the windows that both sides have.
  EXPECT_NE(run.output.find("48 of 75"), std::string::npos) << run.output;
  const auto report = nlohmann::json::parse(Run({"report", config(), "--format", "json"}).output);
  for (const nlohmann::json& row : report) {
    const nlohmann::json& metric = *row.at("metrics").begin();
    if (row.at("method") == "fp16") continue;
    EXPECT_NEAR(metric.at("loss_vs_fp_stderr").get<double>(),
                ErrorOf(row.at("method"), metric.at("windows")), 1e-12);
    EXPECT_NEAR(metric.at("loss_vs_fp").get<double>(), LossOn(metric), 1e-12);
  }
  // Everything that was kept for comparisons and joins is gone.
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "results/test/work"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "results/test/parts"));
}

TEST_F(StopProgramTest, KilledRunsStopAtTheSameWindows) {
  ASSERT_EQ(Run({config()}, "undisturbed").exit_code, 0);
  int kills = 0;
  KillUntilDone(
      4,
      [&](int milliseconds) {
        return Run({config(), "--threads", "1", "--save-seconds", "0"}, "results", milliseconds);
      },
      &kills);
  EXPECT_GE(kills, 3);
  EXPECT_EQ(Metrics(), Metrics("undisturbed"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() / "results/test/work"));
}

// In an order in which full precision's own shard comes last: the others compute what they need of
// it.
TEST_F(StopProgramTest, ShardsStopAtTheSameWindows) {
  ASSERT_EQ(Run({config()}, "undisturbed").exit_code, 0);
  for (const char* shard : {"1/2", "2/2"})
    EXPECT_EQ(Run({config(), "--stage", "quantize", "--shard", shard}).exit_code, 0);
  for (const char* shard : {"4/4", "3/4", "2/4", "1/4"}) {
    const ProgramResult run = Run({config(), "--stage", "evaluate", "--shard", shard});
    EXPECT_EQ(run.exit_code, 0) << run.errors;
  }
  EXPECT_EQ(Metrics(), Metrics("undisturbed"));
  EXPECT_EQ(Run({"report", config()}).output, Run({"report", config()}, "undisturbed").output);
}

TEST_F(StopProgramTest, WithoutFullPrecisionThereIsNothingToStopBy) {
  WriteConfig(
      "model: model\nevaluate: [{protocol: ids, file: windows.json, stop_when: "
      "{loss_vs_fp_stderr: 1}}]\nrecipes: [{method: rtn, format: nf4}]\n");
  const ProgramResult run = Run({config()});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_EQ(WithoutFolder(run.errors),
            "test.yaml:2: evaluate[0].stop_when: expected fp16 among the recipes, whose losses the "
            "others are compared with, found none\n");
}

}  // namespace
}  // namespace daq
