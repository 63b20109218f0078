#include "eval/window_losses.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/blas.h"
#include "base/error.h"
#include "base/exp.h"
#include "base/reduce.h"
#include "base/statistics.h"
#include "eval/rms_norm.h"

namespace daq {
namespace {

// The fixed sizes of pieces, and the tokens for which one reading of the head matrix serves.
constexpr Index kTokenTile = 256;
constexpr Index kVocabularyTile = 2048;
constexpr Index kBatchTokens = 16384;

Index BatchWindows(Index window_tokens) { return std::max<Index>(1, kBatchTokens / window_tokens); }

// The log-sum-exp of the logits seen so far of one position, and the logit of its target.
struct RunningLoss {
  double highest = -std::numeric_limits<double>::infinity();
  double sum = 0;  // of exp(logit - highest)
  double target = 0;

  void Add(std::span<const float> logits) {
    const float tile_highest = *std::max_element(logits.begin(), logits.end());
    const double tile_sum = LaneSum(logits.size(), [&](std::size_t i) {
      return static_cast<double>(Exp(logits[i] - tile_highest));
    });
    const double now = std::max(highest, static_cast<double>(tile_highest));
    sum = sum * std::exp(highest - now) +
          tile_sum * std::exp(static_cast<double>(tile_highest) - now);
    highest = now;
  }
  double Loss() const { return highest + std::log(sum) - target; }
};

// Reads vocabulary rows [first, first + rows) of the head into `tile`, in pieces for all threads.
void ReadHeadTile(const Checkpoint& checkpoint, Index first, Index rows, ThreadPool* pool,
                  MatrixF* tile) {
  constexpr Index kPiece = 128;
  pool->ParallelFor((rows + kPiece - 1) / kPiece, [&](Index item, int) {
    const Index start = item * kPiece;
    checkpoint.ReadRows(checkpoint.head_name(), first + start,
                        tile->middleRows(start, std::min(kPiece, rows - start)));
  });
}

// The losses of the windows [first_window, ...) whose normalised states are `rows`.
void BatchLosses(const Checkpoint& checkpoint, const TokenWindows& windows, Index first_window,
                 const ConstMatrixView& rows, ThreadPool* pool, std::vector<double>* losses) {
  const Index tokens = windows.window_tokens;
  const Index scored = tokens - 1;
  const Index count = rows.rows() / tokens;
  const Index tiles = (scored + kTokenTile - 1) / kTokenTile;
  std::vector<RunningLoss> running(static_cast<std::size_t>(count * scored));
  std::vector<MatrixF> scratch(static_cast<std::size_t>(pool->threads()),
                               MatrixF(kTokenTile, kVocabularyTile));
  const Index vocabulary = checkpoint.config().vocab_size;
  MatrixF head(std::min(kVocabularyTile, vocabulary), rows.cols());
  for (Index first = 0; first < vocabulary; first += kVocabularyTile) {
    const Index outputs = std::min(kVocabularyTile, vocabulary - first);
    ReadHeadTile(checkpoint, first, outputs, pool, &head);
    pool->ParallelFor(count * tiles, [&](Index item, int worker) {
      const Index window = item / tiles;
      const Index start = item % tiles * kTokenTile;
      const Index positions = std::min(kTokenTile, scored - start);
      MatrixView logits =
          scratch[static_cast<std::size_t>(worker)].topLeftCorner(positions, outputs);
      MultiplyTransposed(rows.middleRows(window * tokens + start, positions), head.topRows(outputs),
                         logits);
      const std::span<const TokenId> ids = windows.window(first_window + window);
      for (Index i = 0; i < positions; ++i) {
        RunningLoss& loss = running[static_cast<std::size_t>(window * scored + start + i)];
        const float* row = logits.data() + i * logits.outerStride();
        loss.Add(std::span(row, static_cast<std::size_t>(outputs)));
        const Index target = ids[static_cast<std::size_t>(start + i + 1)] - first;
        if (target >= 0 && target < outputs) loss.target = static_cast<double>(row[target]);
      }
    });
  }
  for (Index window = 0; window < count; ++window) {
    losses->push_back(
        LaneSum(static_cast<std::size_t>(scored),
                [&](std::size_t i) {
                  return running[static_cast<std::size_t>(window * scored) + i].Loss();
                }) /
        static_cast<double>(scored));
  }
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

std::vector<double> WindowLosses(const Checkpoint& checkpoint, const TokenWindows& windows,
                                 ThreadPool* pool, HiddenStates* states,
                                 const std::function<void(Index)>& on_windows_done) {
  DAQ_CHECK(
      states->windows() == windows.count() && states->window_tokens() == windows.window_tokens,
      "states of these windows");
  const VectorF norm = checkpoint.ReadVector(kFinalNormName);
  const Index batch = BatchWindows(windows.window_tokens);
  std::vector<double> losses;
  for (Index first = 0; first < windows.count(); first += batch) {
    const Index count = std::min(batch, windows.count() - first);
    MatrixView rows = states->rows(first, count);
    pool->ParallelFor(count, [&](Index window, int) {
      MatrixView own = rows.middleRows(window * windows.window_tokens, windows.window_tokens);
      RmsNorm(own, norm, checkpoint.config().rms_norm_eps, own);
    });
    BatchLosses(checkpoint, windows, first, rows, pool, &losses);
    states->Release(first, count);
    if (on_windows_done) on_windows_done(count);
  }
  return losses;
}

std::uint64_t WindowLossesBytes(const ModelConfig& config, Index window_tokens, int threads) {
  const Index head = std::min(kVocabularyTile, config.vocab_size) * config.hidden_size;
  const auto floats =
      static_cast<std::uint64_t>(head + threads * kTokenTile * kVocabularyTile) * sizeof(float);
  return floats + static_cast<std::uint64_t>(BatchWindows(window_tokens) * window_tokens) *
                      sizeof(RunningLoss);
}

}  // namespace daq
