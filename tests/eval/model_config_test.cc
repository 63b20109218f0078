#include "eval/model_config.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/input_error.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {
namespace {

using nlohmann::json;

class ModelConfigTest : public testing::Test {
 protected:
  ModelConfig Read(const json& config) const {
    return ReadModelConfig(WriteText(folder_.path(), "config.json", config.dump()));
  }
  // The error for the least valid config with `changes` made to it; a null in `changes` removes a
  // key.
  std::string Error(const json& changes) const {
    json config = least_;
    config.merge_patch(changes);
    return InputErrorOf(folder_.path(), [&] { Read(config); });
  }
  ModelConfig ReadWith(const json& changes) const {
    json config = least_;
    config.merge_patch(changes);
    return Read(config);
  }

  const TemporaryFolder folder_;
  const json least_ = {{"model_type", "llama"},  {"hidden_size", 64}, {"intermediate_size", 176},
                       {"num_hidden_layers", 2}, {"vocab_size", 512}, {"num_attention_heads", 4}};
};

TEST_F(ModelConfigTest, DefaultsAreThoseOfLlamaConfig) {
  const ModelConfig config = Read(least_);
  EXPECT_EQ(config.hidden_size, 64);
  EXPECT_EQ(config.intermediate_size, 176);
  EXPECT_EQ(config.num_layers, 2);
  EXPECT_EQ(config.vocab_size, 512);
  EXPECT_EQ(config.num_heads, 4);
  EXPECT_EQ(config.num_kv_heads, 4);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.query_size(), 64);
  EXPECT_EQ(config.max_position_embeddings, 0);
  EXPECT_EQ(config.rms_norm_eps, 1e-6);
  EXPECT_FALSE(config.tie_word_embeddings);
  EXPECT_EQ(config.rope.theta, 10000);
  EXPECT_EQ(config.rope.linear_factor, 1);
  EXPECT_FALSE(config.rope.llama3.has_value());
}

TEST_F(ModelConfigTest, EveryKeyIsRead) {
  const ModelConfig config = ReadWith({{"architectures", {"LlamaForCausalLM"}},
                                       {"num_key_value_heads", 2},
                                       {"head_dim", 32},
                                       {"max_position_embeddings", 131072},
                                       {"rms_norm_eps", 1e-5},
                                       {"rope_theta", 500000},
                                       {"tie_word_embeddings", true},
                                       {"attention_bias", false},
                                       {"mlp_bias", false},
                                       {"hidden_act", "silu"},
                                       {"pretraining_tp", 2},
                                       {"torch_dtype", "float16"},
                                       {"dtype", "bfloat16"}});
  EXPECT_EQ(config.num_kv_heads, 2);
  EXPECT_EQ(config.head_dim, 32) << "differs from hidden_size / heads";
  EXPECT_EQ(config.query_size(), 128);
  EXPECT_EQ(config.key_value_size(), 64);
  EXPECT_EQ(config.max_position_embeddings, 131072);
  EXPECT_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_EQ(config.rope.theta, 500000);
  EXPECT_TRUE(config.tie_word_embeddings);
}

TEST_F(ModelConfigTest, NullIsAsGoodAsAbsent) {
  json config = least_;
  for (const char* key :
       {"num_key_value_heads", "head_dim", "rope_scaling", "rope_parameters", "quantization_config",
        "rms_norm_eps", "rope_theta", "architectures", "hidden_act", "attention_bias"}) {
    config[key] = nullptr;
  }
  const ModelConfig read = Read(config);
  EXPECT_EQ(read.num_kv_heads, 4);
  EXPECT_EQ(read.head_dim, 16);
  EXPECT_EQ(read.rope.theta, 10000);
}

TEST_F(ModelConfigTest, LinearRopeOfBothGenerations) {
  for (const char* type : {"type", "rope_type"}) {
    const ModelConfig old =
        ReadWith({{"rope_theta", 20000.0}, {"rope_scaling", {{type, "linear"}, {"factor", 2.5}}}});
    EXPECT_EQ(old.rope.theta, 20000);
    EXPECT_EQ(old.rope.linear_factor, 2.5);
  }
  const ModelConfig fresh = ReadWith(
      {{"rope_parameters", {{"rope_type", "linear"}, {"rope_theta", 20000.0}, {"factor", 2.5}}}});
  EXPECT_EQ(fresh.rope.theta, 20000);
  EXPECT_EQ(fresh.rope.linear_factor, 2.5);
}

TEST_F(ModelConfigTest, Llama3RopeOfBothGenerations) {
  const json scaling = {{"rope_type", "llama3"},
                        {"factor", 32.0},
                        {"low_freq_factor", 1.5},
                        {"high_freq_factor", 4.5},
                        {"original_max_position_embeddings", 4096}};
  json parameters = scaling;
  parameters["rope_theta"] = 500000.0;
  for (const json& changes : {json{{"rope_theta", 500000.0}, {"rope_scaling", scaling}},
                              json{{"rope_parameters", parameters}}}) {
    const ModelConfig config = ReadWith(changes);
    EXPECT_EQ(config.rope.theta, 500000);
    EXPECT_EQ(config.rope.linear_factor, 1);
    ASSERT_TRUE(config.rope.llama3.has_value());
    EXPECT_EQ(config.rope.llama3->factor, 32);
    EXPECT_EQ(config.rope.llama3->low_freq_factor, 1.5);
    EXPECT_EQ(config.rope.llama3->high_freq_factor, 4.5);
    EXPECT_EQ(config.rope.llama3->original_max_position_embeddings, 4096);
  }
}

TEST_F(ModelConfigTest, DefaultRopeParametersOfTransformers5) {
  EXPECT_EQ(ReadWith({{"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 100000.0}}}})
                .rope.theta,
            100000);
  EXPECT_EQ(
      ReadWith({{"rope_theta", 7.0}, {"rope_parameters", {{"rope_type", "default"}}}}).rope.theta,
      7);
  EXPECT_EQ(ReadWith({{"rope_theta", 7.0},
                      {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 7.0}}}})
                .rope.theta,
            7);
}

TEST_F(ModelConfigTest, OtherRopesAreRefusedByName) {
  EXPECT_EQ(Error({{"rope_scaling", {{"rope_type", "yarn"}, {"factor", 2.0}}}}),
            "config.json: rope_scaling.rope_type: expected one of default, linear, llama3, found "
            "\"yarn\"");
  EXPECT_EQ(
      Error({{"rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}}}),
      "config.json: rope_scaling.type: expected one of default, linear, llama3, found \"dynamic\"");
  EXPECT_EQ(Error({{"rope_parameters", {{"rope_type", "longrope"}}}}),
            "config.json: rope_parameters.rope_type: expected one of default, linear, llama3, "
            "found \"longrope\"");
  EXPECT_EQ(Error({{"rope_parameters", {{"rope_theta", 1.0}}}}),
            "config.json: rope_parameters.rope_type: expected one of default, linear, llama3, "
            "found nothing");
  EXPECT_EQ(Error({{"rope_scaling", "linear"}}),
            "config.json: rope_scaling: expected an object, found \"linear\"");
  EXPECT_EQ(Error({{"partial_rotary_factor", 0.5}}),
            "config.json: partial_rotary_factor: expected 1, found 0.5");
  EXPECT_EQ(
      Error({{"rope_parameters", {{"rope_type", "default"}, {"partial_rotary_factor", 0.5}}}}),
      "config.json: rope_parameters.partial_rotary_factor: expected 1, found 0.5");
}

TEST_F(ModelConfigTest, RopesThatContradictThemselvesAreRefused) {
  EXPECT_EQ(
      Error({{"rope_scaling", {{"rope_type", "linear"}, {"type", "default"}, {"factor", 2.0}}}}),
      "config.json: rope_scaling.type: expected the same as rope_type, \"linear\", found "
      "\"default\"");
  EXPECT_EQ(Error({{"rope_theta", 10000.0},
                   {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 5.0}}}}),
            "config.json: rope_parameters.rope_theta: expected the same as rope_theta at the top "
            "level, 10000, found 5.0");
  EXPECT_EQ(Error({{"rope_scaling", {{"rope_type", "default"}}},
                   {"rope_parameters", {{"rope_type", "default"}}}}),
            "config.json: rope_scaling: expected rope_parameters or rope_scaling, found both");
}

TEST_F(ModelConfigTest, RopeNumbersAreChecked) {
  EXPECT_EQ(Error({{"rope_theta", 0}}),
            "config.json: rope_theta: expected a number above 0, found 0");
  EXPECT_EQ(Error({{"rope_theta", "1e4"}}),
            "config.json: rope_theta: expected a number above 0, found \"1e4\"");
  EXPECT_EQ(Error({{"rope_scaling", {{"type", "linear"}}}}),
            "config.json: rope_scaling.factor: expected a number above 0, found nothing");
  EXPECT_EQ(Error({{"rope_scaling", {{"type", "linear"}, {"factor", -2}}}}),
            "config.json: rope_scaling.factor: expected a number above 0, found -2");
  EXPECT_EQ(Error({{"rope_scaling",
                    {{"rope_type", "llama3"},
                     {"factor", 8.0},
                     {"low_freq_factor", 1.0},
                     {"high_freq_factor", 4.0}}}}),
            "config.json: rope_scaling.original_max_position_embeddings: expected a number above "
            "0, found nothing");
  EXPECT_EQ(Error({{"rope_scaling",
                    {{"rope_type", "llama3"},
                     {"factor", 8.0},
                     {"low_freq_factor", 4.0},
                     {"high_freq_factor", 4.0},
                     {"original_max_position_embeddings", 8192}}}}),
            "config.json: rope_scaling.high_freq_factor: expected a number above low_freq_factor, "
            "4, found 4.0");
}

TEST_F(ModelConfigTest, WhatIsNotSupportedIsRefusedByName) {
  EXPECT_EQ(Error({{"model_type", "mistral"}}),
            "config.json: model_type: expected \"llama\", found \"mistral\"");
  EXPECT_EQ(Error({{"model_type", nullptr}}),
            "config.json: model_type: expected a string, found nothing");
  EXPECT_EQ(Error({{"architectures", {"LlamaForSequenceClassification"}}}),
            "config.json: architectures: expected [\"LlamaForCausalLM\"], found "
            "[\"LlamaForSequenceClassification\"]");
  EXPECT_EQ(Error({{"attention_bias", true}}),
            "config.json: attention_bias: expected false (projections with a bias are not "
            "supported), found true");
  EXPECT_EQ(Error({{"mlp_bias", true}}),
            "config.json: mlp_bias: expected false (projections with a bias are not supported), "
            "found true");
  EXPECT_EQ(Error({{"hidden_act", "gelu"}}),
            "config.json: hidden_act: expected \"silu\", found \"gelu\"");
  EXPECT_EQ(Error({{"quantization_config", {{"quant_method", "gptq"}}}}),
            "config.json: quantization_config: expected a checkpoint that is not quantised yet, "
            "found an object");
}

TEST_F(ModelConfigTest, ShapesAreChecked) {
  EXPECT_EQ(Error({{"hidden_size", nullptr}}),
            "config.json: hidden_size: expected an integer from 1 to 16777216, found nothing");
  EXPECT_EQ(Error({{"hidden_size", 0}}),
            "config.json: hidden_size: expected an integer from 1 to 16777216, found 0");
  EXPECT_EQ(Error({{"vocab_size", 32000.0}}),
            "config.json: vocab_size: expected an integer from 1 to 16777216, found 32000.0");
  EXPECT_EQ(Error({{"num_hidden_layers", -1}}),
            "config.json: num_hidden_layers: expected an integer from 1 to 65536, found -1");
  EXPECT_EQ(
      Error({{"num_key_value_heads", 3}}),
      "config.json: num_key_value_heads: expected a divisor of num_attention_heads 4, found 3");
  EXPECT_EQ(
      Error({{"num_key_value_heads", 8}}),
      "config.json: num_key_value_heads: expected a divisor of num_attention_heads 4, found 8");
  EXPECT_EQ(Error({{"head_dim", 15}}),
            "config.json: head_dim: expected an even number that times num_attention_heads 4 is at "
            "most 16777216, found 15");
  EXPECT_EQ(Error({{"hidden_size", 66}}),
            "config.json: hidden_size: expected an even multiple of num_attention_heads 4, or "
            "head_dim given, found 66");
  EXPECT_EQ(Error({{"hidden_size", 60}}),
            "config.json: hidden_size: expected an even multiple of num_attention_heads 4, or "
            "head_dim given, found 60")
      << "a head of 15 does not rotate";
  EXPECT_EQ(Error({{"rms_norm_eps", -1e-6}}),
            "config.json: rms_norm_eps: expected a number of at least 0, found -1e-06");
  EXPECT_EQ(Error({{"tie_word_embeddings", "yes"}}),
            "config.json: tie_word_embeddings: expected true or false, found \"yes\"");
}

TEST_F(ModelConfigTest, HugeSizesCannotOverflowProducts) {
  EXPECT_EQ(Error({{"intermediate_size", 9223372036854775807}}),
            "config.json: intermediate_size: expected an integer from 1 to 16777216, found "
            "9223372036854775807");
  EXPECT_EQ(Error({{"num_attention_heads", 16777216}, {"head_dim", 16777216}}),
            "config.json: head_dim: expected an even number that times num_attention_heads "
            "16777216 is at most 16777216, "
            "found 16777216");
}

TEST_F(ModelConfigTest, SyntaxErrorsAndAbsentFilesAreNamed) {
  EXPECT_EQ(
      InputErrorOf(
          folder_.path(),
          [&] { ReadModelConfig(WriteText(folder_.path(), "config.json", "{\n  \"a\": 1,\n}")); }),
      "config.json:3: not JSON: syntax error while parsing object key - unexpected '}'; expected "
      "string literal");
  EXPECT_EQ(InputErrorOf(folder_.path(), [&] { ReadModelConfig(folder_.path() / "none.json"); }),
            "none.json: No such file or directory");
  EXPECT_EQ(InputErrorOf(folder_.path(),
                         [&] { ReadModelConfig(WriteText(folder_.path(), "config.json", "[]")); }),
            "config.json: expected an object, found []");
}

TEST_F(ModelConfigTest, TheTestCheckpointsOfTransformers5AreRead) {
  DAQ_REQUIRE_SHARED("goldens/mqa-f32/config.json");
  const ModelConfig config = ReadModelConfig(SharedPath("goldens/mqa-f32/config.json"));
  EXPECT_EQ(config.num_layers, 3);
  EXPECT_EQ(config.num_kv_heads, 1);
  EXPECT_EQ(config.rope.theta, 100000);
  EXPECT_EQ(config.rms_norm_eps, 1e-5);
  EXPECT_EQ(config.max_position_embeddings, 256);
}

}  // namespace
}  // namespace daq
