#include "eval/window_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/exp.h"
#include "base/float_product.h"
#include "base/reduce.h"
#include "eval/rms_norm.h"

namespace daq {
namespace {

// The fixed sizes of pieces, and the tokens for which one reading of the head matrix serves.
constexpr Index kTokenTile = 192;
constexpr Index kVocabularyTile = 2048;
constexpr Index kHeadPiece = 128;  // entries of the vocabulary that lie in the L2 cache together
constexpr Index kBatchTokens = 16384;

Index BatchWindows(Index window_tokens) { return std::max<Index>(1, kBatchTokens / window_tokens); }

// The log-sum-exp and the first of the highest of the logits seen so far of one position.
struct RunningLogits {
  double highest = -std::numeric_limits<double>::infinity();
  double sum = 0;  // of exp(logit - highest)
  Index top = 0;   // which one is the highest

  // Takes the logits of tokens `first`, first + 1, ...; returns exp(highest before - highest now)
  // and exp(the tile's highest - highest now), by which sums relative to either are to be scaled.
  std::pair<double, double> Add(std::span<const float> logits, Index first) {
    const auto tile_top = std::max_element(logits.begin(), logits.end());
    const float tile_highest = *tile_top;
    const double tile_sum = LaneSum(logits.size(), [&](std::size_t i) {
      return static_cast<double>(Exp(logits[i] - tile_highest));
    });
    if (static_cast<double>(tile_highest) > highest) top = first + (tile_top - logits.begin());
    const double now = std::max(highest, static_cast<double>(tile_highest));
    const double old_scale = std::exp(highest - now);
    const double tile_scale = std::exp(static_cast<double>(tile_highest) - now);
    sum = sum * old_scale + tile_sum * tile_scale;
    highest = now;
    return {old_scale, tile_scale};
  }
  double LogSumExp() const { return highest + std::log(sum); }
};

// One position of the model.
struct RunningLoss {
  RunningLogits logits;
  double target = 0;  // the logit of the token to be predicted

  double Loss() const { return logits.LogSumExp() - target; }
};

// The same position of the reference, and how far the model is from it.
struct RunningDivergence {
  RunningLogits logits;
  double weighted = 0;  // sum of exp(logit - highest) * (logit - the model's logit)

  void Add(std::span<const float> own, std::span<const float> models, Index first) {
    const float tile_highest = *std::max_element(own.begin(), own.end());
    const double tile_weighted = LaneSum(own.size(), [&](std::size_t i) {
      return static_cast<double>(Exp(own[i] - tile_highest)) *
             (static_cast<double>(own[i]) - static_cast<double>(models[i]));
    });
    const auto [old_scale, tile_scale] = logits.Add(own, first);
    weighted = weighted * old_scale + tile_weighted * tile_scale;
  }
  // sum p (log p - log q) with log p = logit - log-sum-exp.
  double Divergence(const RunningLogits& models) const {
    return weighted / logits.sum - logits.LogSumExp() + models.LogSumExp();
  }
};

// Vocabulary rows of the head, packed once for all products with them.
class HeadTile {
 public:
  HeadTile(const Checkpoint& checkpoint, ThreadPool* pool)
      : checkpoint_(checkpoint), pool_(pool), pieces_(kVocabularyTile / kHeadPiece) {}

  // Becomes the rows [first, first + rows), at most kVocabularyTile.
  void Read(Index first, Index rows) {
    rows_ = rows;
    pool_->ParallelFor((rows + kHeadPiece - 1) / kHeadPiece, [&](Index piece, int) {
      const Index start = piece * kHeadPiece;
      MatrixF weights(std::min(kHeadPiece, rows - start), checkpoint_.config().hidden_size);
      checkpoint_.ReadRows(checkpoint_.head_name(), first + start, weights);
      pieces_[static_cast<std::size_t>(piece)].PackTransposed(weights);
    });
  }

  // logits [states.rows(), rows read].
  void Multiply(const ConstMatrixView& states, MatrixView logits) const {
    for (Index start = 0; start < rows_; start += kHeadPiece) {
      const PackedMatrix& piece = pieces_[static_cast<std::size_t>(start / kHeadPiece)];
      MultiplyPacked(states, piece, ProductUse::kAssign, logits.middleCols(start, piece.cols()));
    }
  }

 private:
  const Checkpoint& checkpoint_;
  ThreadPool* pool_;
  Index rows_ = 0;
  std::vector<PackedMatrix> pieces_;
};

std::span<const float> RowOf(const MatrixView& matrix, Index row) {
  return {matrix.data() + row * matrix.outerStride(), static_cast<std::size_t>(matrix.cols())};
}

// The running numbers of a batch of windows, position by position.
class BatchScores {
 public:
  // Of the windows first_window .. first_window + count - 1.
  BatchScores(const TokenWindows& windows, Index first_window, Index count, bool with_reference)
      : windows_(windows), first_window_(first_window) {
    for (Index window = 0; window < count; ++window)
      begins_.push_back(begins_.back() + range(window).count());
    running_.resize(static_cast<std::size_t>(begins_.back()));
    if (with_reference) diverging_.resize(running_.size());
  }

  // The scored positions of the batch's window `window`.
  ScoredRange range(Index window) const { return windows_.scored_range(first_window_ + window); }

  // Takes the logits of the tokens `first_id`, ... at a window's positions `start`, ...
  void AddLogits(Index window, Index start, const MatrixView& logits, Index first_id) {
    for (Index i = 0; i < logits.rows(); ++i) {
      RunningLoss& loss = running_[At(window, start + i)];
      const std::span<const float> row = RowOf(logits, i);
      loss.logits.Add(row, first_id);
      const Index target = windows_.target(first_window_ + window, start + i) - first_id;
      if (target >= 0 && target < logits.cols())
        loss.target = static_cast<double>(row[static_cast<std::size_t>(target)]);
    }
  }

  // The same of the reference, beside the model's logits of the same tokens and positions.
  void AddReference(Index window, Index start, const MatrixView& reference,
                    const MatrixView& logits, Index first_id) {
    for (Index i = 0; i < logits.rows(); ++i)
      diverging_[At(window, start + i)].Add(RowOf(reference, i), RowOf(logits, i), first_id);
  }

  void AppendTo(WindowScores* scores) const {
    for (std::size_t window = 0; window + 1 < begins_.size(); ++window) {
      const Index scored = begins_[window + 1] - begins_[window];
      const auto first = static_cast<std::size_t>(begins_[window]);
      const auto loss = [&](std::size_t i) { return running_[first + i].Loss(); };
      scores->scored_tokens.push_back(scored);
      scores->losses.push_back(LaneSum(static_cast<std::size_t>(scored), loss) /
                               static_cast<double>(scored));
      if (!diverging_.empty()) AppendComparison(first, static_cast<std::size_t>(scored), scores);
    }
    for (const RunningLoss& loss : running_)
      scores->token_losses.push_back(static_cast<float>(loss.Loss()));
  }

 private:
  std::size_t At(Index window, Index position) const {
    return static_cast<std::size_t>(begins_[static_cast<std::size_t>(window)] + position -
                                    range(window).begin);
  }

  // Of one window, whose positions are running_[first], ...
  void AppendComparison(std::size_t first, std::size_t scored, WindowScores* scores) const {
    Index agreements = 0;
    for (std::size_t i = first; i < first + scored; ++i) {
      const RunningLogits& models = running_[i].logits;
      scores->token_kl.push_back(static_cast<float>(diverging_[i].Divergence(models)));
      if (models.top == diverging_[i].logits.top) ++agreements;
    }
    scores->top1_agreements.push_back(agreements);
  }

  const TokenWindows& windows_;
  Index first_window_;
  std::vector<Index> begins_ = {0};  // where each window's positions begin, and the end of all
  std::vector<RunningLoss> running_;
  std::vector<RunningDivergence> diverging_;
};

// Scores the windows [first_window, ...) whose normalised states are `rows`; `reference` are the
// other model's, or none.
void ScoreBatch(const Checkpoint& checkpoint, const TokenWindows& windows, Index first_window,
                const ConstMatrixView& rows, const std::optional<MatrixView>& reference,
                ThreadPool* pool, WindowScores* scores) {
  const Index tokens = windows.window_tokens;
  const Index count = rows.rows() / tokens;
  BatchScores batch(windows, first_window, count, reference.has_value());
  Index longest = 0;
  for (Index window = 0; window < count; ++window)
    longest = std::max(longest, batch.range(window).count());
  const Index tiles = (longest + kTokenTile - 1) / kTokenTile;
  // Each thread's logits, and below them the reference's.
  std::vector<MatrixF> scratch(static_cast<std::size_t>(pool->threads()),
                               MatrixF((reference ? 2 : 1) * kTokenTile, kVocabularyTile));
  const Index vocabulary = checkpoint.config().vocab_size;
  HeadTile head(checkpoint, pool);
  for (Index first = 0; first < vocabulary; first += kVocabularyTile) {
    const Index outputs = std::min(kVocabularyTile, vocabulary - first);
    head.Read(first, outputs);
    pool->ParallelFor(count * tiles, [&](Index item, int worker) {
      const Index window = item / tiles;
      // Tiles begin at the window's own first scored position: no other window changes its bits.
      const Index start = batch.range(window).begin + item % tiles * kTokenTile;
      const Index positions = std::min(kTokenTile, batch.range(window).end - start);
      if (positions <= 0) return;
      const Index row = window * tokens + start;
      MatrixF& own = scratch[static_cast<std::size_t>(worker)];
      MatrixView logits = own.topLeftCorner(positions, outputs);
      head.Multiply(rows.middleRows(row, positions), logits);
      batch.AddLogits(window, start, logits, first);
      if (!reference) return;
      MatrixView others = own.block(kTokenTile, 0, positions, outputs);
      head.Multiply(reference->middleRows(row, positions), others);
      batch.AddReference(window, start, others, logits, first);
    });
  }
  batch.AppendTo(scores);
}

}  // namespace

void EmbedTokens(const Checkpoint& checkpoint, const TokenWindows& windows, ThreadPool* pool,
                 HiddenStates* states) {
  DAQ_CHECK(
      states->windows() <= windows.count() && states->window_tokens() == windows.window_tokens,
      "states of these windows");
  pool->ParallelFor(states->windows(), [&](Index window, int) {
    const std::span<const TokenId> ids = windows.window(window);
    for (Index position = 0; position < windows.window_tokens; ++position) {
      checkpoint.ReadRows(kEmbeddingName, ids[static_cast<std::size_t>(position)],
                          states->rows(window, 1).middleRows(position, 1));
    }
    states->Release(window, 1);
  });
}

WindowScores ScoreWindows(const Checkpoint& checkpoint, const TokenWindows& windows,
                          ThreadPool* pool, HiddenStates* states, HiddenStates* reference,
                          const std::function<void(Index)>& on_windows_done) {
  const VectorF norm = checkpoint.ReadVector(kFinalNormName);
  const Index batch = BatchWindows(windows.window_tokens);
  WindowScores scores;
  for (Index first = 0; first < windows.count(); first += batch) {
    const Index count = std::min(batch, windows.count() - first);
    const auto normalised = [&](HiddenStates* of) {
      DAQ_CHECK(of->windows() == windows.count() && of->window_tokens() == windows.window_tokens,
                "states of these windows");
      MatrixView rows = of->rows(first, count);
      pool->ParallelFor(count, [&](Index window, int) {
        MatrixView own = rows.middleRows(window * windows.window_tokens, windows.window_tokens);
        RmsNorm(own, norm, checkpoint.config().rms_norm_eps, own);
      });
      return rows;
    };
    const MatrixView rows = normalised(states);
    std::optional<MatrixView> others;
    if (reference != nullptr) others.emplace(normalised(reference));
    ScoreBatch(checkpoint, windows, first, rows, others, pool, &scores);
    states->Release(first, count);
    if (reference != nullptr) reference->Release(first, count);
    if (on_windows_done) on_windows_done(count);
  }
  return scores;
}

std::uint64_t ScoreWindowsBytes(const ModelConfig& config, Index window_tokens, int threads,
                                bool with_reference) {
  const Index models = with_reference ? 2 : 1;
  const Index head =
      (std::min(kVocabularyTile, config.vocab_size) + threads * kHeadPiece) * config.hidden_size;
  const auto floats =
      static_cast<std::uint64_t>(head + models * threads * kTokenTile * kVocabularyTile) *
      sizeof(float);
  return floats + static_cast<std::uint64_t>(BatchWindows(window_tokens) * window_tokens) *
                      (sizeof(RunningLoss) + (with_reference ? sizeof(RunningDivergence) : 0));
}

}  // namespace daq
