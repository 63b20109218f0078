#include "tests/support/tiny_checkpoint.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace daq {
namespace {

static_assert(std::endian::native == std::endian::little);

// SplitMix64: the same numbers with every compiler and library.
class Generator {
 public:
  Generator(std::uint64_t seed, const std::string& name)
      : state_(seed * 0x9E3779B97F4A7C15ULL + 1) {
    for (const char letter : name)
      state_ = (state_ ^ static_cast<unsigned char>(letter)) * 0x100000001B3ULL;
  }

  // Mean 0, standard deviation 1: the sum of 12 uniform numbers less 6.
  double Bell() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(Next() >> 11U) * 0x1p-53;
    return sum;
  }

 private:
  std::uint64_t Next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27U)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31U);
  }

  std::uint64_t state_;
};

std::uint16_t ToF16(float value) {
  return std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
}

std::uint16_t ToBf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>((bits >> 16U) | 0x40U);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) >> 16U);
}

float Rounded(float value, const std::string& dtype) {
  if (dtype == "F16") return static_cast<float>(std::bit_cast<_Float16>(ToF16(value)));
  if (dtype == "BF16")
    return std::bit_cast<float>(static_cast<std::uint32_t>(ToBf16(value)) << 16U);
  return value;
}

TinyTensor MakeTensor(const TinyCheckpointSpec& spec, const std::string& name, int rows,
                      int columns) {
  const bool norm = columns == 0;
  const auto count = static_cast<std::size_t>(rows) * static_cast<std::size_t>(norm ? 1 : columns);
  TinyTensor tensor{name, {rows}, std::vector<float>(count)};
  if (!norm) tensor.shape.push_back(columns);
  Generator generator(spec.seed, name);
  for (float& value : tensor.values) {
    const double bell = generator.Bell();
    value = Rounded(
        static_cast<float>(norm ? 1 + 0.1 * bell : bell / std::sqrt(static_cast<double>(columns))),
        spec.dtype);
  }
  return tensor;
}

void WriteText(const std::filesystem::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  out << text;
  if (!out.flush()) throw std::runtime_error(fmt::format("cannot write {}", path.string()));
}

}  // namespace

std::vector<TinyTensor> MakeTinyTensors(const TinyCheckpointSpec& spec) {
  std::vector<TinyTensor> tensors;
  const auto add = [&](const std::string& name, int rows, int columns) {
    tensors.push_back(MakeTensor(spec, name, rows, columns));
  };
  const int query = spec.num_heads * spec.head_dim;
  const int key_value = spec.num_kv_heads * spec.head_dim;
  add("model.embed_tokens.weight", spec.vocab_size, spec.hidden_size);
  for (int layer = 0; layer < spec.num_layers; ++layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    add(prefix + "input_layernorm.weight", spec.hidden_size, 0);
    add(prefix + "self_attn.q_proj.weight", query, spec.hidden_size);
    add(prefix + "self_attn.k_proj.weight", key_value, spec.hidden_size);
    add(prefix + "self_attn.v_proj.weight", key_value, spec.hidden_size);
    add(prefix + "self_attn.o_proj.weight", spec.hidden_size, query);
    add(prefix + "post_attention_layernorm.weight", spec.hidden_size, 0);
    add(prefix + "mlp.gate_proj.weight", spec.intermediate_size, spec.hidden_size);
    add(prefix + "mlp.up_proj.weight", spec.intermediate_size, spec.hidden_size);
    add(prefix + "mlp.down_proj.weight", spec.hidden_size, spec.intermediate_size);
  }
  add("model.norm.weight", spec.hidden_size, 0);
  if (!spec.tie_word_embeddings) add("lm_head.weight", spec.vocab_size, spec.hidden_size);
  return tensors;
}

std::string TinyConfigJson(const TinyCheckpointSpec& spec) {
  const std::string torch_dtype = spec.dtype == "F32"   ? "float32"
                                  : spec.dtype == "F16" ? "float16"
                                                        : "bfloat16";
  const nlohmann::ordered_json config = {{"architectures", {"LlamaForCausalLM"}},
                                         {"model_type", "llama"},
                                         {"hidden_act", "silu"},
                                         {"hidden_size", spec.hidden_size},
                                         {"intermediate_size", spec.intermediate_size},
                                         {"num_hidden_layers", spec.num_layers},
                                         {"num_attention_heads", spec.num_heads},
                                         {"num_key_value_heads", spec.num_kv_heads},
                                         {"head_dim", spec.head_dim},
                                         {"vocab_size", spec.vocab_size},
                                         {"max_position_embeddings", spec.max_position_embeddings},
                                         {"rms_norm_eps", spec.rms_norm_eps},
                                         {"rope_theta", spec.rope_theta},
                                         {"tie_word_embeddings", spec.tie_word_embeddings},
                                         {"torch_dtype", torch_dtype}};
  return config.dump(2) + "\n";
}

std::string EncodeFloats(const std::vector<float>& values, const std::string& dtype) {
  const std::size_t width = dtype == "F32" ? 4 : 2;
  std::string bytes(values.size() * width, '\0');
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (dtype == "F32") {
      std::memcpy(&bytes[i * width], &values[i], width);
    } else if (dtype == "F16" || dtype == "BF16") {
      const std::uint16_t half = dtype == "F16" ? ToF16(values[i]) : ToBf16(values[i]);
      std::memcpy(&bytes[i * width], &half, width);
    } else {
      throw std::invalid_argument(dtype);
    }
  }
  return bytes;
}

void WriteRawSafetensors(const std::filesystem::path& path, const std::string& header,
                         const std::string& data) {
  const std::uint64_t length = header.size();
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  WriteText(path, file + header + data);
}

void WriteSafetensors(const std::filesystem::path& path, const std::vector<TinyTensor>& tensors,
                      const std::string& dtype) {
  nlohmann::ordered_json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string data;
  for (const TinyTensor& tensor : tensors) {
    const std::size_t begin = data.size();
    data += EncodeFloats(tensor.values, dtype);
    header[tensor.name] = {
        {"dtype", dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, data.size()}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8,
              ' ');  // the format pads the header so that tensors are aligned
  WriteRawSafetensors(path, text, data);
}

void WriteTinyCheckpoint(const std::filesystem::path& folder, const TinyCheckpointSpec& spec) {
  std::filesystem::create_directories(folder);
  WriteText(folder / "config.json", TinyConfigJson(spec));
  const std::vector<TinyTensor> tensors = MakeTinyTensors(spec);
  if (spec.shards == 1) {
    WriteSafetensors(folder / "model.safetensors", tensors, spec.dtype);
    return;
  }
  // Tensors are dealt out in runs, so that one block can lie across two shards as in real
  // checkpoints.
  nlohmann::ordered_json weight_map;
  const auto shards = static_cast<std::size_t>(spec.shards);
  for (std::size_t shard = 0; shard < shards; ++shard) {
    const auto first =
        tensors.begin() + static_cast<std::ptrdiff_t>(tensors.size() * shard / shards);
    const auto last =
        tensors.begin() + static_cast<std::ptrdiff_t>(tensors.size() * (shard + 1) / shards);
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", shard + 1, shards);
    const std::vector<TinyTensor> part(first, last);
    WriteSafetensors(folder / name, part, spec.dtype);
    for (const TinyTensor& tensor : part) weight_map[tensor.name] = name;
  }
  const nlohmann::ordered_json index = {{"metadata", nlohmann::ordered_json::object()},
                                        {"weight_map", weight_map}};
  WriteText(folder / "model.safetensors.index.json", index.dump(2));
}

}  // namespace daq
