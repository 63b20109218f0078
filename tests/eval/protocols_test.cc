#include "eval/protocols.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "eval/id_windows.h"
#include "eval/window_cutting.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

// A stand-in for a tokenizer: BOS = 1, then each byte is its own id. Counts the calls for each
// text.
struct ByteTokenizer {
  std::vector<TokenId> operator()(std::string_view text) {
    ++calls[std::string(text)];
    std::vector<TokenId> ids = {1};
    for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
    return ids;
  }
  std::map<std::string, int> calls;
};

TextRows RowsOfLengths(const std::vector<std::size_t>& lengths) {
  TextRows rows;
  char letter = 'a';
  for (const std::size_t length : lengths) rows.Append(std::string(length, letter++));
  return rows;
}

TEST(CutTextTest, CutsDisjointWindowsAndDropsTheRest) {
  const TokenWindows windows = CutText("abcdefg", ByteTokenizer(), 3, std::nullopt, "x.txt");
  EXPECT_EQ(windows.window_tokens, 3);
  EXPECT_EQ(windows.ids,
            (std::vector<TokenId>{1, 'a', 'b', 'c', 'd', 'e'}));  // BOS in the first window only
  EXPECT_EQ(windows.count(), 2);
  EXPECT_EQ(windows.text_sha256, Sha256Hex(std::string_view("abcdefg")));
  EXPECT_EQ(windows.source, "x.txt");
  // The ids as little-endian int32, written out by hand.
  const std::string bytes("\1\0\0\0a\0\0\0b\0\0\0c\0\0\0d\0\0\0e\0\0\0", 24);
  EXPECT_EQ(windows.ids_sha256, Sha256Hex(std::string_view(bytes)));
}

TEST(CutTextTest, KeepsTheFirstWindowsIfAsked) {
  EXPECT_EQ(CutText("abcdefg", ByteTokenizer(), 2, 1, "x.txt").ids, (std::vector<TokenId>{1, 'a'}));
  EXPECT_EQ(CutText("abcdefg", ByteTokenizer(), 2, 100, "x.txt").count(), 4);
}

TEST(CutTextTest, RefusesATextShorterThanAWindow) {
  EXPECT_EQ(CutText("abc", ByteTokenizer(), 4, std::nullopt, "x.txt").count(), 1);
  EXPECT_EQ(MessageOf([] { CutText("abc", ByteTokenizer(), 5, std::nullopt, "x.txt"); }),
            "x.txt: the text is shorter than one window: 4 tokens, a window has 5");
}

TEST(RandomCropsTest, DrawsDocumentsThenOffsetsInTheAuthorsOrder) {
  // By hand from random.Random(0): randint(0, 3) and, for a document that is long enough,
  // randint(0, ids - 5).
  ByteTokenizer bytes;
  const TextRows rows = RowsOfLengths({2, 9, 1, 12});
  PythonRandom random(0);
  const TokenWindows windows = RandomCrops(rows, std::ref(bytes), 4, 6, random, "x.jsonl");
  PythonRandom expected(0);
  std::vector<TokenId> ids;
  std::string text;
  while (ids.size() < 24) {
    const Index document = expected.RandInt(0, 3);
    const std::vector<TokenId> all = ByteTokenizer()(rows.row(document));
    if (all.size() < 4) continue;
    if (all.size() == 4) FAIL() << "the case must not draw a document of one window exactly";
    const auto begin = expected.RandInt(0, static_cast<std::int64_t>(all.size()) - 4 - 1);
    ids.insert(ids.end(), all.begin() + begin, all.begin() + begin + 4);
    text += rows.row(document);
  }
  EXPECT_EQ(windows.ids, ids);
  EXPECT_EQ(windows.text_sha256, Sha256Hex(text));
  for (const auto& [row, calls] : bytes.calls) EXPECT_EQ(calls, 1) << "tokenised again: " << row;
}

TEST(RandomCropsTest, FewerCropsAreTheFirstOnes) {
  const TextRows rows = RowsOfLengths({2, 9, 1, 12, 30});
  PythonRandom first(0);
  PythonRandom second(0);
  const TokenWindows many = RandomCrops(rows, ByteTokenizer(), 4, 20, first, "x.jsonl");
  const TokenWindows few = RandomCrops(rows, ByteTokenizer(), 4, 3, second, "x.jsonl");
  EXPECT_EQ(few.ids, std::vector<TokenId>(many.ids.begin(), many.ids.begin() + 12));
}

TEST(RandomCropsTest, RefusesADocumentOfExactlyOneWindow) {
  PythonRandom random(0);
  EXPECT_EQ(
      MessageOf([&] { RandomCrops(RowsOfLengths({3}), ByteTokenizer(), 4, 1, random, "x.jsonl"); }),
      "x.jsonl:1: a document of exactly 4 tokens was drawn, for which the protocol is not defined "
      "(randint(0, -1) in its "
      "authors' code); use other window_tokens than 4");
}

TEST(RandomCropsTest, RefusesDocumentsThatAreAllTooShort) {
  PythonRandom random(0);
  EXPECT_EQ(MessageOf([&] {
              RandomCrops(RowsOfLengths({3, 7, 0}), ByteTokenizer(), 9, 1, random, "x.jsonl");
            }),
            "x.jsonl: none of the 3 documents has the 9 tokens of a window: the longest has 8");
}

TokenWindows HalfScored(std::string_view text, Index window_tokens, std::optional<TokenId> bos = 1,
                        std::optional<Index> max_windows = std::nullopt) {
  return CutHalfScoredChunks(text, ByteTokenizer(), bos, window_tokens, max_windows, "x.raw");
}

TEST(HalfScoredChunksTest, BosStandsFirstAndTheSecondHalfIsScored) {
  const TokenWindows windows = HalfScored("abcdefghijk", 5);
  EXPECT_EQ(windows.ids, (std::vector<TokenId>{1, 'a', 'b', 'c', 'd', 1, 'f', 'g', 'h', 'i'}));
  EXPECT_EQ(windows.scored, (std::vector<ScoredRange>{{2, 4}, {2, 4}}));
  EXPECT_EQ(windows.scored_tokens(), 4);
  EXPECT_EQ(windows.target(1, 3), 'i');
  EXPECT_EQ(HalfScored("abcdefghijk", 4).scored_range(0), (ScoredRange{2, 3}));
  EXPECT_EQ(HalfScored("abcdefghijk", 5, std::nullopt).ids[5], 'e') << "a tokenizer without BOS";
  EXPECT_EQ(HalfScored("abcdefghijk", 5, 1, 1).count(), 1);
}

TEST(HalfScoredChunksTest, FiveHundredAndTwelveTokensScoreTwoHundredAndFiftyFive) {
  const ScoredRange range = HalfScored(std::string(1024, 'x'), 512).scored_range(0);
  EXPECT_EQ(range, (ScoredRange{256, 511}));
  EXPECT_EQ(range.count(), 255);
}

TEST(HalfScoredChunksTest, RefusesLessThanTwoChunksAndWindowsWithNothingToScore) {
  EXPECT_EQ(HalfScored("abcdefg", 4).count(), 2);
  EXPECT_EQ(MessageOf([] { HalfScored("abcdef", 4); }),
            "x.raw: the text is shorter than two windows of 4 tokens, which llama-perplexity "
            "needs: 7 tokens");
  EXPECT_EQ(MessageOf([] { HalfScored("abcdef", 2); }),
            "x.raw: window_tokens: expected 3 or more, for half of a window is scored, found 2");
}

class IdWindowsTest : public testing::Test {
 protected:
  TokenWindows Read(std::string_view content, std::optional<Index> max_windows = std::nullopt) {
    return ReadIdWindows(WriteText(folder_.path(), "w.json", content), max_windows, 10);
  }
  std::string Message(std::string_view content) {
    const std::string message = MessageOf([&] { Read(content); });
    const std::string prefix = folder_.path().string() + "/";
    return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
  }

  TemporaryFolder folder_;
};

TEST_F(IdWindowsTest, ReadsWindows) {
  const std::string content = "{\"windows\": [[0, 9, 3], [4, 5, 6]]}\n";
  const TokenWindows windows = Read(content);
  EXPECT_EQ(windows.window_tokens, 3);
  EXPECT_EQ(windows.ids, (std::vector<TokenId>{0, 9, 3, 4, 5, 6}));
  EXPECT_EQ(windows.text_sha256, Sha256Hex(content));
  EXPECT_EQ(Read(content, 1).ids, (std::vector<TokenId>{0, 9, 3}));
  EXPECT_EQ(Read(content, 5).count(), 2);
}

TEST_F(IdWindowsTest, RefusesEverythingElse) {
  EXPECT_EQ(Message("[[1, 2]]"), "w.json: expected an object, found a list");
  EXPECT_EQ(Message("{}"), "w.json: windows: expected a list of one window or more, found nothing");
  EXPECT_EQ(Message("{\"window\": []}"), "w.json: window: expected no key but windows, found []");
  EXPECT_EQ(Message("{\"windows\": [[1, 2]], \"seed\": 1}"),
            "w.json: seed: expected no key but windows, found 1");
  EXPECT_EQ(Message("{\"windows\": [[1, 2]], \"windows\": [[3, 4]]}"),
            "w.json:1: windows: expected a key once, found it twice");
  EXPECT_EQ(Message("{\"windows\": []}"),
            "w.json: windows: expected a list of one window or more, found []");
  EXPECT_EQ(Message("{\"windows\": 3}"),
            "w.json: windows: expected a list of one window or more, found 3");
  EXPECT_EQ(Message("{\"windows\": [1, 2]}"),
            "w.json: windows[0]: expected a list of ids, found 1");
  EXPECT_EQ(Message("{\"windows\": [[1]]}"), "w.json: windows[0]: expected 2 ids or more, found 1");
  EXPECT_EQ(Message("{\"windows\": [[1, 2], [1, 2, 3]]}"),
            "w.json: windows[1]: expected 2 ids as in windows[0], found 3");
  EXPECT_EQ(Message("{\"windows\": [[1, 10]]}"),
            "w.json: windows[0][1]: expected an id in 0..9, found 10");
  EXPECT_EQ(Message("{\"windows\": [[1, 2], [-1, 2]]}"),
            "w.json: windows[1][0]: expected an id in 0..9, found -1");
  EXPECT_EQ(Message("{\"windows\": [[1, 2.0]]}"),
            "w.json: windows[0][1]: expected an id in 0..9, found 2.0");
  EXPECT_EQ(Message("{\"windows\": [[1, 18446744073709551617]]}").substr(0, 51),
            "w.json: windows[0][1]: expected an id in 0..9, foun");
  // The syntax is eval/json_file's to check: here only that its errors come through.
  EXPECT_TRUE(Message("{\"windows\":\n [[1, 2],\n [3, ]]}").starts_with("w.json:3: not JSON: "));
  EXPECT_EQ(Message("{\"windows\": [[1, true]]}"),
            "w.json: windows[0][1]: expected an id in 0..9, found true");
}

TEST(ProtocolsTest, AreFoundByTheirIds) {
  std::vector<std::string> ids;
  for (const ProtocolInfo& info : EvaluationProtocols()) {
    ids.emplace_back(info.id);
    EXPECT_EQ(FindEvaluationProtocol(info.id), &info);
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"gptq-wikitext2", "gptq-c4", "gptq-c4-new",
                                           "llamacpp-512", "lm-eval-wikitext", "ids"}));
  EXPECT_EQ(FindEvaluationProtocol("gptq"), nullptr);
}

TEST(ProtocolsTest, IdsNeedNoTokenizer) {
  const TemporaryFolder folder;
  const auto path = WriteText(folder.path(), "w.json", "{\"windows\": [[1, 2, 3]]}");
  const TokenWindows windows =
      MakeEvaluationWindows({.protocol = "ids", .file = path, .max_windows = {}}, nullptr, 4);
  EXPECT_EQ(windows.window_tokens, 3) << "the file's own, whatever the request says";
}

WindowRequest Request(const nlohmann::json& golden) {
  return {.protocol = golden.at("protocol"),
          .file = SharedPath(golden.at("file").get<std::string>()),
          .window_tokens = golden.at("window_tokens"),
          .max_windows = {}};
}

nlohmann::json Goldens() {
  return nlohmann::json::parse(
      ReadFile(std::filesystem::path(DAQ_SOURCE_DIR) / "tests/golden/protocols/protocols.json"));
}

// Real tokenizers on real texts, against an independent Python implementation of the protocols.
TEST(SlowGoldenProtocolsTest, WindowsEqualTheScripts) {
  DAQ_REQUIRE_SHARED("data/c4");
  for (const nlohmann::json& golden : Goldens()) {
    SCOPED_TRACE(golden.dump());
    const Tokenizer tokenizer(SharedPath(golden.at("tokenizer").get<std::string>()));
    const TokenWindows windows =
        MakeEvaluationWindows(Request(golden), &tokenizer, tokenizer.vocab_size());
    EXPECT_EQ(windows.count(), golden.at("windows").get<Index>());
    EXPECT_EQ(windows.text_sha256, golden.at("text_sha256"));
    EXPECT_EQ(windows.ids_sha256, golden.at("ids_sha256"));
    EXPECT_EQ(std::vector<TokenId>(windows.ids.begin(), windows.ids.begin() + 8),
              golden.at("first_ids").get<std::vector<TokenId>>());
  }
}

std::filesystem::path GoldenFile(const std::string& name) {
  constexpr std::string_view kShared = "shared:";
  return name.starts_with(kShared) ? SharedPath(name.substr(kShared.size()))
                                   : std::filesystem::path(DAQ_SOURCE_DIR) / name;
}

// Of ranges as the script writes them: begin and end of each window, little-endian int32.
std::string HashOf(const std::vector<ScoredRange>& scored) {
  std::vector<std::int32_t> numbers;
  for (const ScoredRange& range : scored) {
    numbers.push_back(static_cast<std::int32_t>(range.begin));
    numbers.push_back(static_cast<std::int32_t>(range.end));
  }
  return Sha256Hex(std::as_bytes(std::span(numbers)));
}

// Ids and scored positions against lm-evaluation-harness's own functions and a Python
// implementation of llama.cpp's.
void CompareScoredWindows(bool of_the_repository) {
  const nlohmann::json goldens = nlohmann::json::parse(ReadFile(
      std::filesystem::path(DAQ_SOURCE_DIR) / "tests/golden/protocols/scored_windows.json"));
  ASSERT_EQ(goldens.size(), 16U);
  for (const nlohmann::json& golden : goldens) {
    const std::string file = golden.at("file");
    if (file.starts_with("shared:") == of_the_repository) continue;
    SCOPED_TRACE(golden.dump());
    const Tokenizer tokenizer(GoldenFile(golden.at("tokenizer")));
    WindowRequest request{.protocol = golden.at("protocol"),
                          .file = GoldenFile(file),
                          .window_tokens = golden.at("window_tokens"),
                          .max_windows = {}};
    if (!golden.at("max_windows").is_null())
      request.max_windows = golden.at("max_windows").get<Index>();
    const TokenWindows windows = MakeEvaluationWindows(request, &tokenizer, tokenizer.vocab_size());
    EXPECT_EQ(windows.count(), golden.at("windows").get<Index>());
    EXPECT_EQ(windows.scored_tokens(), golden.at("scored_tokens").get<Index>());
    EXPECT_EQ(windows.text_sha256, golden.at("text_sha256"));
    EXPECT_EQ(windows.ids_sha256, golden.at("ids_sha256"));
    EXPECT_EQ(HashOf(windows.scored), golden.at("scored_sha256"));
    EXPECT_EQ(windows.text_size.has_value(), golden.contains("words"));
    if (windows.text_size) {
      EXPECT_EQ(windows.text_size->words, golden.at("words"));
      EXPECT_EQ(windows.text_size->bytes, golden.at("bytes"));
    }
  }
}

TEST(GoldenProtocolsTest, ScoredWindowsEqualTheScripts) { CompareScoredWindows(true); }

TEST(SlowGoldenProtocolsTest, ScoredWindowsOfWikiText2EqualTheScripts) {
  DAQ_REQUIRE_SHARED("data/wikitext2");
  DAQ_REQUIRE_SHARED("data/llama");
  CompareScoredWindows(false);
}

TEST(ProtocolsTest, MoreWindowsThanThereAreAreRefused) {
  const std::filesystem::path source = DAQ_SOURCE_DIR;
  const Tokenizer tokenizer(source / "demo/model");
  const TemporaryFolder folder;
  const auto ids = WriteText(folder.path(), "w.json", "{\"windows\": [[1, 2], [3, 0]]}");
  const auto pages = source / "tests/data/pages.raw";
  for (const auto& [protocol, file] : {std::pair<std::string, std::filesystem::path>{"ids", ids},
                                       {"gptq-wikitext2", pages},
                                       {"llamacpp-512", pages},
                                       {"lm-eval-wikitext", pages}}) {
    WindowRequest request{
        .protocol = protocol, .file = file, .window_tokens = 64, .max_windows = {}};
    const auto make = [&] {
      return MakeEvaluationWindows(request, &tokenizer, tokenizer.vocab_size());
    };
    const TokenWindows all = make();
    request.max_windows = all.count();
    EXPECT_EQ(make().ids, all.ids) << protocol;
    request.max_windows = all.count() + 1;
    EXPECT_EQ(MessageOf(make),
              fmt::format("{0}: max_windows: expected at most {1} windows of {2} tokens, all that "
                          "{0} has, found {3}",
                          file.string(), all.count(), all.window_tokens, all.count() + 1));
  }
  for (const std::string protocol : {"gptq-c4", "gptq-c4-new"}) {
    EXPECT_EQ(MessageOf([&] {
                MakeEvaluationWindows(
                    {.protocol = protocol, .file = ids, .window_tokens = 64, .max_windows = 257},
                    &tokenizer, tokenizer.vocab_size());
              }),
              ids.string() + ": max_windows: expected at most 256, the windows of " + protocol +
                  ", found 257");
  }
}

TEST(ProtocolsTest, RawTextsOfScoredWindowsAreChecked) {
  const Tokenizer tokenizer(std::filesystem::path(DAQ_SOURCE_DIR) / "demo/model");
  const TemporaryFolder folder;
  const auto message = [&](const std::string& protocol, const std::string& name,
                           const std::string& text) {
    const auto file = WriteText(folder.path(), name, text);
    const std::string found = MessageOf([&] {
      MakeEvaluationWindows({.protocol = protocol, .file = file, .max_windows = {}}, &tokenizer,
                            tokenizer.vocab_size());
    });
    EXPECT_TRUE(found.starts_with(file.string() + ": ")) << found;
    return found.substr(file.string().size() + 2);
  };
  EXPECT_EQ(message("lm-eval-wikitext", "a.raw", " = = Early years = = \nNo page."),
            "no page: expected a line such as \" = Title = \", at which a page begins");
  EXPECT_EQ(message("llamacpp-512", "a.raw", "The little fox."),
            "the text is shorter than two windows of 2048 tokens, which llama-perplexity needs: " +
                std::to_string(tokenizer.Encode("The little fox.").size()) + " tokens");
  for (const char* protocol : {"llamacpp-512", "lm-eval-wikitext"}) {
    EXPECT_EQ(message(protocol, "a.jsonl", "{\"text\": \" = A = \"}\n"),
              "expected a text named *.txt, *.raw or *.tokens");
  }
}

// The demo's tokenizer with other settings.
TEST(ProtocolsTest, TheTokenizersSettingsDecideOverBosAndPrefix) {
  const std::filesystem::path source = DAQ_SOURCE_DIR;
  const auto make = [&](const std::string& protocol, const std::string& settings) {
    const TemporaryFolder folder;
    WriteText(folder.path(), "tokenizer.model", ReadFile(source / "demo/model/tokenizer.model"));
    WriteText(folder.path(), "tokenizer_config.json", settings);
    const Tokenizer tokenizer(folder.path());
    return MakeEvaluationWindows({.protocol = protocol,
                                  .file = source / "tests/data/pages.raw",
                                  .window_tokens = 64,
                                  .max_windows = {}},
                                 &tokenizer, tokenizer.vocab_size());
  };
  const auto first_ids = [](const TokenWindows& windows, Index window) {
    return std::pair(windows.window(window)[0], windows.window(window)[1]);
  };
  const std::string file = (source / "tests/data/pages.raw").string();
  // BOS is 1 and EOS 2; the text is "▁▁" "=" or begins so, with other ids.
  EXPECT_EQ(make("llamacpp-512", "{}").window(1)[0], 1);
  const TokenWindows plain = make("llamacpp-512", R"({"add_bos_token": false})");
  EXPECT_NE(plain.window(0)[0], 1);
  EXPECT_NE(plain.window(1)[0], 1) << "nothing is replaced where the tokenizer adds no BOS";
  EXPECT_EQ(MessageOf([&] { make("llamacpp-512", R"({"add_eos_token": true})"); }),
            file +
                ": the tokenizer adds an EOS to a text, for which the protocol is not defined "
                "(llama-perplexity stops there)");
  EXPECT_EQ(first_ids(make("lm-eval-wikitext", "{}"), 0), (std::pair<TokenId, TokenId>(1, 1)))
      << "the prefix, then the tokenizer's own BOS";
  const TokenWindows prefixed = make("lm-eval-wikitext", R"({"add_bos_token": false})");
  EXPECT_EQ(prefixed.window(0)[0], 1);
  EXPECT_NE(prefixed.window(0)[1], 1);
  EXPECT_EQ(make("lm-eval-wikitext", R"({"add_bos_token": false, "bos_token": null})").window(0)[0],
            2)
      << "EOS stands in for a BOS that is not there";
  EXPECT_EQ(MessageOf([&] {
              make("lm-eval-wikitext",
                   R"({"add_bos_token": false, "bos_token": null, "eos_token": null})");
            }),
            file +
                ": the tokenizer has neither a BOS nor an EOS, one of which has to stand before "
                "the first token of a page");
}

// The windows that the methods' authors' own programs were run on.
TEST(GoldenProtocolsTest, WikiText2OfTheDemoModelEqualsTheStoredWindows) {
  DAQ_REQUIRE_SHARED("goldens/methods/eval_ids.json");
  const Tokenizer tokenizer(SharedPath("demo-model/model"));
  const WindowRequest request = {.protocol = "gptq-wikitext2",
                                 .file = SharedPath("data/wikitext2/wiki.test.raw"),
                                 .window_tokens = 512,
                                 .max_windows = 128};
  const WindowRequest stored = {
      .protocol = "ids", .file = SharedPath("goldens/methods/eval_ids.json"), .max_windows = {}};
  EXPECT_EQ(MakeEvaluationWindows(request, &tokenizer, 2048).ids,
            MakeEvaluationWindows(stored, nullptr, 2048).ids);
}

TEST(SlowGoldenProtocolsTest, FewerC4WindowsAreTheFirstOnes) {
  DAQ_REQUIRE_SHARED("data/c4");
  const Tokenizer tokenizer(SharedPath("data/llama"));
  for (const std::string protocol : {"gptq-c4", "gptq-c4-new"}) {
    WindowRequest request = {.protocol = protocol,
                             .file = SharedPath("data/c4/validation-shard0-first1025.json.gz"),
                             .window_tokens = 512,
                             .max_windows = 7};
    const TokenWindows few = MakeEvaluationWindows(request, &tokenizer, 32000);
    request.max_windows.reset();
    const TokenWindows all = MakeEvaluationWindows(request, &tokenizer, 32000);
    EXPECT_EQ(few.ids, std::vector<TokenId>(all.ids.begin(), all.ids.begin() + 7 * 512))
        << protocol;
  }
}

TEST(SlowGoldenProtocolsTest, TooFewC4DocumentsAreRefused) {
  DAQ_REQUIRE_SHARED("data/c4");
  const Tokenizer tokenizer(SharedPath("data/llama"));
  const auto file = SharedPath("data/c4/validation-shard0-first1025.json.gz");
  WindowRequest request = {
      .protocol = "gptq-c4-new", .file = file, .window_tokens = 4096, .max_windows = {}};
  // 574,341 tokens are 140 windows of 4096.
  EXPECT_EQ(MessageOf([&] { MakeEvaluationWindows(request, &tokenizer, 32000); }),
            file.string() +
                ": the first 1100 documents are needed, found 1025, which give 140 of 256 windows "
                "of 4096 tokens");
  request.max_windows = 140;
  EXPECT_EQ(MakeEvaluationWindows(request, &tokenizer, 32000).count(), 140);
}

TEST(GoldenProtocolsTest, ATokenizerOfAnotherModelIsRefused) {
  DAQ_REQUIRE_SHARED("data/llama");
  const Tokenizer tokenizer(SharedPath("data/llama"));
  const TemporaryFolder folder;
  const auto file = WriteText(folder.path(), "a.txt", "Hello world 123");
  const WindowRequest request = {
      .protocol = "gptq-wikitext2", .file = file, .window_tokens = 2, .max_windows = {}};
  EXPECT_EQ(MessageOf([&] { MakeEvaluationWindows(request, &tokenizer, 512); }),
            file.string() +
                ": token 1 of window 0 has id 15043, the model has ids 0..511: the tokenizer is "
                "not the model's");
}

}  // namespace
}  // namespace daq
