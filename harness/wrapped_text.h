#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace daq {

// `text` in lines of at most `columns` bytes, broken at spaces, ending in a line feed. The first
// line begins with `first`, the others with as many spaces. A word that is longer than a line
// stands on a line of its own.
std::string WrappedText(std::string_view first, std::string_view text, std::size_t columns = 100);

}  // namespace daq
