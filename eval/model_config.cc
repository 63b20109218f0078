#include "eval/model_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "eval/json_file.h"

namespace daq {
namespace {

// No LLaMA comes near these. They keep every product of two sizes, in bytes, far inside 63 bits.
constexpr Index kMaxWidth = Index{1} << 24;  // hidden, intermediate, vocabulary, heads * head_dim
constexpr Index kMaxLayers = Index{1} << 16;
constexpr Index kMaxPositions = Index{1} << 40;

// What would change the computation and is not written here must be refused, or the numbers would
// be wrong.
void RefuseUnsupported(const JsonObject& config) {
  if (config.String("model_type") != "llama") config.Refuse("model_type", "\"llama\"");
  if (config.Has("architectures")) {
    const nlohmann::json& names = config.Value("architectures", "a list");
    // The second spelling is that of the first converted LLaMA-1 checkpoints.
    const bool llama =
        names.is_array() && std::any_of(names.begin(), names.end(), [](const nlohmann::json& name) {
          return name == "LlamaForCausalLM" || name == "LLaMAForCausalLM";
        });
    if (!llama) config.Refuse("architectures", "[\"LlamaForCausalLM\"]");
  }
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (config.Has(key) && config.Boolean(key))
      config.Refuse(key, "false (projections with a bias are not supported)");
  }
  if (config.Has("hidden_act") && config.String("hidden_act") != "silu")
    config.Refuse("hidden_act", "\"silu\"");
  if (config.Has("quantization_config")) {
    config.Refuse("quantization_config", "a checkpoint that is not quantised yet");
  }
}

// Part of a head that rotates; transformers reads it from either place.
void RefusePartialRotation(const JsonObject& object) {
  const char* key = "partial_rotary_factor";
  if (object.Has(key) && object.Number(key, 0) != 1) object.Refuse(key, "1");
}

std::string RopeType(const JsonObject& rope) {
  const std::string expected = "one of default, linear, llama3";
  // "type" is the older name of the same key.
  const std::string key = rope.Has("rope_type") ? "rope_type" : "type";
  if (!rope.Has(key)) rope.Refuse("rope_type", expected);
  std::string type = rope.String(key);
  if (key == "rope_type" && rope.Has("type") && rope.String("type") != type) {
    rope.Refuse("type", fmt::format("the same as rope_type, \"{}\"", type));
  }
  if (type != "default" && type != "linear" && type != "llama3") rope.Refuse(key, expected);
  return type;
}

void ReadRopeScaling(const JsonObject& object, RopeConfig* rope) {
  const std::string type = RopeType(object);
  RefusePartialRotation(object);
  if (type == "linear") rope->linear_factor = object.NumberAbove("factor", 0);
  if (type != "llama3") return;
  Llama3RopeScaling scaling;
  scaling.factor = object.NumberAbove("factor", 0);
  scaling.low_freq_factor = object.NumberAbove("low_freq_factor", 0);
  scaling.high_freq_factor = object.NumberAbove("high_freq_factor", 0);
  scaling.original_max_position_embeddings =
      object.NumberAbove("original_max_position_embeddings", 0);
  if (scaling.high_freq_factor <= scaling.low_freq_factor) {
    object.Refuse("high_freq_factor",
                  fmt::format("a number above low_freq_factor, {}", scaling.low_freq_factor));
  }
  rope->llama3 = scaling;
}

// transformers 4: rope_theta and, where scaled, rope_scaling. transformers 5: both in
// rope_parameters.
RopeConfig ReadRope(const JsonObject& config) {
  RopeConfig rope;
  RefusePartialRotation(config);
  const bool has_theta = config.Has("rope_theta");
  if (has_theta) rope.theta = config.NumberAbove("rope_theta", 0);
  if (config.Has("rope_scaling") && config.Has("rope_parameters")) {
    throw InputError({config.file()}, "rope_scaling", "rope_parameters or rope_scaling", "both");
  }
  if (config.Has("rope_scaling")) ReadRopeScaling(config.Object("rope_scaling"), &rope);
  if (config.Has("rope_parameters")) {
    const JsonObject parameters = config.Object("rope_parameters");
    ReadRopeScaling(parameters, &rope);
    if (parameters.Has("rope_theta")) {
      const double theta = parameters.NumberAbove("rope_theta", 0);
      if (has_theta && theta != rope.theta) {
        parameters.Refuse("rope_theta",
                          fmt::format("the same as rope_theta at the top level, {}", rope.theta));
      }
      rope.theta = theta;
    }
  }
  return rope;
}

void ReadHeads(const JsonObject& object, ModelConfig* config) {
  config->num_heads = object.Integer("num_attention_heads", 1, kMaxWidth);
  config->num_kv_heads = config->num_heads;
  if (object.Has("num_key_value_heads")) {
    config->num_kv_heads = object.Integer("num_key_value_heads", 1, kMaxWidth);
    if (config->num_heads % config->num_kv_heads != 0) {
      object.Refuse("num_key_value_heads",
                    fmt::format("a divisor of num_attention_heads {}", config->num_heads));
    }
  }
  const std::string expected_dim =
      fmt::format("an even number that times num_attention_heads {} is at most {}",
                  config->num_heads, kMaxWidth);
  if (object.Has("head_dim")) {
    config->head_dim = object.Integer("head_dim", 1, kMaxWidth);
    if (config->head_dim % 2 != 0 || config->query_size() > kMaxWidth)
      object.Refuse("head_dim", expected_dim);
    return;
  }
  if (config->hidden_size % (2 * config->num_heads) != 0) {
    object.Refuse("hidden_size",
                  fmt::format("an even multiple of num_attention_heads {}, or head_dim given",
                              config->num_heads));
  }
  config->head_dim = config->hidden_size / config->num_heads;
}

}  // namespace

ModelConfig ReadModelConfig(const std::filesystem::path& config_json) {
  const nlohmann::json json = ReadJsonFile(config_json);
  const JsonObject object(json, config_json.string());
  RefuseUnsupported(object);
  ModelConfig config;
  config.hidden_size = object.Integer("hidden_size", 1, kMaxWidth);
  config.intermediate_size = object.Integer("intermediate_size", 1, kMaxWidth);
  config.num_layers = object.Integer("num_hidden_layers", 1, kMaxLayers);
  config.vocab_size = object.Integer("vocab_size", 1, kMaxWidth);
  if (object.Has("max_position_embeddings")) {
    config.max_position_embeddings = object.Integer("max_position_embeddings", 1, kMaxPositions);
  }
  ReadHeads(object, &config);
  if (object.Has("rms_norm_eps")) config.rms_norm_eps = object.Number("rms_norm_eps", 0);
  if (object.Has("tie_word_embeddings"))
    config.tie_word_embeddings = object.Boolean("tie_word_embeddings");
  config.rope = ReadRope(object);
  return config;
}

}  // namespace daq
