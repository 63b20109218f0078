#include "eval/utf8.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace daq {
namespace {

// One character at the start of a text; length 0 says that the bytes there are not UTF-8.
struct Character {
  std::uint32_t code = 0;
  std::size_t length = 0;
};

Character FirstCharacter(std::string_view text) {
  const auto byte = [&](std::size_t at) {
    return static_cast<std::uint32_t>(static_cast<unsigned char>(text[at]));
  };
  const std::uint32_t lead = byte(0);
  if (lead < 0x80U) return {lead, 1};
  // Leads 0x80..0xc1 are continuations or overlong, 0xf5 and up lie past U+10FFFF.
  if (lead < 0xc2U || lead > 0xf4U) return {};
  const std::size_t length = lead < 0xe0U ? 2 : lead < 0xf0U ? 3 : 4;
  if (text.size() < length) return {};
  std::uint32_t code = lead & (0xffU >> (length + 1));
  for (std::size_t at = 1; at < length; ++at) {
    if ((byte(at) & 0xc0U) != 0x80U) return {};
    code = code << 6U | (byte(at) & 0x3fU);
  }
  constexpr std::array<std::uint32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = code >= 0xd800U && code <= 0xdfffU;
  if (code < kSmallest[length] || surrogate || code > 0x10ffffU) return {};
  return {code, length};
}

bool IsSpace(std::uint32_t code) {
  // Python's Py_UNICODE_ISSPACE: bidirectional type WS, B or S, or category Zs (Unicode 15;
  // unchanged since 6.3).
  constexpr std::array<std::uint32_t, 10> kSingle = {0x20,   0x85,   0xa0,   0x1680, 0x2028,
                                                     0x2029, 0x202f, 0x205f, 0x3000, 0x1f};
  return (code >= 0x09U && code <= 0x0dU) || (code >= 0x1cU && code <= 0x1eU) ||
         (code >= 0x2000U && code <= 0x200aU) ||
         std::find(kSingle.begin(), kSingle.end(), code) != kSingle.end();
}

}  // namespace

std::size_t FirstInvalidUtf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Character character = FirstCharacter(text.substr(at));
    if (character.length == 0) return at;
    at += character.length;
  }
  return at;
}

std::int64_t CountPiecesAtSpace(std::string_view text) {
  std::int64_t pieces = 1;
  bool in_space = false;
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    if (character.length == 0) break;
    const bool space = IsSpace(character.code);
    if (space && !in_space) ++pieces;
    in_space = space;
    text.remove_prefix(character.length);
  }
  return pieces;
}

bool IsBlank(std::string_view text) { return Strip(text).empty(); }

std::string_view Strip(std::string_view text) {
  while (!text.empty()) {
    const Character character = FirstCharacter(text);
    if (character.length == 0 || !IsSpace(character.code)) break;
    text.remove_prefix(character.length);
  }
  while (!text.empty()) {
    // A character begins at the last byte that is no continuation.
    std::size_t begin = text.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xc0U) == 0x80U) --begin;
    const Character character = FirstCharacter(text.substr(begin));
    if (character.length == 0 || !IsSpace(character.code)) break;
    text = text.substr(0, begin);
  }
  return text;
}

}  // namespace daq
