#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "eval/token_windows.h"
#include "harness/stop_rule.h"
#include "methods/layer_report.h"
#include "methods/recipe.h"

namespace daq {

// Bumped whenever a change of the code changes the bits of a result, so that old cells are not
// mistaken for new ones.
inline constexpr int kNumericsVersion = 7;

// How the predictions of a model differ from full precision's, over all scored tokens
// (docs/metrics.md). KL(full precision || model) is in nats.
struct TokenComparison {
  double kl_mean = 0;
  double kl_p50 = 0;  // percentiles
  double kl_p90 = 0;
  double kl_p99 = 0;
  double top1_agreement = 0;  // the share of tokens with the same most probable next token, 0 to 1
};

// Of an evaluation that could stop early: its rule, and what it used.
struct EvaluationStop {
  StopRule rule;
  std::vector<Index> window_indices;  // of the text's windows those that were scored, increasing
  Index windows_of_text = 0;
};

// What one evaluation of one model gave. Losses are means over a window's scored tokens, in nats.
struct EvaluationResult {
  std::string name;      // the config's name of the evaluation
  std::string protocol;  // docs/protocols.md
  std::string dataset;   // the file's name
  Index window_tokens = 0;
  std::string text_sha256;
  std::string ids_sha256;
  Index tokens = 0;  // scored
  std::vector<double> window_losses;
  // Of each window, where windows differ in it; else empty.
  std::vector<Index> window_tokens_scored = {};
  std::optional<EvaluationStop> stop = {};
  // Where the protocol has numbers by words and bytes of the text.
  std::optional<TextSize> text_size = {};
  // With token metrics; the comparison not for full precision itself.
  bool token_metrics = false;
  std::vector<float> token_losses = {};  // of every scored token, window by window, in nats
  std::optional<TokenComparison> comparison = {};
};

// What a recipe was calibrated with.
struct CalibrationRecord {
  std::string protocol;
  std::string dataset;  // the file's name
  Index windows = 0;
  Index window_tokens = 0;
  std::optional<Index> documents = {};    // for a protocol that counts them
  std::optional<std::int64_t> seed = {};  // for a protocol that draws at random
  std::string text_sha256 = {};
  std::string ids_sha256;
};

// One cell of the matrix: a model, a recipe (with its calibration) and an evaluation.
// docs/results.md has the fields.
struct CellRecord {
  std::string id;
  std::string error;  // empty for a cell that is done
  std::string model;
  std::string model_sha256;
  std::string model_dtype;  // "F16": what the checkpoint stores
  Recipe recipe;
  // Of the linear layers, everything stored; none while it is not known, as in a cell that failed.
  std::optional<double> bits_per_weight = {};
  std::optional<CalibrationRecord> calibration;
  std::optional<CalibrationRecord> held_out = {};  // what layer reports measured errors on besides
  EvaluationResult evaluation;
  std::vector<LayerReport> layers;
  double quantize_seconds = 0;
  double evaluate_seconds = 0;
  std::uint64_t peak_rss_bytes = 0;
  nlohmann::ordered_json host;
  std::string version;
};

// The file of a cell's token losses beside its JSON file: little-endian float32, nothing else.
std::string TokenLossesFileName(const std::string& cell_id);

// The object of docs/results.md, with the one evaluation under `metrics`.
nlohmann::ordered_json ToJson(const CellRecord& cell);

// Of each window, from the number of its scored tokens: the weights of base/statistics.h.
std::vector<double> WindowWeights(const std::vector<Index>& scored_tokens);

// What tables call the format of a checkpoint's own weights: "f16".
std::string FullPrecisionFormat(const std::string& dtype);

// From the divergence of every scored token (one or more) and, of each window, the number of those
// with the same most probable next token.
TokenComparison CompareTokens(std::vector<float> token_kl,
                              const std::vector<Index>& top1_agreements);

}  // namespace daq
