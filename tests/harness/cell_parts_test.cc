#include "harness/cell_parts.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "tests/support/input_error.h"
#include "tests/support/temporary_folder.h"

namespace daq {
namespace {

// Windows whose scores tell which they are, of three scored tokens each.
CellPart PartOf(Index first, Index count) {
  CellPart part{
      .range = {.first = first, .count = count}, .scores = {}, .seconds = 2, .peak_rss_bytes = 7};
  for (Index window = first; window < first + count; ++window) {
    const auto value = static_cast<double>(window);
    part.scores.losses.push_back(value + 0.1);  // no short decimal, no float
    part.scores.top1_agreements.push_back(10 + window);
    part.scores.scored_tokens.push_back(3);
    for (int token = 0; token < 3; ++token) {
      part.scores.token_losses.push_back(static_cast<float>(value + 0.01 * token));
      part.scores.token_kl.push_back(static_cast<float>(value - 0.01 * token));
    }
  }
  return part;
}

// Of windows 0 .. 5 with 2, 5, 1, 1, 4 and 3 scored tokens, those from `first` on.
CellPart UnequalPartOf(Index first, Index count) {
  const std::vector<Index> scored = {2, 5, 1, 1, 4, 3};
  CellPart part = PartOf(first, count);
  part.scores.scored_tokens.clear();
  part.scores.token_losses.clear();
  part.scores.token_kl.clear();
  for (Index window = first; window < first + count; ++window) {
    const Index tokens = scored.at(static_cast<std::size_t>(window));
    part.scores.scored_tokens.push_back(tokens);
    for (Index token = 0; token < tokens; ++token) {
      part.scores.token_losses.push_back(static_cast<float>(10 * window + token));
      part.scores.token_kl.push_back(-static_cast<float>(10 * window + token));
    }
  }
  return part;
}

class CellPartsTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
  CellParts parts_{folder_.path()};
};

TEST_F(CellPartsTest, PartsOfAnyCuttingJoinToTheSameBits) {
  const CellPart whole = PartOf(0, 8);
  for (const std::vector<WindowRange>& cutting :
       std::vector<std::vector<WindowRange>>{{{0, 8}},
                                             {{0, 3}, {3, 5}},
                                             {{5, 3}, {0, 5}},
                                             {{0, 6}, {2, 6}},
                                             {{7, 1}, {0, 1}, {1, 6}}}) {
    for (const WindowRange& range : cutting) parts_.Write("cell", PartOf(range.first, range.count));
    const std::optional<CellPart> joined = JoinParts(parts_.Read("cell"), 8);
    ASSERT_TRUE(joined);
    EXPECT_EQ(joined->scores.losses, whole.scores.losses);
    EXPECT_EQ(joined->scores.token_losses, whole.scores.token_losses);
    EXPECT_EQ(joined->scores.token_kl, whole.scores.token_kl);
    EXPECT_EQ(joined->scores.top1_agreements, whole.scores.top1_agreements);
    EXPECT_EQ(joined->seconds, 2.0 * static_cast<double>(cutting.size()));
    EXPECT_EQ(joined->peak_rss_bytes, 7U);
    parts_.Remove("cell");
  }
  EXPECT_TRUE(parts_.Read("cell").empty());
}

TEST_F(CellPartsTest, WindowsMayDifferInTheirScoredTokens) {
  const CellPart whole = UnequalPartOf(0, 6);
  for (const std::vector<WindowRange>& cutting :
       std::vector<std::vector<WindowRange>>{{{0, 6}},
                                             {{0, 3}, {3, 3}},
                                             {{4, 2}, {0, 4}},
                                             {{0, 5}, {1, 5}},
                                             {{2, 2}, {0, 2}, {4, 2}}}) {
    for (const WindowRange& range : cutting)
      parts_.Write("cell", UnequalPartOf(range.first, range.count));
    const std::optional<CellPart> joined = JoinParts(parts_.Read("cell"), 6);
    ASSERT_TRUE(joined);
    EXPECT_EQ(joined->scores.scored_tokens, whole.scores.scored_tokens);
    EXPECT_EQ(joined->scores.losses, whole.scores.losses);
    EXPECT_EQ(joined->scores.token_losses, whole.scores.token_losses);
    EXPECT_EQ(joined->scores.token_kl, whole.scores.token_kl);
    EXPECT_EQ(joined->scores.top1_agreements, whole.scores.top1_agreements);
    parts_.Remove("cell");
  }
}

TEST_F(CellPartsTest, LengthsThatDoNotAgreeAreDamage) {
  const auto message = [&](const CellPart& part) {
    parts_.Write("cell", part);
    return InputErrorOf(folder_.path(), [&] { parts_.Read("cell"); });
  };
  CellPart part = UnequalPartOf(0, 2);
  part.scores.token_kl.pop_back();
  EXPECT_NE(message(part).find("damaged (lengths do not agree)"), std::string::npos);
  part = UnequalPartOf(0, 2);
  part.scores.scored_tokens = {8, -1};  // the sum is right
  EXPECT_NE(message(part).find("this part of a cell is damaged"), std::string::npos);
  part = UnequalPartOf(0, 2);
  part.scores.scored_tokens.pop_back();
  EXPECT_NE(message(part).find("damaged (lengths do not agree)"), std::string::npos);
}

TEST_F(CellPartsTest, SaysWhatIsMissing) {
  EXPECT_EQ(MissingWindows({}, {.first = 2, .count = 3}),
            (std::vector<WindowRange>{{.first = 2, .count = 3}}));
  const std::vector<CellPart> parts = {PartOf(1, 2), PartOf(5, 1)};
  EXPECT_EQ(MissingWindows(parts, {.first = 0, .count = 8}),
            (std::vector<WindowRange>{{0, 1}, {3, 2}, {6, 2}}));
  EXPECT_TRUE(MissingWindows(parts, {.first = 1, .count = 2}).empty());
  EXPECT_FALSE(JoinParts(parts, 8));
}

TEST_F(CellPartsTest, DamagedPartsAreNamed) {
  parts_.Write("cell", PartOf(0, 2));
  const auto file = folder_.path() / "parts/cell/0-2.part";
  const std::string good = ReadFile(file);
  for (const std::string& bad : {std::string(), good.substr(0, good.size() / 2), "x" + good}) {
    WriteFileAtomically(file, bad);
    const std::string message = InputErrorOf(folder_.path(), [&] { parts_.Read("cell"); });
    EXPECT_NE(message.find("0-2.part: this part of a cell is damaged"), std::string::npos)
        << message;
  }
}

TEST_F(CellPartsTest, JoinsInTheOrderThatIsAskedFor) {
  parts_.Write("cell", UnequalPartOf(0, 4));
  parts_.Write("cell", UnequalPartOf(4, 2));
  const std::optional<CellPart> joined = JoinParts(parts_.Read("cell"), std::vector<Index>{4, 1});
  ASSERT_TRUE(joined);
  EXPECT_EQ(joined->scores.losses, (std::vector<double>{4.1, 1.1}));
  EXPECT_EQ(joined->scores.scored_tokens, (std::vector<Index>{4, 5}));
  EXPECT_EQ(joined->scores.token_losses, (std::vector<float>{40, 41, 42, 43, 10, 11, 12, 13, 14}));
  EXPECT_FALSE(JoinParts(parts_.Read("cell"), std::vector<Index>{4, 6})) << "no such window";
}

// The JSON library reads CBOR level by level on the stack.
TEST_F(CellPartsTest, RefusesDeepNesting) {
  WriteFileAtomically(folder_.path() / "parts/cell/0-2.part", std::string(200'000, '\x81'));
  const std::string message = InputErrorOf(folder_.path(), [&] { parts_.Read("cell"); });
  EXPECT_NE(message.find("damaged (values are nested too deep)"), std::string::npos) << message;
}

// A cast would make any number of them, and the sum of the first two may not fit.
TEST_F(CellPartsTest, RefusesCountsThatAreNone) {
  nlohmann::ordered_json good = {{"first", 0},
                                 {"windows", 1},
                                 {"scored_tokens", {1}},
                                 {"losses", {2.5}},
                                 {"token_losses", {1.0}},
                                 {"token_kl", {0.5}},
                                 {"top1_agreements", {1}},
                                 {"seconds", 1.0},
                                 {"peak_rss_bytes", 7}};
  const auto error_of = [&](const nlohmann::ordered_json& json) {
    const std::vector<std::uint8_t> bytes = nlohmann::ordered_json::to_cbor(json);
    WriteFileAtomically(folder_.path() / "parts/cell/0-1.part",
                        {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    return InputErrorOf(folder_.path(), [&] { parts_.Read("cell"); });
  };
  EXPECT_EQ(error_of(good), "no error");
  for (const nlohmann::ordered_json& wrong :
       {nlohmann::ordered_json(-1), nlohmann::ordered_json(0.5), nlohmann::ordered_json(1e300),
        nlohmann::ordered_json(std::numeric_limits<std::int64_t>::max())}) {
    nlohmann::ordered_json json = good;
    json["first"] = wrong;
    EXPECT_NE(error_of(json).find("this part of a cell is damaged"), std::string::npos) << wrong;
  }
  nlohmann::ordered_json json = good;
  json["scored_tokens"] = {2};  // not as many as there are losses of tokens
  EXPECT_NE(error_of(json).find("damaged (lengths do not agree)"), std::string::npos);
  json = good;
  json["token_losses"] = json["token_kl"] = nlohmann::ordered_json::array();
  EXPECT_EQ(error_of(json), "no error");
  json["scored_tokens"] = {std::int64_t{1} << 40};
  EXPECT_NE(error_of(json).find("damaged (a number is too large)"), std::string::npos);
  json = good;
  json["top1_agreements"] = {1e300};
  EXPECT_NE(error_of(json).find("this part of a cell is damaged"), std::string::npos);
}

}  // namespace
}  // namespace daq
