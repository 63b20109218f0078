// Losses, divergence and agreement against a plain loop over whole logits in double.
#include "eval/window_scores.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/blas.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {
namespace {

constexpr Index kWindowTokens = 301;  // more than one token tile
constexpr Index kVocabulary = 4500;   // more than two vocabulary tiles
constexpr Index kWindows = 3;
constexpr Index kScored = kWindowTokens - 1;

class WindowScoresTest : public testing::Test {
 protected:
  WindowScoresTest() {
    SetUpBlas();
    TinyCheckpointSpec spec;
    spec.vocab_size = kVocabulary;
    WriteTinyCheckpoint(folder_.path() / "model", spec);
    checkpoint_.emplace(folder_.path() / "model");
    windows_.window_tokens = kWindowTokens;
    for (Index i = 0; i < kWindows * kWindowTokens; ++i)
      windows_.ids.push_back(static_cast<TokenId>((i * 7919 + i * i) % kVocabulary));
  }

  // States that differ from another `model`'s by about a tenth; no blocks are needed to score some.
  void Fill(double model, HiddenStates* states) const {
    MatrixView all = states->all();
    for (Index row = 0; row < all.rows(); ++row) {
      for (Index col = 0; col < all.cols(); ++col) {
        const auto at = static_cast<double>(row * all.cols() + col);
        all(row, col) = static_cast<float>(std::sin(1.7 * at) + 0.1 * model * std::sin(2.3 * at));
      }
    }
  }

  WindowScores Score(double model, std::optional<double> reference, int threads) const {
    ThreadPool pool(threads);
    const Index hidden = checkpoint_->config().hidden_size;
    HiddenStates states(kWindows, kWindowTokens, hidden, {});
    HiddenStates others(kWindows, kWindowTokens, hidden, {});
    Fill(model, &states);
    if (reference) Fill(*reference, &others);
    return ScoreWindows(*checkpoint_, windows_, &pool, &states, reference ? &others : nullptr);
  }

  // log softmax of the logits of every position, [tokens, vocabulary].
  MatrixD LogProbabilities(double model) const {
    HiddenStates states(kWindows, kWindowTokens, checkpoint_->config().hidden_size, {});
    Fill(model, &states);
    MatrixF head(kVocabulary, checkpoint_->config().hidden_size);
    checkpoint_->ReadRows(checkpoint_->head_name(), 0, head);
    const VectorF norm = checkpoint_->ReadVector(kFinalNormName);
    MatrixD rows = states.all().cast<double>();
    for (Index row = 0; row < rows.rows(); ++row) {
      const double scale =
          std::sqrt(rows.row(row).squaredNorm() / static_cast<double>(rows.cols()) +
                    checkpoint_->config().rms_norm_eps);
      rows.row(row) = (rows.row(row) / scale).cwiseProduct(norm.cast<double>().transpose());
    }
    MatrixD logits = rows * head.cast<double>().transpose();
    for (Index row = 0; row < logits.rows(); ++row) {
      double sum = 0;  // logits are of order one: nothing overflows
      for (Index id = 0; id < kVocabulary; ++id) sum += std::exp(logits(row, id));
      for (Index id = 0; id < kVocabulary; ++id) logits(row, id) -= std::log(sum);
    }
    return logits;
  }

  TemporaryFolder folder_;
  std::optional<Checkpoint> checkpoint_;
  TokenWindows windows_;
};

TEST_F(WindowScoresTest, AgreeWithAPlainLoop) {
  const WindowScores scores = Score(1, 0, 2);
  const MatrixD own = LogProbabilities(1);
  const MatrixD reference = LogProbabilities(0);
  ASSERT_EQ(scores.token_losses.size(), static_cast<std::size_t>(kWindows * kScored));
  ASSERT_EQ(scores.token_kl.size(), scores.token_losses.size());
  std::vector<Index> agreements(kWindows, 0);
  double largest = 0;
  for (Index window = 0; window < kWindows; ++window) {
    double sum = 0;
    for (Index t = 0; t < kScored; ++t) {
      const Index row = window * kWindowTokens + t;
      const auto at = static_cast<std::size_t>(window * kScored + t);
      const TokenId target = windows_.ids[static_cast<std::size_t>(row + 1)];
      // Logits are of order one, of 32 products each: float32 leaves 1e-6 of them.
      EXPECT_NEAR(static_cast<double>(scores.token_losses[at]), -own(row, target), 1e-5);
      sum -= own(row, target);
      double divergence = 0;
      Index top = 0;
      Index other = 0;
      for (Index id = 0; id < kVocabulary; ++id) {
        divergence += std::exp(reference(row, id)) * (reference(row, id) - own(row, id));
        if (own(row, id) > own(row, top)) top = id;
        if (reference(row, id) > reference(row, other)) other = id;
      }
      EXPECT_NEAR(static_cast<double>(scores.token_kl[at]), divergence, 2e-6);
      largest = std::max(largest, divergence);
      agreements[static_cast<std::size_t>(window)] += top == other ? 1 : 0;
    }
    EXPECT_NEAR(scores.losses[static_cast<std::size_t>(window)], sum / kScored, 1e-5);
  }
  EXPECT_EQ(scores.top1_agreements, agreements);
  EXPECT_GT(largest, 1e-3) << "the models differ";
  const Index agreeing = std::accumulate(agreements.begin(), agreements.end(), Index{0});
  EXPECT_LT(agreeing, kWindows * kScored);
  EXPECT_GT(agreeing, 0);
}

TEST_F(WindowScoresTest, AModelDoesNotDivergeFromItself) {
  const WindowScores scores = Score(1, 1, 2);
  EXPECT_EQ(scores.token_kl, std::vector<float>(scores.token_kl.size(), 0.0F));
  EXPECT_EQ(scores.top1_agreements, std::vector<Index>(kWindows, kScored));
}

// A part of each window is scored, once its last position too: the same positions of a window that
// is scored whole have the same numbers, whose mean is the window's loss.
TEST_F(WindowScoresTest, ScoredRangesAreThosePositions) {
  const WindowScores whole = Score(1, 0, 2);
  windows_.following = {3, 4, 5};
  windows_.scored = {{0, 300}, {150, 301}, {7, 8}};
  const WindowScores scores = Score(1, 0, 2);
  EXPECT_EQ(scores.scored_tokens, (std::vector<Index>{300, 151, 1}));
  ASSERT_EQ(scores.token_losses.size(), 452U);
  ASSERT_EQ(scores.token_kl.size(), 452U);
  const MatrixD own = LogProbabilities(1);
  std::size_t at = 0;
  for (Index window = 0; window < kWindows; ++window) {
    const ScoredRange range = windows_.scored_range(window);
    double sum = 0;
    for (Index t = range.begin; t < range.end; ++t, ++at) {
      const TokenId target = windows_.target(window, t);
      const double expected = -own(window * kWindowTokens + t, target);
      // As in AgreeWithAPlainLoop.
      EXPECT_NEAR(static_cast<double>(scores.token_losses[at]), expected, 1e-5);
      sum += expected;
      if (t == kScored) continue;  // not scored in whole windows
      const auto same = static_cast<std::size_t>(window * kScored + t);
      // Tiles begin elsewhere: products in float32 may round otherwise.
      EXPECT_NEAR(scores.token_losses[at], whole.token_losses[same], 1e-5F);
      EXPECT_NEAR(scores.token_kl[at], whole.token_kl[same], 1e-5F);
    }
    EXPECT_NEAR(scores.losses[static_cast<std::size_t>(window)],
                sum / static_cast<double>(range.count()), 1e-5);
    EXPECT_LE(scores.top1_agreements[static_cast<std::size_t>(window)], range.count());
  }
  EXPECT_EQ(scores.losses[0], whole.losses[0]) << "a range that is the usual one";
  EXPECT_EQ(scores.top1_agreements[0], whole.top1_agreements[0]);
  for (const int threads : {1, 3}) {
    const WindowScores again = Score(1, 0, threads);
    EXPECT_EQ(again.losses, scores.losses);
    EXPECT_EQ(again.token_losses, scores.token_losses);
    EXPECT_EQ(again.token_kl, scores.token_kl);
    EXPECT_EQ(again.top1_agreements, scores.top1_agreements);
  }
}

TEST_F(WindowScoresTest, SameBitsForAnyNumberOfThreadsWithAReferenceOrWithout) {
  const WindowScores expected = Score(1, 0, 1);
  for (const int threads : {2, 3}) {
    const WindowScores scores = Score(1, 0, threads);
    EXPECT_EQ(scores.losses, expected.losses);
    EXPECT_EQ(scores.token_losses, expected.token_losses);
    EXPECT_EQ(scores.token_kl, expected.token_kl);
    EXPECT_EQ(scores.top1_agreements, expected.top1_agreements);
  }
  const WindowScores alone = Score(1, std::nullopt, 2);
  EXPECT_EQ(alone.losses, expected.losses);
  EXPECT_EQ(alone.token_losses, expected.token_losses);
  EXPECT_TRUE(alone.token_kl.empty());
}

}  // namespace
}  // namespace daq
