#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace daq {

// The offset of the first byte that is not part of valid UTF-8 (RFC 3629: no overlong forms, no
// surrogates, nothing past U+10FFFF), or text.size() if all of it is valid.
std::size_t FirstInvalidUtf8(std::string_view text);

// True if str.strip() of Python 3 leaves nothing of `text`, which must be valid UTF-8: only
// characters that str.isspace() accepts, such as the no-break and the ideographic space.
bool IsBlank(std::string_view text);

// How many pieces re.split(r"\s+", text) of Python 3 gives, empty ones at the ends included: one
// more than there are runs of characters that str.isspace() accepts. `text` must be valid UTF-8.
std::int64_t CountPiecesAtSpace(std::string_view text);

// What str.strip() of Python 3 leaves of `text`, which must be valid UTF-8.
std::string_view Strip(std::string_view text);

}  // namespace daq
