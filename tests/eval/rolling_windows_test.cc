#include "eval/rolling_windows.h"

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

constexpr TokenId kPrefix = 1;

// Each byte is its own id.
std::vector<TokenId> Encode(std::string_view text) {
  std::vector<TokenId> ids;
  for (const char byte : text) ids.push_back(static_cast<unsigned char>(byte));
  return ids;
}

TokenWindows Roll(const std::vector<std::string>& documents, Index window_tokens,
                  std::optional<Index> max_windows = std::nullopt) {
  Index kept = 0;
  return RollDocuments(documents, Encode, kPrefix, window_tokens, max_windows, "x.raw", &kept);
}

TEST(RollingWindowsTest, ByHand) {
  const TokenWindows windows = Roll({"abcdefgh", "xy"}, 3);
  EXPECT_EQ(windows.window_tokens, 3);
  EXPECT_EQ(windows.ids, (std::vector<TokenId>{1, 'a', 'b',     // for a b c
                                               'c', 'd', 'e',   // for d e f
                                               'e', 'f', 'g',   // reaches back; for g h
                                               1, 'x', 'y'}));  // for x y
  EXPECT_EQ(windows.following, (std::vector<TokenId>{'c', 'f', 'h', kPrefix}));
  EXPECT_EQ(windows.scored, (std::vector<ScoredRange>{{0, 3}, {0, 3}, {1, 3}, {0, 2}}));
  EXPECT_EQ(windows.scored_tokens(), 10);
  EXPECT_EQ(windows.text_sha256, Sha256Hex(std::string_view("abcdefghxy")));
}

// For every length of document around those of windows: each token is scored once, in order, from
// the tokens before it, window_tokens of them or all that there are in a last window that reaches
// back.
TEST(RollingWindowsTest, EveryTokenIsScoredOnce) {
  for (const Index window : {2, 3, 5}) {
    for (int length = 1; length <= 16; ++length) {
      std::string text;
      for (int i = 0; i < length; ++i) text.push_back(static_cast<char>('a' + i));
      const TokenWindows windows = Roll({text}, window);
      EXPECT_EQ(windows.count(), (length + window - 1) / window);
      std::string scored;
      for (Index w = 0; w < windows.count(); ++w) {
        const ScoredRange range = windows.scored_range(w);
        for (Index position = range.begin; position < range.end; ++position) {
          const TokenId target = windows.target(w, position);
          const TokenId before = windows.window(w)[static_cast<std::size_t>(position)];
          EXPECT_EQ(before, scored.empty() ? kPrefix : target - 1);
          scored.push_back(static_cast<char>(target));
        }
        // Later windows read as much as the first.
        EXPECT_TRUE(w == 0 || range.end == window);
      }
      EXPECT_EQ(scored, text) << window;
      EXPECT_EQ(windows.scored_tokens(), length);
    }
  }
}

TEST(RollingWindowsTest, MaxWindowsKeepsWholeDocuments) {
  const std::vector<std::string> documents = {"abcdefgh", "xy", "k"};
  const TokenWindows all = Roll(documents, 3);
  Index kept = 0;
  for (const Index most : {3, 4, 5}) {
    const TokenWindows some = RollDocuments(documents, Encode, kPrefix, 3, most, "x.raw", &kept);
    EXPECT_EQ(some.count(), most);
    EXPECT_EQ(kept, most - 2);
    EXPECT_EQ(some.ids, std::vector<TokenId>(all.ids.begin(), all.ids.begin() + most * 3));
  }
  EXPECT_EQ(Roll({"abc", "abcdefgh", "x"}, 3, 3).count(), 1) << "no document after one left out";
  EXPECT_EQ(MessageOf([&] { Roll(documents, 3, 2); }),
            "x.raw: max_windows: expected 3 or more, the windows of the first page, found 2");
}

TEST(RollingWindowsTest, PartsKeepWhatBelongsToTheirWindows) {
  const TokenWindows part = Roll({"abcdefgh", "xy"}, 3).Part(2, 2);
  EXPECT_EQ(part.ids, (std::vector<TokenId>{'e', 'f', 'g', 1, 'x', 'y'}));
  EXPECT_EQ(part.following, (std::vector<TokenId>{'h', kPrefix}));
  EXPECT_EQ(part.scored, (std::vector<ScoredRange>{{1, 3}, {0, 2}}));
}

}  // namespace
}  // namespace daq
