// Protocols that score a part of each window, from files to numbers, against Hugging Face
// transformers and lm-evaluation-harness's own HFLM on the demo model
// (tests/tools/make_scored_window_goldens.py).
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/statistics.h"
#include "eval/protocols.h"
#include "harness/cell_record.h"
#include "tests/harness/golden_run.h"
#include "tests/support/shared.h"

namespace daq {
namespace {

const std::filesystem::path kSource = DAQ_SOURCE_DIR;
constexpr std::string_view kShared = "shared:";

class GoldenScoredWindowsTest : public GoldenRun {
 protected:
  // What a result says of one evaluation at full precision.
  nlohmann::ordered_json Metric(const WindowRequest& request) {
    const Checkpoint checkpoint(kSource / "demo/model");
    const Tokenizer tokenizer(checkpoint.folder());
    const TokenWindows windows =
        MakeEvaluationWindows(request, &tokenizer, checkpoint.config().vocab_size);
    const WindowScores scores =
        EvaluateWindows(checkpoint, windows, FullPrecisionBlocks(checkpoint, &pool_), "fp", stage_);
    CellRecord cell;
    cell.recipe.full_precision = true;
    cell.evaluation = {.name = "text",
                       .protocol = request.protocol,
                       .dataset = "text",
                       .window_tokens = windows.window_tokens,
                       .text_sha256 = windows.text_sha256,
                       .ids_sha256 = windows.ids_sha256,
                       .tokens = windows.scored_tokens(),
                       .window_losses = scores.losses,
                       .window_tokens_scored = scores.scored_tokens,
                       .text_size = windows.text_size};
    return ToJson(cell).at("metrics").front();
  }

  void Compare(bool of_the_repository) {
    const nlohmann::json goldens =
        nlohmann::json::parse(ReadFile(kSource / "tests/golden/perplexity/scored_windows.json"));
    ASSERT_EQ(goldens.size(), 4U);
    for (const nlohmann::json& golden : goldens) {
      const std::string file = golden.at("file");
      if (file.starts_with(kShared) == of_the_repository) continue;
      SCOPED_TRACE(golden.at("protocol").get<std::string>() + " " + file);
      WindowRequest request{.protocol = golden.at("protocol"),
                            .file = file.starts_with(kShared)
                                        ? SharedPath(file.substr(kShared.size()))
                                        : kSource / file,
                            .window_tokens = golden.at("window_tokens"),
                            .max_windows = {}};
      if (!golden.at("max_windows").is_null())
        request.max_windows = golden.at("max_windows").get<Index>();
      const nlohmann::ordered_json metric = Metric(request);
      const auto losses = metric.at("window_losses").get<std::vector<double>>();
      const auto expected = golden.at("window_losses").get<std::vector<double>>();
      ASSERT_EQ(losses.size(), expected.size());
      // As for the other protocols; a window with one scored token is no mean over many.
      for (std::size_t window = 0; window < losses.size(); ++window)
        EXPECT_NEAR(losses[window], expected[window], 2e-5) << window;
      // Perplexity within 1e-4 relative is what the project promises; half of the harness's own
      // difference is its softmax in float32.
      for (const char* name :
           {"perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte"}) {
        ASSERT_EQ(metric.contains(name), golden.contains(name)) << name;
        if (!golden.contains(name)) continue;
        const auto number = golden.at(name).get<double>();
        EXPECT_NEAR(metric.at(name), number, 2e-5 * number) << name;
      }
    }
  }
};

TEST_F(GoldenScoredWindowsTest, NumbersEqualTransformersAndTheHarness) { Compare(true); }

TEST_F(GoldenScoredWindowsTest, NumbersOfWikiText2EqualTransformersAndTheHarness) {
  DAQ_REQUIRE_SHARED("data/wikitext2");
  Compare(false);
}

}  // namespace
}  // namespace daq
