// Whole evaluations, from files to perplexity, against other programs: Hugging Face transformers
// (tests/golden/perplexity) and the methods' authors' own quantisers (tests/golden/methods).
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/statistics.h"
#include "eval/protocols.h"
#include "methods/codebook.h"
#include "tests/harness/golden_run.h"
#include "tests/support/shared.h"

namespace daq {
namespace {

const std::filesystem::path kSource = DAQ_SOURCE_DIR;

class GoldenPerplexityTest : public GoldenRun {};

// "demo/x" lies in the repository, "shared:x" beside it.
std::filesystem::path GoldenPath(const std::string& name) {
  constexpr std::string_view kShared = "shared:";
  return name.starts_with(kShared) ? SharedPath(name.substr(kShared.size())) : kSource / name;
}

// Perplexity within 1e-4 relative is what the project promises; measured differences are near 1e-7.
void CompareWithTransformers(const std::vector<double>& losses, const nlohmann::json& golden) {
  const auto expected = golden.at("window_losses").get<std::vector<double>>();
  ASSERT_EQ(losses.size(), expected.size());
  for (std::size_t window = 0; window < losses.size(); ++window)
    EXPECT_NEAR(losses[window], expected[window], 1e-5);
  const auto perplexity = golden.at("perplexity").get<double>();
  EXPECT_NEAR(Perplexity(losses), perplexity, 1e-4 * perplexity);
}

class GoldenTransformersTest : public GoldenPerplexityTest,
                               public testing::WithParamInterface<const char*> {};

TEST_P(GoldenTransformersTest, PerplexityEqualsTransformers) {
  const nlohmann::json golden = nlohmann::json::parse(
      ReadFile(kSource / "tests/golden/perplexity" / (std::string(GetParam()) + ".json")));
  const std::filesystem::path model = GoldenPath(golden.at("model"));
  const std::filesystem::path text = GoldenPath(golden.at("text"));
  if (!std::filesystem::exists(model) || !std::filesystem::exists(text))
    GTEST_SKIP() << model << " or " << text << " is absent";
  const Checkpoint checkpoint(model);
  const Tokenizer tokenizer(model);
  WindowRequest request{.protocol = golden.at("protocol"),
                        .file = text,
                        .window_tokens = golden.at("window_tokens"),
                        .max_windows = {}};
  if (!golden.at("max_windows").is_null())
    request.max_windows = golden.at("max_windows").get<Index>();
  const TokenWindows windows =
      MakeEvaluationWindows(request, &tokenizer, checkpoint.config().vocab_size);
  EXPECT_EQ(windows.ids_sha256, golden.at("ids_sha256").get<std::string>());
  CompareWithTransformers(Losses(checkpoint, windows), golden);
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenTransformersTest,
                         testing::Values("demo-evaluation-512", "demo-wikitext2-512",
                                         "demo-wikitext2-2048", "stories260k-512"),
                         [](const auto& name) {
                           std::string text = name.param;
                           std::replace(text.begin(), text.end(), '-', '_');
                           return text;
                         });

// The authors' own code quantises in float32 as ours does. On floating-point books both take a tie
// to the lower code, but theirs forms w / s + z in float32 and ours compares exactly: measured up
// to 1.7e-5 of the perplexity. On integer grids torch.round takes a tie to the even integer, ours
// to the lower code: that is one weight in ten thousand (7 of 65,536 in the first q_proj at int3),
// worth 3.7e-4 and 2.8e-4 of the perplexity here. A wrong rule (zero-point not rounded) is 7e-3
// off.
TEST_F(GoldenPerplexityTest, RoundToNearestEqualsTheAuthorsCode) {
  const Checkpoint checkpoint(kSource / "demo/model");
  const TokenWindows windows = AuthorsWindows("eval_ids.json", checkpoint);
  struct Case {
    const char* golden;
    const char* codebook;
    bool symmetric;
    Index group_size;
    double tolerance;  // relative
  };
  const std::vector<Case> cases = {{"rtn-int3-pc", "int3", false, 0, 5e-4},
                                   {"rtn-int4-g64", "int4", false, 64, 5e-4},
                                   {"nf4-sym-pc", "nf4", true, 0, 5e-5},
                                   {"fp4e2m1-sym-pc", "fp4_e2m1_release", true, 0, 5e-5}};
  for (const Case& one : cases) {
    const Format format{.codebook = *FindCodebook(one.codebook, one.symmetric),
                        .symmetric = one.symmetric,
                        .group_size = one.group_size};
    Quantize(checkpoint, MakeRecipe(*FindPreset("rtn"), format));
    const auto expected = AuthorsResult(one.golden).at("ppl").get<double>();
    EXPECT_NEAR(Perplexity(QuantizedLosses(checkpoint, windows)), expected,
                one.tolerance * expected)
        << one.golden;
  }
}

}  // namespace
}  // namespace daq
