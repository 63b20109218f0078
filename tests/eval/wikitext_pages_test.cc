#include "eval/wikitext_pages.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "eval/text_rows.h"
#include "eval/utf8.h"

namespace daq {
namespace {

using Pages = std::vector<std::string>;

const std::filesystem::path kSource = DAQ_SOURCE_DIR;

// lm-evaluation-harness's own functions on pages full of quirks: marks without a partner, pairs
// over line ends, headings of every level, a no-break space, "\r\n".
TEST(GoldenWikiTextPagesTest, PagesTextAndWordsAreTheHarnesssOwn) {
  const nlohmann::json golden =
      nlohmann::json::parse(ReadFile(kSource / "tests/golden/protocols/pages.json"));
  const Pages pages = WikiTextPages(WithLineFeeds(ReadRawText(kSource / "tests/data/pages.raw")));
  ASSERT_EQ(pages.size(), golden.size());
  for (std::size_t page = 0; page < pages.size(); ++page) {
    EXPECT_EQ(pages[page], golden[page].at("page"));
    EXPECT_EQ(DetokenizeWikiText(pages[page]), golden[page].at("text"));
    EXPECT_EQ(CountPiecesAtSpace(pages[page]), golden[page].at("words"));
  }
}

TEST(WikiTextPagesTest, AHeadingOfTheFirstLevelBeginsAPage) {
  EXPECT_EQ(WikiTextPages(" \n = A = \n a \n = = B = = \n b \n = C = \n c"),
            (Pages{" = A = \n a \n = = B = = \n b ", " = C = \n c"}));
  // What is blank before the first heading is no page, other text is.
  EXPECT_EQ(WikiTextPages("x\n = A = \n"), (Pages{"x", " = A = \n"}));
  EXPECT_EQ(WikiTextPages(" = A = \n = B = "), (Pages{" = A = ", " = B = "}));
  // White space around does not matter, what stands inside does.
  EXPECT_EQ(WikiTextPages("= A =\nx").size(), 1U);
  EXPECT_EQ(WikiTextPages("\u00a0= A =\u3000\nx").size(), 1U);
}

TEST(WikiTextPagesTest, OtherLinesBeginNone) {
  for (const char* text : {"", " ", "a", "=A=", " = A",
                           "A = ", " = = A = = ", " = = = A = = = ", "= =", " = = = = A = = = = "})
    EXPECT_TRUE(WikiTextPages(text).empty()) << text;
}

// By hand from the authors' expressions.
TEST(WikiTextPagesTest, DetokenizingHasTheAuthorsQuirks) {
  EXPECT_EQ(DetokenizeWikiText("a ( b ( c ) d ) e"), "a (b ( c) d ) e");
  EXPECT_EQ(DetokenizeWikiText("( \u00a0 )"), "()");
  EXPECT_EQ(DetokenizeWikiText("( open"), "( open");
  EXPECT_EQ(DetokenizeWikiText("\" a\n b \" c \" d"), "\"a\nb\" c \" d");
  EXPECT_EQ(DetokenizeWikiText("/' 7/"), "/'[0-9]/");
  EXPECT_EQ(DetokenizeWikiText("x . . y"), "x. . y") << "the space between was used up";
  EXPECT_EQ(DetokenizeWikiText("= = = = ="), "=====");
  EXPECT_EQ(DetokenizeWikiText("45 \u00b0 N N "), "45\u00b0N 1 ");
}

TEST(CountPiecesAtSpaceTest, CountsEmptyPiecesAtTheEnds) {
  EXPECT_EQ(CountPiecesAtSpace(""), 1);
  EXPECT_EQ(CountPiecesAtSpace("a"), 1);
  EXPECT_EQ(CountPiecesAtSpace("a b"), 2);
  EXPECT_EQ(CountPiecesAtSpace(" a \n\t b "), 4);
  EXPECT_EQ(CountPiecesAtSpace("\u3000"), 2);
  EXPECT_EQ(CountPiecesAtSpace("a\u200bb"), 1) << "a zero-width space is no white space";
}

}  // namespace
}  // namespace daq
