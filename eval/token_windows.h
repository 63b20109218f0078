#pragma once
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "eval/tokenizer.h"

namespace daq {

// Positions begin .. end - 1 of a window, each scored for the token after it.
struct ScoredRange {
  Index begin = 0;
  Index end = 0;

  Index count() const { return end - begin; }
  bool operator==(const ScoredRange&) const = default;
};

// How large a text is in units that no tokenizer has a say in.
struct TextSize {
  std::int64_t words = 0;
  std::int64_t bytes = 0;

  bool operator==(const TextSize&) const = default;
};

// The token windows that an evaluation scores (or a calibration reads): equal-length rows of ids.
// Usually a window is scored on its positions 0 .. window_tokens - 2, each for the token after it
// from the tokens up to it in the same window; `scored` may say fewer. A shorter window ends in any
// valid ids: attention looks back only, so what stands behind the last scored position changes
// nothing.
struct TokenWindows {
  Index window_tokens = 0;
  std::vector<TokenId> ids;  // count() * window_tokens, row by row
  // Of each window, the token after its last one, where that is scored too; else empty.
  std::vector<TokenId> following = {};
  std::vector<ScoredRange> scored = {};  // of each window; empty: the usual positions of all
  // Of the text as it was before tokenising, where a protocol's numbers are by words and bytes.
  std::optional<TextSize> text_size = {};
  std::string text_sha256;  // of the text that was tokenised, in UTF-8 (for `ids`: of the file)
  std::string ids_sha256;   // of `ids`, then `following`, as little-endian int32
  std::string source;       // the file it came from, for messages

  Index count() const {
    return window_tokens == 0 ? 0 : static_cast<Index>(ids.size()) / window_tokens;
  }
  std::span<const TokenId> window(Index index) const {
    return std::span(ids).subspan(static_cast<std::size_t>(index * window_tokens),
                                  static_cast<std::size_t>(window_tokens));
  }

  ScoredRange scored_range(Index index) const {
    return scored.empty() ? ScoredRange{.begin = 0, .end = window_tokens - 1}
                          : scored[static_cast<std::size_t>(index)];
  }
  Index scored_tokens() const {
    if (scored.empty()) return count() * (window_tokens - 1);
    return std::accumulate(scored.begin(), scored.end(), Index{0},
                           [](Index sum, const ScoredRange& range) { return sum + range.count(); });
  }

  // The token that a window's position is scored for.
  TokenId target(Index index, Index position) const {
    return position + 1 < window_tokens ? window(index)[static_cast<std::size_t>(position + 1)]
                                        : following[static_cast<std::size_t>(index)];
  }

  // The same windows in another order, of each the number that it has here. What is of the whole
  // (hashes, size) stays as it is.
  TokenWindows InOrder(std::span<const Index> order) const {
    TokenWindows result = *this;
    const auto arrange = [&](const auto& from, Index each, auto* to) {
      for (std::size_t i = 0; !from.empty() && i < order.size(); ++i) {
        const auto begin = from.begin() + order[i] * each;
        std::copy(begin, begin + each, to->begin() + static_cast<Index>(i) * each);
      }
    };
    arrange(ids, window_tokens, &result.ids);
    arrange(following, 1, &result.following);
    arrange(scored, 1, &result.scored);
    return result;
  }

  // Windows first .. first + windows - 1; what is of the whole (hashes, size) stays empty.
  TokenWindows Part(Index first, Index windows) const {
    const auto part = [&](const auto& values, Index each) {
      if (values.empty()) return values;
      const auto begin = values.begin() + first * each;
      return std::decay_t<decltype(values)>(begin, begin + windows * each);
    };
    return {.window_tokens = window_tokens,
            .ids = part(ids, window_tokens),
            .following = part(following, 1),
            .scored = part(scored, 1),
            .text_size = {},
            .text_sha256 = {},
            .ids_sha256 = {},
            .source = source};
  }
};

}  // namespace daq
