#include "eval/calibration.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/numpy_random.h"
#include "eval/shuffled_documents.h"
#include "eval/window_cutting.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

std::filesystem::path SourcePath(const std::string& below) {
  return std::filesystem::path(DAQ_SOURCE_DIR) / below;
}

// made_rows of tests/golden/protocols/make_protocol_goldens.py: 900 documents of 0 to 699 words
// with and without white space around them.
std::vector<std::string> MadeRows() {
  const std::vector<std::string> words = {
      "the", "boat",  "went", "far",   "away",   "from", "her",   "and", "a",        "little",
      "fox", "slept", "near", "river", "stones", "12",   "years", "ago", "caf\u00e9"};
  const std::array<std::string, 8> around = {"",       "",         " ",        "\n\n",
                                             "\u00a0", "\u3000\t", "\x1f\r\n", "\u200b"};
  std::uint64_t state = 1;
  const auto draw = [&state](std::size_t below) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<std::size_t>(state >> 33U) % below;
  };
  std::vector<std::string> rows;
  for (int row = 0; row < 900; ++row) {
    const std::size_t count = row % 50 == 0 ? 0 : draw(700);
    std::string text = around[draw(around.size())];
    for (std::size_t word = 0; word < count; ++word)
      text.append(word == 0 ? "" : " ").append(words[draw(words.size())]);
    rows.push_back(text + around[draw(around.size())]);
  }
  return rows;
}

// The first 100 of them, for what need not be large.
std::vector<std::string> FewMadeRows() {
  std::vector<std::string> rows = MadeRows();
  rows.resize(100);
  return rows;
}

std::filesystem::path WriteJsonLines(const std::filesystem::path& folder, const std::string& name,
                                     const std::vector<std::string>& rows) {
  std::string lines;
  for (const std::string& row : rows)
    lines += nlohmann::json({{"text", row}, {"meta", {}}}).dump() + "\n";
  return WriteText(folder, name, lines);
}

std::optional<Index> Optional(const nlohmann::json& golden, const char* key) {
  return golden.contains(key) ? std::optional<Index>(golden.at(key).get<Index>()) : std::nullopt;
}

class CalibrationTest : public testing::Test {
 protected:
  static const Tokenizer& DemoTokenizer() {
    static const Tokenizer tokenizer(SourcePath("demo/model"));
    return tokenizer;
  }

  CalibrationWindows Make(const CalibrationWindowRequest& request) const {
    return MakeCalibrationWindows(request, &DemoTokenizer(), DemoTokenizer().vocab_size());
  }

  // Compares the windows of a stored case with what an independent script gives for it.
  void ExpectGolden(const nlohmann::json& golden, const std::filesystem::path& file,
                    const Tokenizer& tokenizer) const {
    SCOPED_TRACE(golden.dump());
    const CalibrationWindows windows =
        MakeCalibrationWindows({.protocol = golden.at("protocol"),
                                .file = file,
                                .windows = Optional(golden, "windows"),
                                .documents = Optional(golden, "documents"),
                                .window_tokens = golden.at("window_tokens"),
                                .seed = Optional(golden, "seed")},
                               &tokenizer, tokenizer.vocab_size());
    EXPECT_EQ(windows.count(), golden.at("count").get<Index>());
    EXPECT_EQ(windows.all().text_sha256, golden.at("text_sha256"));
    EXPECT_EQ(windows.all().ids_sha256, golden.at("ids_sha256"));
    EXPECT_EQ(std::vector<TokenId>(windows.all().ids.begin(), windows.all().ids.begin() + 8),
              golden.at("first_ids").get<std::vector<TokenId>>());
    EXPECT_EQ(windows.all().source, file.string());
  }

  // Runs the stored cases whose text is `made`, or all others.
  void ExpectGoldens(bool made) const {
    const nlohmann::json goldens =
        nlohmann::json::parse(ReadFile(SourcePath("tests/golden/protocols/calibrations.json")));
    const auto file = WriteJsonLines(folder_.path(), "made.jsonl", MadeRows());
    int checked = 0;
    for (const nlohmann::json& golden : goldens) {
      if ((golden.at("file") == "made") != made) continue;
      if (made) {
        ExpectGolden(golden, file, DemoTokenizer());
      } else {
        ExpectGolden(golden, SharedPath(golden.at("file").get<std::string>()),
                     Tokenizer(SharedPath(golden.at("tokenizer").get<std::string>())));
      }
      ++checked;
    }
    EXPECT_GE(checked, 10);
  }

  TemporaryFolder folder_;
};

using GoldenCalibrationTest = CalibrationTest;
using SlowGoldenCalibrationTest = CalibrationTest;

TEST_F(GoldenCalibrationTest, WindowsOfMadeTextsEqualTheScripts) { ExpectGoldens(true); }

TEST_F(SlowGoldenCalibrationTest, WindowsOfRealTextsEqualTheScripts) {
  DAQ_REQUIRE_SHARED("data/c4");
  ExpectGoldens(false);
}

TEST_F(CalibrationTest, ProtocolsAreFoundByTheirIds) {
  std::vector<std::string> ids;
  for (const CalibrationProtocol& protocol : CalibrationProtocols()) {
    ids.emplace_back(protocol.id);
    EXPECT_EQ(FindCalibrationProtocol(protocol.id), &protocol);
    EXPECT_NE(protocol.windows.has_value(), protocol.documents.has_value()) << protocol.id;
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"awq-pile-val", "daq", "gptq-c4", "gptq-wikitext2",
                                           "text", "ids"}));
  EXPECT_EQ(FindCalibrationProtocol("gptq-c4-new"), nullptr);
}

// A size asked for by itself and as the first part of a larger one is the same in everything.
TEST_F(CalibrationTest, SizesAreNested) {
  const auto text = WriteJsonLines(folder_.path(), "made.jsonl", FewMadeRows());
  const auto ids = WriteText(folder_.path(), "w.json",
                             "{\"windows\": [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12], "
                             "[13, 14], [15, 16], [17, 18]]}");
  for (const CalibrationProtocol& protocol : CalibrationProtocols()) {
    if (!protocol.windows) continue;
    SCOPED_TRACE(protocol.id);
    CalibrationWindowRequest request = {.protocol = std::string(protocol.id),
                                        .file = protocol.id == "ids" ? ids : text,
                                        .windows = 9,
                                        .documents = {},
                                        .window_tokens = 100,
                                        .seed = protocol.seed};
    const CalibrationWindows largest = Make(request);
    ASSERT_EQ(largest.count(), 9);
    for (const Index count : {1, 2, 5, 8, 9}) {
      request.windows = count;
      const TokenWindows alone = Make(request).all();
      const TokenWindows first = largest.First(count);
      EXPECT_EQ(first.ids, alone.ids);
      EXPECT_EQ(first.window_tokens, alone.window_tokens);
      EXPECT_EQ(first.ids_sha256, alone.ids_sha256);
      EXPECT_EQ(first.text_sha256, alone.text_sha256);
      EXPECT_EQ(first.source, alone.source);
    }
  }
}

TEST_F(CalibrationTest, FewerDocumentsAreTheFirstOnes) {
  const auto file = WriteJsonLines(folder_.path(), "made.jsonl", MadeRows());
  CalibrationWindowRequest request = {.protocol = "awq-pile-val",
                                      .file = file,
                                      .windows = {},
                                      .documents = 60,
                                      .window_tokens = 512,
                                      .seed = 42};
  const CalibrationWindows many = Make(request);
  for (const Index documents : {5, 20, 59}) {
    request.documents = documents;
    const CalibrationWindows few = Make(request);
    EXPECT_EQ(few.all().ids, many.First(few.count()).ids) << documents;
  }
  // They are the stream that `daq` cuts to a number of windows.
  const CalibrationWindows daq = Make({.protocol = "daq",
                                       .file = file,
                                       .windows = many.count(),
                                       .documents = {},
                                       .window_tokens = 512,
                                       .seed = 42});
  EXPECT_EQ(daq.all().ids_sha256, many.all().ids_sha256);
}

TEST_F(CalibrationTest, DocumentsOf512TokensAreTakenAndLongerOnesPassedOver) {
  std::string longest;
  while (DemoTokenizer().Encode(longest).size() < 512) longest += longest.empty() ? "the" : " the";
  ASSERT_EQ(DemoTokenizer().Encode(longest).size(), 512U);
  const auto file = WriteJsonLines(folder_.path(), "a.jsonl", {longest, longest + " the", "fox"});
  const CalibrationWindows windows = Make({.protocol = "awq-pile-val",
                                           .file = file,
                                           .windows = {},
                                           .documents = 2,
                                           .window_tokens = 2,
                                           .seed = 42});
  EXPECT_EQ(windows.count(), (512 + static_cast<Index>(DemoTokenizer().Encode("fox").size())) / 2);
  EXPECT_EQ(
      MessageOf([&] {
        Make({.protocol = "awq-pile-val",
              .file = file,
              .windows = {},
              .documents = 3,
              .window_tokens = 2,
              .seed = 42});
      }),
      file.string() + ": the text has 2 documents of 1 to 512 tokens, fewer than the 3 asked for");
}

TEST_F(CalibrationTest, ShortTextsGiveAsManyWindowsAsTheyHave) {
  const auto file = WriteJsonLines(folder_.path(), "a.jsonl", {"the boat went", "far away", "fox"});
  for (const char* protocol : {"daq", "text"}) {
    CalibrationWindowRequest request = {
        .protocol = protocol, .file = file, .windows = 100, .documents = {}, .window_tokens = 2};
    if (request.protocol == "daq") request.seed = 0;
    const CalibrationWindows windows = Make(request);
    EXPECT_GE(windows.count(), 2) << protocol;
    EXPECT_LT(windows.count(), 100) << protocol;
  }
}

TEST_F(CalibrationTest, RefusesTextsThatHoldNoWindow) {
  const auto file = WriteJsonLines(folder_.path(), "a.jsonl", {"the boat", "", "far"});
  const auto message = [&](const std::string& protocol, std::optional<Index> windows,
                           std::optional<Index> documents, const std::filesystem::path& text) {
    std::string error = MessageOf([&] {
      Make({.protocol = protocol,
            .file = text,
            .windows = windows,
            .documents = documents,
            .window_tokens = 16,
            .seed = protocol == "text" ? std::nullopt : std::optional<std::int64_t>(0)});
    });
    const std::string prefix = folder_.path().string() + "/";
    return error.starts_with(prefix) ? error.substr(prefix.size()) : error;
  };
  // Three BOS and the words' pieces.
  const auto tokens =
      static_cast<Index>(DemoTokenizer().Encode("the boat").size() +
                         DemoTokenizer().Encode("").size() + DemoTokenizer().Encode("far").size());
  ASSERT_LT(tokens, 16);
  const std::string too_short =
      "a.jsonl: the documents of 1 to 512 tokens are shorter than one window: " +
      std::to_string(tokens) + " tokens in 3 of 3 documents, a window has 16";
  EXPECT_EQ(message("daq", 1, {}, file), too_short);
  EXPECT_EQ(message("awq-pile-val", {}, 3, file), too_short);
  EXPECT_EQ(message("awq-pile-val", {}, 4, file),
            "a.jsonl: the text has 3 documents of 1 to 512 tokens, fewer than the 4 asked for");
  EXPECT_TRUE(message("gptq-c4", 1, {}, file)
                  .starts_with("a.jsonl: none of the 3 documents has the 16 tokens of a window"));
  EXPECT_TRUE(
      message("text", 1, {}, file).starts_with("a.jsonl: the text is shorter than one window: "));
  std::string long_document = "the";
  for (int word = 0; word < 600; ++word) long_document += " the";
  const auto too_long = WriteJsonLines(folder_.path(), "b.jsonl", {long_document});
  EXPECT_EQ(message("daq", 1, {}, too_long),
            "b.jsonl: the documents of 1 to 512 tokens are shorter than one window: 0 tokens in 0 "
            "of 1 documents, a window has 16");
  EXPECT_EQ(message("daq", 1, {}, folder_.path() / "none.jsonl"),
            "none.jsonl: No such file or directory");
  const auto damaged = WriteText(folder_.path(), "c.jsonl", "{\"text\": 1}\n");
  EXPECT_EQ(message("daq", 1, {}, damaged), "c.jsonl:1: text: expected a string, found number");
}

TEST_F(CalibrationTest, ATokenizerOfAnotherModelIsRefused) {
  const auto file = WriteJsonLines(folder_.path(), "made.jsonl", FewMadeRows());
  for (const CalibrationProtocol& protocol : CalibrationProtocols()) {
    if (protocol.id == "ids") continue;
    const std::string error = MessageOf([&] {
      MakeCalibrationWindows(
          {.protocol = std::string(protocol.id),
           .file = file,
           .windows = protocol.windows,
           .documents = protocol.documents ? std::optional<Index>(9) : std::nullopt,
           .window_tokens = 100,
           .seed = protocol.seed},
          &DemoTokenizer(), 5);
    });
    EXPECT_TRUE(error.ends_with("the model has ids 0..4: the tokenizer is not the model's"))
        << error;
  }
}

// A stand-in for a tokenizer: each byte is its own id.
std::vector<TokenId> EncodeBytes(std::string_view text) {
  std::vector<TokenId> ids;
  for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
  return ids;
}

TEST(RandomCropsOfTextTest, DrawsTheFirstIdOfEachCrop) {
  PythonRandom random(3);
  const TokenWindows windows =
      RandomCropsOfText("abcdefghij", EncodeBytes, 4, 50, random, "x.jsonl");
  PythonRandom expected(3);
  for (Index crop = 0; crop < 50; ++crop) {
    // 10 ids: the last crop, which begins at 6, is never taken.
    const auto first = static_cast<TokenId>('a' + expected.RandInt(0, 5));
    EXPECT_EQ(windows.window(crop)[0], first);
    EXPECT_EQ(windows.window(crop)[3], first + 3);
  }
}

TEST(RandomCropsOfTextTest, RefusesATextOfOneWindow) {
  PythonRandom random(3);
  EXPECT_EQ(MessageOf([&] { RandomCropsOfText("abcd", EncodeBytes, 4, 1, random, "x.jsonl"); }),
            "x.jsonl: the text has 4 tokens: random crops of 4 need one more or longer");
  EXPECT_EQ(RandomCropsOfText("abcde", EncodeBytes, 4, 1, random, "x.jsonl").window(0)[0], 'a');
}

TEST(ShuffledDocumentsTest, GivesEveryRowOnceInNumPysOrder) {
  const TemporaryFolder folder;
  std::vector<std::string> rows;
  // More than two batches (512 and 2048 rows).
  for (int row = 0; row < 3000; ++row) rows.push_back(std::to_string(row));
  const auto file = WriteJsonLines(folder.path(), "a.jsonl", rows);
  ShuffledDocuments documents(file, 12345);
  EXPECT_EQ(documents.count(), 3000);
  std::string text;
  for (const std::int64_t row : NumpyPermutation(12345, 3000)) {
    ASSERT_TRUE(documents.Next(&text));
    EXPECT_EQ(text, std::to_string(row));
  }
  EXPECT_FALSE(documents.Next(&text));
  EXPECT_FALSE(documents.Next(&text));
}

}  // namespace
}  // namespace daq
