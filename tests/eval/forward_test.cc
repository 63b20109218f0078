// What the forward pass promises beside the numbers: the same bits however the work is spread.
#include <gtest/gtest.h>

#include <cmath>
#include <optional>

#include "base/blas.h"
#include "eval/block_forward.h"
#include "eval/checkpoint.h"
#include "eval/window_scores.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {
namespace {

// Longer than a query tile and a token tile, and a multiple of neither.
constexpr Index kWindowTokens = 301;
constexpr Index kVocabulary = 2100;  // more than one vocabulary tile

class ForwardTest : public testing::Test {
 protected:
  ForwardTest() {
    SetUpBlas();
    TinyCheckpointSpec spec;
    spec.vocab_size = kVocabulary;
    spec.max_position_embeddings = 512;
    WriteTinyCheckpoint(folder_.path() / "model", spec);
    checkpoint_.emplace(folder_.path() / "model");
  }

  static TokenWindows MakeWindows(Index first, Index count) {
    TokenWindows windows;
    windows.window_tokens = kWindowTokens;
    for (Index i = first * kWindowTokens; i < (first + count) * kWindowTokens; ++i) {
      windows.ids.push_back(static_cast<TokenId>((i * 7919 + i * i) % kVocabulary));
    }
    return windows;
  }

  std::vector<double> Losses(const TokenWindows& windows, int threads,
                             const std::filesystem::path& scratch = {},
                             const InputTap& tap = {}) const {
    ThreadPool pool(threads);
    HiddenStates states(windows.count(), kWindowTokens, checkpoint_->config().hidden_size, scratch);
    EmbedTokens(*checkpoint_, windows, &pool, &states);
    BlockForward forward(checkpoint_->config(), kWindowTokens, &pool);
    BlockWeights weights(checkpoint_->config());
    for (Index block = 0; block < checkpoint_->config().num_layers; ++block) {
      ReadNorms(*checkpoint_, block, &weights);
      ReadLinearLayers(*checkpoint_, block, &pool, &weights);
      forward.Run(weights, &states, tap);
    }
    return ScoreWindows(*checkpoint_, windows, &pool, &states).losses;
  }

  TemporaryFolder folder_;
  std::optional<Checkpoint> checkpoint_;
};

TEST_F(ForwardTest, SameBitsForAnyNumberOfThreads) {
  const std::vector<double> expected = Losses(MakeWindows(0, 3), 1);
  for (const int threads : {2, 3, 7})
    EXPECT_EQ(Losses(MakeWindows(0, 3), threads), expected) << threads;
}

TEST_F(ForwardTest, AWindowsLossDoesNotDependOnItsNeighbours) {
  // More windows than one batch of tokens holds.
  const std::vector<double> together = Losses(MakeWindows(0, 20), 2);
  for (const Index window : {0, 13, 19}) {
    EXPECT_EQ(Losses(MakeWindows(window, 1), 2),
              std::vector<double>{together[static_cast<std::size_t>(window)]});
  }
}

TEST_F(ForwardTest, ScratchFileGivesTheSameBitsAsMemoryAndLeavesNothing) {
  const std::filesystem::path scratch = folder_.path() / "scratch";
  EXPECT_EQ(Losses(MakeWindows(0, 3), 2, scratch), Losses(MakeWindows(0, 3), 2));
  EXPECT_TRUE(std::filesystem::is_empty(scratch));
}

TEST_F(ForwardTest, AnUntrainedModelIsAboutAsGoodAsGuessing) {
  // Logits of order one: the loss lies within a nat above log(vocabulary).
  const double loss = Losses(MakeWindows(0, 1), 1)[0];
  EXPECT_GT(loss, std::log(kVocabulary) - 1);
  EXPECT_LT(loss, std::log(kVocabulary) + 1.5);
}

// Windows that end in padding: what stands there changes no bit of what is scored before, and a
// window cut short there has the same loss but for the shapes of its products.
TEST_F(ForwardTest, PaddingChangesNothing) {
  TokenWindows windows = MakeWindows(0, 2);
  windows.scored = {{0, 140}, {20, 139}};
  const std::vector<double> expected = Losses(windows, 2);
  for (Index window = 0; window < 2; ++window) {
    for (Index i = 141; i < kWindowTokens; ++i)
      windows.ids[static_cast<std::size_t>(window * kWindowTokens + i)] = static_cast<TokenId>(i);
  }
  EXPECT_EQ(Losses(windows, 2), expected);
  EXPECT_EQ(Losses(windows.Part(1, 1), 1), std::vector<double>{expected[1]});
  windows.ids[140] ^= 1;  // the last that is predicted
  EXPECT_NE(Losses(windows, 2)[0], expected[0]);
  EXPECT_EQ(Losses(windows, 2)[1], expected[1]);
}

TEST_F(ForwardTest, CausalALaterTokenDoesNotChangeEarlierInputs) {
  // What the layers read at positions before a changed token stays the same bits.
  const auto inputs = [&](const TokenWindows& windows) {
    std::vector<MatrixF> seen;
    Losses(windows, 2, {},
           [&](LinearInput, Index, const ConstMatrixView& rows) { seen.emplace_back(rows); });
    return seen;
  };
  TokenWindows changed = MakeWindows(0, 1);
  const Index position = 200;
  changed.ids[static_cast<std::size_t>(position)] ^= 1;
  const std::vector<MatrixF> before = inputs(MakeWindows(0, 1));
  const std::vector<MatrixF> after = inputs(changed);
  ASSERT_EQ(before.size(), 8U);  // two blocks of four inputs
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].topRows(position), after[i].topRows(position)) << i;
    EXPECT_NE(before[i].row(position), after[i].row(position)) << i;
  }
}

}  // namespace
}  // namespace daq
