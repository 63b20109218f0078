#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace daq {

// The shape and storage of a small LLaMA with random weights.
struct TinyCheckpointSpec {
  int hidden_size = 32;
  int intermediate_size = 48;
  int num_layers = 2;
  int num_heads = 4;
  int num_kv_heads = 2;
  int head_dim = 8;
  int vocab_size = 64;
  int max_position_embeddings = 128;
  double rms_norm_eps = 1e-5;
  double rope_theta = 10000;
  bool tie_word_embeddings = false;  // true: no lm_head.weight is written
  std::string dtype = "F16";         // "F32", "F16" or "BF16"
  int shards = 1;                    // > 1: model-0000K-of-0000N.safetensors and an index
  std::uint64_t seed = 0;
};

// One tensor, its values already rounded to the stored type.
struct TinyTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::vector<float> values;  // row-major
};

// All tensors of the checkpoint. A tensor's values depend on its name, its shape, dtype and seed
// only: norms are near 1, matrices bell-shaped with standard deviation 1 / sqrt(columns), so that
// logits are of order one.
std::vector<TinyTensor> MakeTinyTensors(const TinyCheckpointSpec& spec);

// The config.json text of `spec`, as transformers 4 writes it.
std::string TinyConfigJson(const TinyCheckpointSpec& spec);

// Writes config.json and the weights into `folder`, which is made if missing. There is no
// tokenizer.
void WriteTinyCheckpoint(const std::filesystem::path& folder, const TinyCheckpointSpec& spec);

// `values` in the stored bytes of `dtype` ("F32", "F16", "BF16"), rounded to nearest, ties to even.
std::string EncodeFloats(const std::vector<float>& values, const std::string& dtype);

// Writes one safetensors file of tensors that share a dtype.
void WriteSafetensors(const std::filesystem::path& path, const std::vector<TinyTensor>& tensors,
                      const std::string& dtype);

// Writes a safetensors file from its raw parts, for files that are wrong on purpose. The length
// field says header.size().
void WriteRawSafetensors(const std::filesystem::path& path, const std::string& header,
                         const std::string& data);

}  // namespace daq
