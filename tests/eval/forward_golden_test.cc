// The forward pass against Hugging Face transformers: the checkpoints of shared/goldens
// (multi-head, grouped-query, one KV head; F16, BF16 sharded, F32; tied and untied) and of
// tests/golden/models (rope scalings, an explicit head_dim).
#include <gtest/gtest.h>

#include <cstring>

#include "base/blas.h"
#include "base/float_product.h"
#include "eval/block_forward.h"
#include "eval/checkpoint.h"
#include "eval/rms_norm.h"
#include "eval/safetensors.h"
#include "eval/window_scores.h"
#include "tests/support/shared.h"

namespace daq {
namespace {

// The tolerances that the project promises. Both sides compute in float32 over sums of at most 176
// terms, so they differ by some 1e-6 of logits of magnitude 10; the measured worst is far below.
constexpr float kLogitTolerance = 2e-4F;
constexpr double kLossTolerance = 1e-5;

template <typename T>
std::vector<T> ReadValues(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor& tensor = file.tensors().at(name);
  std::vector<T> values((tensor.end - tensor.begin) / sizeof(T));
  std::memcpy(values.data(), file.bytes().data() + tensor.begin, tensor.end - tensor.begin);
  return values;
}

struct Golden {
  TokenWindows windows;
  std::vector<float>
      hidden;  // [layers + 1, windows, tokens, hidden]; the small ones of tests/golden have none
  std::vector<float> logits;  // [windows, tokens, vocab]
  std::vector<float> losses;  // [windows]

  explicit Golden(const std::filesystem::path& folder) {
    const SafetensorsFile file(folder / "golden.safetensors");
    const std::vector<Index>& shape = file.tensors().at("input_ids").shape;
    windows.window_tokens = shape[1];
    for (const std::int64_t id : ReadValues<std::int64_t>(file, "input_ids")) {
      windows.ids.push_back(static_cast<TokenId>(id));
    }
    if (file.tensors().contains("hidden")) hidden = ReadValues<float>(file, "hidden");
    logits = ReadValues<float>(file, "logits");
    losses = ReadValues<float>(file, "loss");
  }
};

float WorstDifference(const ConstMatrixView& found, const float* expected) {
  return (found - Eigen::Map<const MatrixF>(expected, found.rows(), found.cols()))
      .cwiseAbs()
      .maxCoeff();
}

struct GoldenModel {
  const char* name;
  std::filesystem::path folder;
};

void PrintTo(const GoldenModel& model, std::ostream* out) { *out << model.name; }

class GoldenForwardTest : public testing::TestWithParam<GoldenModel> {};

TEST_P(GoldenForwardTest, HiddenStatesLogitsAndLossesEqualTransformers) {
  const std::filesystem::path& folder = GetParam().folder;
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not on this machine";
  SetUpBlas();
  ThreadPool pool(2);
  const Checkpoint checkpoint(folder);
  const ModelConfig& config = checkpoint.config();
  const Golden golden(folder);
  HiddenStates states(golden.windows.count(), golden.windows.window_tokens, config.hidden_size, {});
  const auto layer_size = static_cast<std::size_t>(states.all().size());

  EmbedTokens(checkpoint, golden.windows, &pool, &states);
  if (!golden.hidden.empty()) {
    EXPECT_EQ(WorstDifference(states.all(), golden.hidden.data()), 0) << "embedding";
  }
  BlockForward forward(config, golden.windows.window_tokens, &pool);
  BlockWeights weights(config);
  for (Index block = 0; block < config.num_layers; ++block) {
    ReadNorms(checkpoint, block, &weights);
    ReadLinearLayers(checkpoint, block, &pool, &weights);
    forward.Run(weights, &states);
    // transformers stores the last one after the final norm.
    if (golden.hidden.empty() || block + 1 == config.num_layers) continue;
    EXPECT_LT(WorstDifference(states.all(), golden.hidden.data() +
                                                static_cast<std::size_t>(block + 1) * layer_size),
              kLogitTolerance)
        << "block " << block;
  }
  const std::vector<double> losses =
      ScoreWindows(checkpoint, golden.windows, &pool, &states).losses;

  // The states are normalised now: times the head they are the logits.
  MatrixF head(config.vocab_size, config.hidden_size);
  checkpoint.ReadRows(checkpoint.head_name(), 0, head);
  MatrixF logits(states.all().rows(), config.vocab_size);
  MultiplyTransposed(states.all(), head, logits);
  EXPECT_LT(WorstDifference(logits, golden.logits.data()), kLogitTolerance);
  ASSERT_EQ(losses.size(), golden.losses.size());
  for (std::size_t window = 0; window < losses.size(); ++window) {
    EXPECT_NEAR(losses[window], static_cast<double>(golden.losses[window]), kLossTolerance);
  }
}

const std::filesystem::path kOwn = std::filesystem::path(DAQ_SOURCE_DIR) / "tests/golden/models";

INSTANTIATE_TEST_SUITE_P(
    Models, GoldenForwardTest,
    testing::Values(GoldenModel{"llama2_f16", SharedPath("goldens/llama2-f16")},
                    GoldenModel{"gqa_bf16_sharded", SharedPath("goldens/gqa-bf16-sharded")},
                    GoldenModel{"mqa_f32", SharedPath("goldens/mqa-f32")},
                    GoldenModel{"rope_llama3", kOwn / "rope-llama3"},
                    GoldenModel{"rope_linear", kOwn / "rope-linear"},
                    GoldenModel{"head_dim", kOwn / "head-dim"}),
    [](const auto& model) { return std::string(model.param.name); });

}  // namespace
}  // namespace daq
