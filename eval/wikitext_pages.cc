#include "eval/wikitext_pages.h"

#include <algorithm>
#include <utility>

#include "eval/utf8.h"

namespace daq {
namespace {

// As Python's str.replace: from left to right, what was put in is not looked at again.
void Replace(std::string_view from, std::string_view to, std::string* text) {
  std::string result;
  std::size_t at = 0;
  for (std::size_t found = text->find(from); found != std::string::npos;
       found = text->find(from, at)) {
    result.append(*text, at, found - at).append(to);
    at = found + from.size();
  }
  *text = std::move(result.append(*text, at));
}

// As re.sub(r"\(\s*([^\)]*?)\s*\)", r"(\1)", text), for any pair of marks: from an opening mark to
// the next closing one, without the white space inside of both.
void StripInside(char open, char close, std::string* text) {
  std::string result;
  std::size_t at = 0;
  while (true) {
    const std::size_t begin = text->find(open, at);
    if (begin == std::string::npos) break;
    const std::size_t end = text->find(close, begin + 1);
    if (end == std::string::npos) break;  // nor is there one behind any later mark
    result.append(*text, at, begin + 1 - at);
    result.append(Strip(std::string_view(*text).substr(begin + 1, end - begin - 1)));
    result.push_back(close);
    at = end + 1;
  }
  *text = std::move(result.append(*text, at));
}

// As re.sub(r"/' [0-9]/", r"/'[0-9]/", text). What is put in is no pattern: the brackets stand in
// the text.
void ReplaceQuotedDigit(std::string* text) {
  for (char digit = '0'; digit <= '9'; ++digit)
    Replace(std::string("/' ") + digit + "/", "/'[0-9]/", text);
}

bool IsPageHeading(std::string_view line) {
  std::string text(line);
  Replace("= = =", "===", &text);
  Replace("= =", "==", &text);
  const std::string_view heading = Strip(text);
  return heading.starts_with("= ") && heading.ends_with(" =");
}

}  // namespace

std::vector<std::string> WikiTextPages(std::string_view text) {
  std::vector<std::string> pages;
  std::size_t page = 0;  // where the page begins
  bool any = false;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (IsPageHeading(text.substr(at, end - at))) {
      any = true;
      const std::string_view before = text.substr(page, at > page ? at - 1 - page : 0);
      if (!IsBlank(before)) pages.emplace_back(before);
      page = at;
    }
    at = end + 1;
  }
  if (any) pages.emplace_back(text.substr(page));
  return pages;
}

std::string DetokenizeWikiText(std::string_view page) {
  std::string text(page);
  // Contractions and separators of numbers.
  Replace("s '", "s'", &text);
  ReplaceQuotedDigit(&text);
  Replace(" @-@ ", "-", &text);
  Replace(" @,@ ", ",", &text);
  Replace(" @.@ ", ".", &text);
  // Punctuation.
  for (const char* mark : {":", ";", ".", "!", "?", ","})
    Replace(std::string(" ") + mark + " ", std::string(mark) + " ", &text);
  StripInside('(', ')', &text);
  StripInside('[', ']', &text);
  StripInside('{', '}', &text);
  StripInside('"', '"', &text);
  StripInside('\'', '\'', &text);
  // Headings, degrees, line ends, and what stands for a number.
  Replace("= = = =", "====", &text);
  Replace("= = =", "===", &text);
  Replace("= =", "==", &text);
  Replace(" \u00b0 ", "\u00b0", &text);
  Replace(" \n", "\n", &text);
  Replace("\n ", "\n", &text);
  Replace(" N ", " 1 ", &text);
  Replace(" 's", "'s", &text);
  return text;
}

}  // namespace daq
