#pragma once
#include <algorithm>
#include <string_view>

namespace daq {

// True if `text` has nothing but ASCII letters, digits, -, _ and `others`: what a name of a file or
// of something in a config may consist of, whatever the locale.
inline bool HasOnlyNameLetters(std::string_view text, std::string_view others = {}) {
  return std::all_of(text.begin(), text.end(), [&](char letter) {
    return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
           (letter >= '0' && letter <= '9') || letter == '-' || letter == '_' ||
           others.find(letter) != std::string_view::npos;
  });
}

}  // namespace daq
