#include "harness/wrapped_text.h"

#include <algorithm>

namespace daq {

std::string WrappedText(std::string_view first, std::string_view text, std::size_t columns) {
  const std::string indent(first.size(), ' ');
  std::string wrapped(first);
  std::size_t used = first.size();
  bool line_has_word = false;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    if (line_has_word && used + 1 + word.size() > columns) {
      wrapped.append("\n").append(indent);
      used = indent.size();
      line_has_word = false;
    }
    if (line_has_word) wrapped.append(" ");
    used += word.size() + (line_has_word ? 1 : 0);
    wrapped.append(word);
    line_has_word = true;
  }
  return wrapped.append("\n");
}

}  // namespace daq
