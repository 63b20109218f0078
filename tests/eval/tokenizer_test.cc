#include "eval/tokenizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/sha256.h"
#include "eval/text_rows.h"
#include "tests/support/input_error.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

namespace fs = std::filesystem;
using Ids = std::vector<TokenId>;

fs::path Source(const std::string& below) { return fs::path(DAQ_SOURCE_DIR) / below; }

// The folder of a tokenizer that the goldens name; it may be absent.
fs::path ModelFolder(const std::string& name) {
  if (name == "demo") return Source("demo/model");
  return SharedPath(name == "llama" ? "data/llama" : "data/models/" + name);
}

// A tokenizer as the goldens' settings describe it: tokenizer.model with other files beside it.
Tokenizer MakeTokenizer(const nlohmann::json& settings) {
  const fs::path model = ModelFolder(settings.at("model"));
  const TemporaryFolder folder;
  fs::copy_file(model / "tokenizer.model", folder.path() / "tokenizer.model");
  for (const auto& [name, content] : settings.at("files").items()) {
    WriteText(folder.path(), name, content.is_null() ? ReadFile(model / name) : content.dump());
  }
  return Tokenizer(folder.path());
}

class TokenizerTest : public testing::Test {
 protected:
  TokenizerTest() {
    fs::copy_file(Source("demo/model/tokenizer.model"), folder_.path() / "tokenizer.model");
  }

  Tokenizer With(const std::string& config) const {
    WriteText(folder_.path(), "tokenizer_config.json", config);
    return Tokenizer(folder_.path());
  }
  std::string Error() const {
    return InputErrorOf(folder_.path(), [&] { const Tokenizer tokenizer(folder_.path()); });
  }

  const TemporaryFolder folder_;
};

TEST_F(TokenizerTest, OneBosByDefault) {
  const Tokenizer tokenizer(folder_.path());
  EXPECT_TRUE(tokenizer.add_bos());
  EXPECT_EQ(tokenizer.bos_id(), 1);
  EXPECT_EQ(tokenizer.vocab_size(), 2048);
  EXPECT_EQ(tokenizer.model_sha256(), Sha256Hex(ReadFile(folder_.path() / "tokenizer.model")));
  EXPECT_EQ(tokenizer.Encode(""), Ids{1});
  EXPECT_EQ(tokenizer.Encode("</s>"), (Ids{1, 2}));
  EXPECT_EQ(tokenizer.Encode("<s><unk>"), (Ids{1, 1, 0}))
      << "a BOS written out does not replace the one put before";
}

TEST_F(TokenizerTest, BosAndEosAsTheConfigSays) {
  EXPECT_EQ(With(R"({"add_bos_token": false, "add_eos_token": true})").Encode("<unk>"),
            (Ids{0, 2}));
  EXPECT_EQ(With(R"({"bos_token": "</s>"})").Encode(""), Ids{2});
  EXPECT_EQ(With(R"({"add_bos_token": false, "bos_token": null})").bos_id(), -1);
  EXPECT_EQ(With(R"({"pad_token": "<new>"})").Encode("<new>"), (Ids{1, 2048}))
      << "a token without an id comes after all pieces";
}

TEST_F(TokenizerTest, MovesKeepTheModel) {
  Tokenizer first(folder_.path());
  const Ids ids = first.Encode("some text");
  Tokenizer second = std::move(first);
  EXPECT_EQ(second.Encode("some text"), ids);
}

TEST_F(TokenizerTest, InvalidUtf8IsRefused) {
  const Tokenizer tokenizer(folder_.path());
  EXPECT_EQ(InputErrorOf("-", [&] { tokenizer.Encode("abc\xff"); }),
            "text: byte 3 is not valid UTF-8");
  EXPECT_EQ(InputErrorOf("-", [&] { tokenizer.Encode("\xed\xa0\x80"); }),
            "text: byte 0 is not valid UTF-8")
      << "a surrogate";
  EXPECT_EQ(InputErrorOf("-", [&] { tokenizer.Encode("a\xe2\x96"); }),
            "text: byte 1 is not valid UTF-8")
      << "cut";
}

TEST_F(TokenizerTest, MissingModelsAreNamed) {
  fs::remove(folder_.path() / "tokenizer.model");
  EXPECT_EQ(Error(),
            "tokenizer.model: tokenizer: expected a SentencePiece model in tokenizer.model, found "
            "no such file");
  WriteText(folder_.path(), "tokenizer.json", R"({"added_tokens": []})");
  EXPECT_EQ(Error(),
            "tokenizer.model: tokenizer: expected a SentencePiece model in tokenizer.model, found "
            "only tokenizer.json, which is "
            "not read here (use pre-tokenised windows: the protocol `ids`)");
  EXPECT_EQ(InputErrorOf("-", [] { const Tokenizer tokenizer("/no/such"); }),
            "/no/such: no such folder");
}

TEST_F(TokenizerTest, DamagedModelsAreRefusedInSilence) {
  const std::string model = ReadFile(folder_.path() / "tokenizer.model");
  const std::string cannot =
      "tokenizer.model: expected a SentencePiece model, but it cannot be read";
  // The last one ends in a self_test_data that fails: "hi" is not the one piece "zz". The library
  // prints that.
  const std::string self_test("\x22\x0a\x0a\x08\x0a\x02hi\x12\x02zz", 12);
  // A character map (eval/character_map.h) that the library would follow to anywhere.
  const std::string wild_map(
      "\x1a\x0c\x12\x0a\x04\0\0\0\xff\xff\xff\x7f"
      "b\0",
      14);
  for (const std::string& damaged :
       {std::string(), std::string("not a model"), model.substr(0, model.size() / 2),
        std::string(100, '\0'), model + self_test, model + wild_map}) {
    WriteText(folder_.path(), "tokenizer.model", damaged);
    testing::internal::CaptureStderr();
    const std::string error = Error();
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "") << "the library writes its own lines";
    EXPECT_EQ(error, cannot);
  }
}

TEST_F(TokenizerTest, AnAddedTokenCannotMoveAPiece) {
  WriteText(folder_.path(), "tokenizer_config.json",
            R"({"added_tokens_decoder": {"7": {"content": "<s>"}}})");
  EXPECT_EQ(InputErrorOf("-", [&] { const Tokenizer tokenizer(folder_.path()); }),
            folder_.path().string() +
                ": added token \"<s>\": expected its id 1 in tokenizer.model, found 7");
}

TEST(GoldenTokenizerTest, AwkwardTextsUnderEverySetting) {
  const nlohmann::json goldens =
      nlohmann::json::parse(ReadFile(Source("tests/golden/tokenizer/small.json")));
  int compared = 0;
  for (const nlohmann::json& settings : goldens.at("settings")) {
    if (!fs::exists(ModelFolder(settings.at("model")))) continue;
    const Tokenizer tokenizer = MakeTokenizer(settings);
    for (const nlohmann::json& item : settings.at("cases")) {
      EXPECT_EQ(tokenizer.Encode(item.at("text").get<std::string>()), item.at("ids").get<Ids>())
          << settings.at("name") << ": " << item.at("text");
      ++compared;
    }
  }
  EXPECT_GT(compared, 100) << "the demo model's settings need nothing from elsewhere";
}

// LLaMA's own tests: texts and ids without BOS, divided by lines.
TEST(GoldenTokenizerTest, TheTextsOfLlamaCpp) {
  DAQ_REQUIRE_SHARED("data/tokenizers/llama-spm.inp");
  const Tokenizer tokenizer(SharedPath("data/llama"));
  std::string texts = ReadFile(SharedPath("data/tokenizers/llama-spm.inp"));
  std::istringstream ids_of_texts(ReadFile(SharedPath("data/tokenizers/llama-spm.out")));
  const std::string divider = "\n__ggml_vocab_test__\n";
  int compared = 0;
  for (std::size_t at = 0; at < texts.size(); ++compared) {
    const std::size_t end = std::min(texts.find(divider, at), texts.size());
    Ids expected = {1};
    std::string line;
    std::getline(ids_of_texts, line);
    std::istringstream numbers(line);
    for (TokenId id = 0; numbers >> id;) expected.push_back(id);
    EXPECT_EQ(tokenizer.Encode(std::string_view(texts).substr(at, end - at)), expected)
        << texts.substr(at, end - at);
    at = end + divider.size();
  }
  EXPECT_EQ(compared, 46);
}

std::vector<std::string> WholeTexts(const std::string& name) {
  if (name == "wikitext2-test")
    return {JoinRows(ReadTextRows(SharedPath("data/wikitext2/test.rows.jsonl")), "\n\n")};
  if (name == "c4-validation") {
    const TextRows rows = ReadTextRows(SharedPath("data/c4/validation-shard0-first1025.json.gz"));
    std::vector<std::string> documents;
    for (Index index = 0; index < rows.count(); ++index) documents.emplace_back(rows.row(index));
    return documents;
  }
  // The first four million characters; a character's later bytes are 10xxxxxx.
  std::string text = ReadFile(SharedPath("data/wikitext2/wiki.train.tokens"));
  std::size_t end = 0;
  for (int characters = 0; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0U) != 0x80U && ++characters > 4000000) break;
  }
  text.resize(end);
  return {text};
}

TEST(SlowGoldenTokenizerTest, WholeTexts) {
  DAQ_REQUIRE_SHARED("data/wikitext2/wiki.train.tokens");
  const nlohmann::json small =
      nlohmann::json::parse(ReadFile(Source("tests/golden/tokenizer/small.json")));
  const nlohmann::json whole =
      nlohmann::json::parse(ReadFile(Source("tests/golden/tokenizer/whole.json")));
  for (const nlohmann::json& golden : whole.at("texts")) {
    SCOPED_TRACE(golden.dump());
    const auto settings = std::find_if(
        small.at("settings").begin(), small.at("settings").end(),
        [&](const nlohmann::json& item) { return item.at("name") == golden.at("settings"); });
    const Tokenizer tokenizer = MakeTokenizer(*settings);
    Ids ids;
    for (const std::string& text : WholeTexts(golden.at("text"))) {
      const Ids part = tokenizer.Encode(text);
      ids.insert(ids.end(), part.begin(), part.end());
    }
    EXPECT_EQ(ids.size(), golden.at("count").get<std::size_t>());
    EXPECT_EQ(Sha256Hex(std::as_bytes(std::span(ids))), golden.at("sha256").get<std::string>());
  }
}

}  // namespace
}  // namespace daq
