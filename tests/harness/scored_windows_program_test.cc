// The protocols that score a part of each window, as a user meets them, on the demo model: numbers
// that fit together, and the same bits for any number of threads and shards.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "tests/harness/program_fixture.h"

namespace daq {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

class ScoredWindowsProgramTest : public ProgramTest {
 protected:
  ScoredWindowsProgramTest() {
    const std::string text = (fs::path(DAQ_SOURCE_DIR) / "tests/data/pages.raw").string();
    WriteConfig("model: " + (fs::path(DAQ_SOURCE_DIR) / "demo/model").string() +
                "\nevaluate:\n"
                "  - {protocol: lm-eval-wikitext, file: " +
                text +
                ", window_tokens: 64, token_metrics: true}\n"
                "  - {protocol: llamacpp-512, file: " +
                text +
                ", window_tokens: 64, token_metrics: true}\n"
                "recipes:\n"
                "  - fp16\n"
                "  - {method: rtn, format: {codebook: int3, group: 64}}\n");
  }

  Json Report() const { return Json::parse(Run({"report", config(), "--format", "json"}).output); }

  std::vector<float> TokenLosses(const Json& metric) const {
    const std::string bytes = ReadFile(folder_.path() / "results/test/cells" /
                                       metric.at("token_losses").get<std::string>());
    std::vector<float> losses(bytes.size() / sizeof(float));
    std::memcpy(losses.data(), bytes.data(), bytes.size());
    return losses;
  }
};

TEST_F(ScoredWindowsProgramTest, NumbersOfPagesFitTogether) {
  const ProgramResult run = Run({config()});
  ASSERT_EQ(run.exit_code, 0) << run.errors;
  EXPECT_NE(run.output.find("| word ppl |"), std::string::npos) << run.output;
  const Json report = Report();
  for (const Json& row : report) {
    const Json& metric = row.at("metrics").at("lm-eval-wikitext");
    EXPECT_EQ(metric.at("windows"), 19);
    EXPECT_EQ(metric.at("tokens"), 1047);
    EXPECT_EQ(metric.at("words"), 732);
    EXPECT_EQ(metric.at("bytes"), 2951);
    double loss = 0;
    const std::vector<float> losses = TokenLosses(metric);
    ASSERT_EQ(losses.size(), 1047U);
    for (const float one : losses) loss += static_cast<double>(one);
    // Token losses are stored in float32.
    EXPECT_NEAR(metric.at("perplexity"), std::exp(loss / 1047), 1e-4);
    EXPECT_NEAR(std::log(metric.at("word_perplexity").get<double>()), loss / 732, 1e-6);
    EXPECT_NEAR(std::log(metric.at("byte_perplexity").get<double>()), loss / 2951, 1e-6);
    EXPECT_NEAR(metric.at("bits_per_byte"), loss / 2951 / std::log(2.0), 1e-6);
    // Each window's loss is the mean of its own tokens.
    const auto scored = metric.at("window_tokens_scored").get<std::vector<int>>();
    ASSERT_EQ(scored.size(), 19U);
    std::size_t at = 0;
    for (std::size_t window = 0; window < scored.size(); ++window) {
      double sum = 0;
      for (int i = 0; i < scored[window]; ++i, ++at) sum += static_cast<double>(losses[at]);
      EXPECT_NEAR(metric.at("window_losses")[window], sum / scored[window], 1e-6);
    }
    EXPECT_EQ(at, losses.size());
  }
  const Json& quantised = report[1].at("metrics").at("lm-eval-wikitext");
  EXPECT_GT(quantised.at("kl_mean"), 0.0);
  EXPECT_GT(quantised.at("loss_vs_fp"), 0.0);
  EXPECT_FALSE(quantised.at("loss_vs_fp_low").is_null());
  // One line a cell, with these numbers in the last columns.
  const std::string csv = Run({"report", config(), "--format", "csv"}).output;
  EXPECT_NE(csv.find(",word_perplexity,byte_perplexity,bits_per_byte,"), std::string::npos) << csv;
}

TEST_F(ScoredWindowsProgramTest, ChunksScoreTheirSecondHalf) {
  ASSERT_EQ(Run({config()}).exit_code, 0);
  const Json report = Report();
  const Json& metric = report[1].at("metrics").at("llamacpp-512");
  EXPECT_EQ(metric.at("windows"), 16);
  EXPECT_EQ(metric.at("tokens"), 16 * 31);
  EXPECT_EQ(TokenLosses(metric).size(), 16U * 31U);
  EXPECT_FALSE(metric.contains("word_perplexity"));
  EXPECT_FALSE(metric.contains("window_tokens_scored")) << "all windows score as many";
  EXPECT_GT(metric.at("kl_mean"), 0.0);
}

TEST_F(ScoredWindowsProgramTest, SameBitsForAnyNumberOfThreadsAndShards) {
  ASSERT_EQ(Run({config(), "--threads", "1"}).exit_code, 0);
  ASSERT_EQ(Run({config(), "--threads", "3"}, "three").exit_code, 0);
  EXPECT_EQ(Metrics("three"), Metrics());
  for (const char* shard : {"2/3", "3/3", "1/3"}) {
    const ProgramResult run = Run({config(), "--shard", shard, "--stage", "quantize"}, "shards");
    ASSERT_EQ(run.exit_code, 0) << run.errors;
  }
  for (const char* shard : {"4/5", "2/5", "1/5", "5/5", "3/5"}) {
    const ProgramResult run = Run({config(), "--shard", shard, "--stage", "evaluate"}, "shards");
    ASSERT_EQ(run.exit_code, 0) << run.errors;
  }
  EXPECT_EQ(Metrics("shards"), Metrics());
  for (const auto& [name, content] : Cells()) {
    if (name.ends_with(".json")) continue;  // these hold seconds
    EXPECT_EQ(Cells("shards").at(name), content) << name;
  }
}

}  // namespace
}  // namespace daq
