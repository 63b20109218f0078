#include "eval/added_tokens.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/support/input_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

using Ids = std::map<std::string, std::int32_t>;

class TokenizerSettingsTest : public testing::Test {
 protected:
  TokenizerSettings Read(const std::string& config) const {
    WriteText(folder_.path(), "tokenizer_config.json", config);
    return ReadTokenizerSettings(folder_.path());
  }
  std::string Error(const std::string& config) const {
    return InputErrorOf(folder_.path(), [&] { Read(config); });
  }
  std::string ErrorIn(const std::string& name, const std::string& content) const {
    WriteText(folder_.path(), name, content);
    return InputErrorOf(folder_.path(), [&] { ReadTokenizerSettings(folder_.path()); });
  }

  const TemporaryFolder folder_;
};

TEST_F(TokenizerSettingsTest, DefaultsAreThoseOfLlamaTokenizer) {
  for (const bool with_file : {false, true}) {
    const TokenizerSettings settings =
        with_file ? Read("{}") : ReadTokenizerSettings(folder_.path());
    EXPECT_TRUE(settings.add_bos);
    EXPECT_FALSE(settings.add_eos);
    EXPECT_TRUE(settings.legacy);
    EXPECT_TRUE(settings.add_prefix_space);
    EXPECT_EQ(settings.bos, "<s>");
    EXPECT_EQ(settings.eos, "</s>");
    EXPECT_EQ(settings.unk, "<unk>");
    EXPECT_TRUE(settings.other_special.empty());
    EXPECT_TRUE(settings.added_ids.empty());
  }
}

TEST_F(TokenizerSettingsTest, EveryKeyIsRead) {
  const TokenizerSettings settings = Read(
      R"({"add_bos_token": false, "add_eos_token": true, "legacy": false, "add_prefix_space": false,
      "bos_token": {"__type": "AddedToken", "content": "<b>", "lstrip": false}, "eos_token": "<e>", "pad_token": "<p>", "sep_token": null,
      "additional_special_tokens": ["<x>", {"content": "<y>"}, "<x>"], "tokenizer_class": "LlamaTokenizerFast", "sp_model_kwargs": {},
      "model_max_length": 1000000000000000019884624838656, "added_tokens_decoder": {"0": {"content": "<unk>"}, "7": {"content": "<p>"}}})");
  EXPECT_FALSE(settings.add_bos);
  EXPECT_TRUE(settings.add_eos);
  EXPECT_FALSE(settings.legacy);
  EXPECT_FALSE(settings.add_prefix_space);
  EXPECT_EQ(settings.bos, "<b>");
  EXPECT_EQ(settings.eos, "<e>");
  EXPECT_EQ(settings.other_special, (std::vector<std::string>{"<p>", "<x>", "<y>"}));
  EXPECT_EQ(settings.added_ids, (Ids{{"<unk>", 0}, {"<p>", 7}}));
  EXPECT_TRUE(Read(R"({"legacy": null})").legacy);
}

TEST_F(TokenizerSettingsTest, OlderFilesCountOnlyWithoutADecoder) {
  WriteText(folder_.path(), "special_tokens_map.json",
            R"({"bos_token": {"content": "<b>"}, "additional_special_tokens": ["<y>"]})");
  WriteText(folder_.path(), "added_tokens.json", R"({"<p>": 32000})");
  WriteText(folder_.path(), "tokenizer.json",
            R"({"added_tokens": [{"id": 1, "content": "<s>", "special": true}], "model": {}})");
  const TokenizerSettings older =
      Read(R"({"bos_token": "<s>", "additional_special_tokens": ["<x>"]})");
  EXPECT_EQ(older.bos, "<b>") << "special_tokens_map.json comes later";
  EXPECT_EQ(older.other_special, (std::vector<std::string>{"<x>", "<y>"}));
  EXPECT_EQ(older.added_ids, (Ids{{"<p>", 32000}, {"<s>", 1}}));
  const TokenizerSettings newer = Read(R"({"added_tokens_decoder": {}})");
  EXPECT_EQ(newer.bos, "<s>");
  EXPECT_TRUE(newer.added_ids.empty());
}

TEST_F(TokenizerSettingsTest, WhatIsNotSupportedIsRefusedByName) {
  EXPECT_EQ(Error(R"({"tokenizer_class": "GPT2Tokenizer"})"),
            "tokenizer_config.json: tokenizer_class: expected \"LlamaTokenizer\", found "
            "\"GPT2Tokenizer\"");
  EXPECT_EQ(
      Error(R"({"split_special_tokens": true})"),
      "tokenizer_config.json: split_special_tokens: expected false (not supported), found true");
  EXPECT_EQ(Error(R"({"sp_model_kwargs": {"enable_sampling": true}})"),
            "tokenizer_config.json: sp_model_kwargs: expected {} (not supported), found an object");
  EXPECT_EQ(Error(R"({"added_tokens_decoder": {"5": {"content": "x", "rstrip": true}}})"),
            "tokenizer_config.json: added_tokens_decoder.5.rstrip: expected false (not supported), "
            "found true");
  EXPECT_EQ(Error(R"({"bos_token": {"content": "x", "lstrip": true}})"),
            "tokenizer_config.json: bos_token.lstrip: expected false (not supported), found true");
}

TEST_F(TokenizerSettingsTest, MistakesAreNamed) {
  EXPECT_EQ(Error("{\n"),
            "tokenizer_config.json:1: not JSON: syntax error while parsing object key - unexpected "
            "end of input; expected "
            "string literal");
  EXPECT_EQ(Error(R"({"add_bos_token": 1})"),
            "tokenizer_config.json: add_bos_token: expected true or false, found 1");
  EXPECT_EQ(Error(R"({"add_bos_token": null})"),
            "tokenizer_config.json: add_bos_token: expected true or false, found nothing");
  EXPECT_EQ(Error(R"({"bos_token": ""})"),
            "tokenizer_config.json: bos_token: expected a token that is not empty, found \"\"");
  EXPECT_EQ(Error(R"({"bos_token": 5})"),
            "tokenizer_config.json: bos_token: expected a token that is not empty, found 5");
  EXPECT_EQ(Error(R"({"bos_token": null})"),
            "tokenizer_config.json: bos_token: expected a token, as add_bos_token is true, found "
            "nothing");
  EXPECT_EQ(Error(R"({"eos_token": null, "add_eos_token": true})"),
            "tokenizer_config.json: eos_token: expected a token, as add_eos_token is true, found "
            "nothing");
  EXPECT_EQ(
      Error(R"({"unk_token": null, "legacy": false})"),
      "tokenizer_config.json: unk_token: expected a token, as legacy is false, found nothing");
  EXPECT_EQ(
      Error(R"({"additional_special_tokens": "x"})"),
      "tokenizer_config.json: additional_special_tokens: expected a list of tokens, found \"x\"");
  EXPECT_EQ(Error(R"({"additional_special_tokens": [3]})"),
            "tokenizer_config.json: additional_special_tokens: expected a token that is not empty, "
            "found 3");
  for (const char* key : {"x", "-1", "1.0", "", "99999999999"}) {
    EXPECT_EQ(
        Error(std::string(R"({"added_tokens_decoder": {")") + key + R"(": {"content": "x"}}})"),
        std::string("tokenizer_config.json: added_tokens_decoder.") + key +
            ": expected token ids as keys, found an object");
  }
  EXPECT_EQ(Error(R"({"added_tokens_decoder": {"5": {"content": "x"}, "6": {"content": "x"}}})"),
            "tokenizer_config.json: added_tokens_decoder.6: expected the id 5 of \"x\" again, "
            "found an object");
}

TEST_F(TokenizerSettingsTest, MistakesInOlderFilesAreNamed) {
  EXPECT_EQ(ErrorIn("added_tokens.json", R"({"x": "y"})"),
            "added_tokens.json: x: expected an integer from 0 to 2147483647, found \"y\"");
  EXPECT_EQ(ErrorIn("added_tokens.json", "[]"), "added_tokens.json: expected an object, found []");
  WriteText(folder_.path(), "added_tokens.json", "{}");
  EXPECT_EQ(ErrorIn("special_tokens_map.json", R"({"pad_token": []})"),
            "special_tokens_map.json: pad_token: expected a token that is not empty, found []");
  WriteText(folder_.path(), "special_tokens_map.json", "{}");
  EXPECT_EQ(ErrorIn("tokenizer.json", "{}"),
            "tokenizer.json: added_tokens: expected a list of tokens, found nothing");
  EXPECT_EQ(
      ErrorIn("tokenizer.json", R"({"added_tokens": [{"content": "x"}]})"),
      "tokenizer.json: added_tokens.id: expected an integer from 0 to 2147483647, found nothing");
}

// The pieces with '|' between them, added tokens in brackets with their id.
std::string Split(const Ids& ids, std::string_view text) {
  std::string result;
  for (const auto& piece : AddedTokenSplitter(ids).Split(text)) {
    if (!result.empty()) result += '|';
    result += piece.id ? "[" + std::string(piece.text) + "=" + std::to_string(*piece.id) + "]"
                       : std::string(piece.text);
  }
  return result;
}

TEST(AddedTokenSplitterTest, FindsTheLongestTokenFromLeftToRight) {
  const Ids ids = {{"<s>", 1}, {"<s", 2}, {"blowing", 3}, {"lower", 4}, {"aa", 5}};
  EXPECT_EQ(Split(ids, ""), "");
  EXPECT_EQ(Split(ids, "plain"), "plain");
  EXPECT_EQ(Split(ids, "<s>"), "[<s>=1]");
  EXPECT_EQ(Split(ids, "a<s>b<s"), "a|[<s>=1]|b|[<s=2]");
  EXPECT_EQ(Split(ids, "<s<s>>"), "[<s=2]|[<s>=1]|>");
  EXPECT_EQ(Split(ids, "blower"), "b|[lower=4]")
      << "a longer token that begins earlier but does not end";
  EXPECT_EQ(Split(ids, "aaaaa"), "[aa=5]|[aa=5]|a");
  EXPECT_EQ(Split({}, "<s>"), "<s>");
}

}  // namespace
}  // namespace daq
