#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "eval/tokenizer.h"

namespace daq {

// The token windows that an evaluation scores (or a calibration reads): equal-length rows of ids. A
// window is scored on its positions 1 .. window_tokens - 1, each from the tokens before it in the
// same window.
struct TokenWindows {
  Index window_tokens = 0;
  std::vector<TokenId> ids;  // count() * window_tokens, row by row
  std::string text_sha256;   // of the text that was tokenised, in UTF-8 (for `ids`: of the file)
  std::string ids_sha256;    // of `ids` as little-endian int32
  std::string source;        // the file it came from, for messages

  Index count() const {
    return window_tokens == 0 ? 0 : static_cast<Index>(ids.size()) / window_tokens;
  }
  std::span<const TokenId> window(Index index) const {
    return std::span(ids).subspan(static_cast<std::size_t>(index * window_tokens),
                                  static_cast<std::size_t>(window_tokens));
  }

  // Windows first .. first + windows - 1; the hashes, which name the whole, stay empty.
  TokenWindows Part(Index first, Index windows) const {
    const auto begin = ids.begin() + first * window_tokens;
    return {.window_tokens = window_tokens,
            .ids = {begin, begin + windows * window_tokens},
            .text_sha256 = {},
            .ids_sha256 = {},
            .source = source};
  }
};

}  // namespace daq
