#pragma once
#include <filesystem>
#include <optional>

#include "base/matrix.h"

namespace daq {

// Llama-3.1's frequency bands (transformers' rope type "llama3").
struct Llama3RopeScaling {
  double factor = 8;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double original_max_position_embeddings = 8192;
};

// Rotary position embedding: angle of pair i at position p = p * inverse_frequency[i].
struct RopeConfig {
  double theta = 10000;
  double linear_factor = 1;  // type "linear": frequencies are divided by it
  std::optional<Llama3RopeScaling> llama3;
};

// The shape of a LLaMA decoder, as config.json states it.
struct ModelConfig {
  Index hidden_size = 0;
  Index intermediate_size = 0;
  Index num_layers = 0;
  Index num_heads = 0;
  Index num_kv_heads = 0;  // divides num_heads; fewer than num_heads = grouped-query attention
  Index head_dim = 0;      // even; hidden_size / num_heads unless the file says otherwise
  Index vocab_size = 0;
  Index max_position_embeddings =
      0;  // as stated; 0 where absent. Longer windows are evaluated, with a warning
  double rms_norm_eps = 1e-6;
  bool tie_word_embeddings = false;
  RopeConfig rope;

  Index query_size() const { return num_heads * head_dim; }
  Index key_value_size() const { return num_kv_heads * head_dim; }
};

// Reads config.json of either generation of transformers. Throws InputError naming file, key,
// expected and found for anything missing, of a wrong type, inconsistent, or not supported (another
// architecture or activation, attention or MLP bias, a rope type other than default, linear,
// llama3, a quantised checkpoint).
ModelConfig ReadModelConfig(const std::filesystem::path& config_json);

}  // namespace daq
