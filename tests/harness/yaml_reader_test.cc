#include "harness/yaml_reader.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "harness/yaml_value.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

using Kind = YamlNode::Kind;

YamlDocument Parse(std::string_view text) { return ParseYaml(text, "x.yaml"); }

TEST(YamlReaderTest, KeepsKindsLinesOrderAndQuotes) {
  const YamlDocument document = Parse(
      "# a comment\n"
      "zebra: 1\n"
      "apple:\n"
      "  - a b  # not this\n"
      "  - 'it''s'\n"
      "  - {x: \"\\u00e9\\\"\", y: [1, 2]}\n"
      "empty:\n"
      "last: ~\n");
  const YamlNode& root = document.root;
  ASSERT_EQ(root.kind, Kind::kMap);
  ASSERT_EQ(root.children.size(), 4U);
  EXPECT_EQ(FlowText(root),
            "{zebra: 1, apple: [a b, it's, {x: é\", y: [1, 2]}], empty: null, last: null}");
  EXPECT_EQ(root.children[0].key, "zebra");
  EXPECT_EQ(root.children[0].key_line, 2);
  EXPECT_EQ(root.children[1].key_line, 3);
  EXPECT_EQ(root.children[1].line, 4);
  const YamlNode& list = root.children[1];
  EXPECT_FALSE(list.children[0].quoted);
  EXPECT_EQ(list.children[0].line, 4);
  EXPECT_TRUE(list.children[1].quoted);
  EXPECT_EQ(list.children[1].line, 5);
  EXPECT_EQ(list.children[2].Find("y")->line, 6);
  EXPECT_EQ(list.children[2].Find("z"), nullptr);
  EXPECT_EQ(list.Find("y"), nullptr);
  EXPECT_EQ(root.Find("empty")->kind, Kind::kNothing);
  EXPECT_EQ(root.Find("empty")->line, 7);
}

TEST(YamlReaderTest, TakesAByteOrderMarkWindowsLinesAndADocumentStart) {
  EXPECT_EQ(FlowText(Parse("\xEF\xBB\xBF"
                           "a: 'é'\n")
                         .root),
            "{a: é}");
  EXPECT_EQ(FlowText(Parse("a: x\r\nb: 'y'\r\n").root), "{a: x, b: y}");
  EXPECT_EQ(FlowText(Parse("---\na: 1\n...\n").root), "{a: 1}");
  EXPECT_EQ(Parse("").root.kind, Kind::kNothing);
  EXPECT_EQ(Parse("# only a comment\n").root.kind, Kind::kNothing);
}

TEST(YamlReaderTest, KnowsTheLineOfAnEmptyItem) {
  const YamlNode root = Parse("- a\n-  # empty\n\n# more\n- b\n-\n").root;
  ASSERT_EQ(root.children.size(), 4U);
  EXPECT_EQ(root.children[1].kind, Kind::kNothing);
  EXPECT_EQ(root.children[1].line, 2);
  EXPECT_EQ(root.children[3].line, 6);
  EXPECT_EQ(Parse("[a-,\n  ~]").root.children[1].line, 2);
}

TEST(YamlReaderTest, ReadsFiles) {
  const TemporaryFolder folder;
  const std::filesystem::path path = WriteText(folder.path(), "a.yaml", "a: 1\n");
  const YamlDocument document = ReadYamlFile(path);
  EXPECT_EQ(document.file, path.string());
  EXPECT_EQ(FlowText(document.root), "{a: 1}");
  EXPECT_THROW(ReadYamlFile(folder.path() / "absent.yaml"), InputError);
}

TEST(YamlReaderTest, RefusesWithLineAndKey) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      // Keys.
      {"a: 1\nb: 2\n\na: 3\n",
       "x.yaml:4: a: expected every key once, found it again (first on line 1)"},
      {"a:\n- {b: 1, 'b': 2}\n",
       "x.yaml:2: a[0].b: expected every key once, found it again (first on line 2)"},
      {"a: {<<: {b: 1}}\n", "x.yaml:1: a.<<: expected a name as key, found a merge key"},
      {"a: 1\n'': 2\n", "x.yaml:2: expected a name as key, found nothing"},
      {"? [a]\n: 1\n",
       "x.yaml:1: expected a name as key, found a list or a map (is a bracket left open?)"},
      {"{a: 1}: 2\n",
       "x.yaml:1: expected a name as key, found a list or a map (is a bracket left open?)"},
      // Indirections.
      {"a: &x 1\nb: *x\n", "x.yaml:1: a: expected a plain value, found an anchor (&name)"},
      {"a: [1, &x 2]\n", "x.yaml:1: a[1]: expected a plain value, found an anchor (&name)"},
      {"&x a: 1\n", "x.yaml:1: expected a plain value, found an anchor (&name)"},
      {"a: !!str 1\n", "x.yaml:1: a: expected a plain value, found a tag (!name)"},
      {"a: !mine {b: 1}\n", "x.yaml:1: a: expected a plain value, found a tag (!name)"},
      {"a: ! 1\n", "x.yaml:1: a: expected a plain value, found a tag (!name)"},
      {"b: *x\n", "x.yaml:1: expected YAML, found a mistake: the referenced anchor is not defined"},
      // Documents and directives.
      {"a: 1\n---\nb: 2\n", "x.yaml:2: expected one YAML document, found a second one"},
      {"a: 1\n...\nb: 2\n", "x.yaml:3: expected one YAML document, found a second one"},
      {"%YAML 1.2\n---\na: 1\n", "x.yaml:1: expected YAML without directives, found one (%name)"},
      {"# c\n%TAG ! x\n---\na: 1\n",
       "x.yaml:2: expected YAML without directives, found one (%name)"},
      // Bytes.
      {"a: 1\nb:\t2\n", "x.yaml:2: expected spaces, found a tab"},
      {"a: 1\rb: 2\n", "x.yaml:1: expected text, found a control character"},
      {std::string("a: 1\n\0", 6), "x.yaml:2: expected text, found a control character"},
      {"a: 1\n\nb: \xFF\n", "x.yaml:3: expected UTF-8 text, found other bytes"},
      {"a: \xC0\xAF\n", "x.yaml:1: expected UTF-8 text, found other bytes"},
      // Text.
      {"a: \"\\0\"\n", "x.yaml:1: a: expected a plain value, found a control character"},
      {"a: \"b\\nc\"\n", "x.yaml:1: a: expected a plain value, found a control character"},
      {"a: |\n  b\n", "x.yaml:1: a: expected a plain value, found text over several lines"},
      {"a: >-\n  b\n  c\n", "x.yaml:1: a: expected a plain value, found text over several lines"},
      {"a: b\n  c\n", "x.yaml:1: a: expected a plain value, found text over several lines"},
      {"a: 'b\n  c'\n",
       "x.yaml:1: a: expected a plain value, found a quote that does not end on its line"},
      {"a: \"b\n",
       "x.yaml:1: a: expected a plain value, found a quote that does not end on its line"},
      {"a: \"b\\\"\n",
       "x.yaml:1: a: expected a plain value, found a quote that does not end on its line"},
      {"a: 'b''\n",
       "x.yaml:1: a: expected a plain value, found a quote that does not end on its line"},
      // Syntax.
      {"a: [1, 2\n", "x.yaml:2: expected YAML, found a mistake: end of sequence flow not found"},
      {"a: {b: [1}\n", "x.yaml:1: expected YAML, found a mistake: illegal flow end"},
      {"a: {b: 1\nc\n", "x.yaml:1: a.b: expected a plain value, found text over several lines"},
      {"a: b: c\n", "x.yaml:1: expected YAML, found a mistake: illegal map value"},
      {"a: \"\\q\"\n", "x.yaml:1: expected YAML, found a mistake: unknown escape character: q"},
      {"a: @b\n", "x.yaml:1: expected YAML, found a mistake: unknown token"},
      {"a: 'b' c\n", "x.yaml:1: expected YAML, found a mistake: end of map not found"},
  };
  for (const auto& [text, message] : cases)
    EXPECT_EQ(MessageOf([&] { Parse(text); }), message) << text;
}

std::string Repeat(std::string_view piece, std::size_t bytes) {
  std::string text;
  while (text.size() + piece.size() <= bytes) text.append(piece);
  return text;
}

TEST(YamlReaderTest, BoundsSizeValuesAndDepth) {
  EXPECT_EQ(MessageOf([] { Parse(std::string((std::size_t{1} << 20) + 1, '#')); }),
            "x.yaml: expected at most 1048576 bytes of YAML, found 1048577");
  EXPECT_EQ(MessageOf([] { Parse(Repeat("- a\n", 400'008)); }),
            "x.yaml:100001: expected at most 100000 values, found more");
  EXPECT_EQ(MessageOf([] { Parse(Repeat("- ", 2 * 33) + "a"); }),
            "x.yaml:1: expected at most 32 levels, found more");
  EXPECT_EQ(MessageOf([] { Parse(Repeat("- ", 2 * 32) + "a"); }), "no exception");
}

// A hostile file must end in a message: no crash, no endless loop, nothing else thrown.
TEST(YamlReaderTest, SurvivesRepeatedPieces) {
  const std::array<std::string_view, 40> pieces = {
      "[",     "{",     "- ",   "? ",  "a: ",  "a:\n ", "'",    "\"",  "&a ",   "!a ",
      "*a ",   "|",     "\n",   "#",   "[]",   "{}",    "{a: ", "{?",  "[?",    "%",
      "---\n", "...\n", ": ",   ":",   "[:",   "{:",    ",",    "]",   "!<",    "!",
      "<<: ",  "-\n",   "\"\\", "'' ", "[a, ", "a\n",   "\\",   "~: ", "? -\n", "- ["};
  for (const std::string_view piece : pieces) {
    for (const std::string_view start : {"", "a: ", "[", "a:\n  - "}) {
      try {
        Parse(std::string(start) + Repeat(piece, 16384));
      } catch (const InputError&) {
      }
    }
  }
}

// The value of `a` in a document, read by `read`; what a wrong one says.
template <typename Read>
std::string ErrorOfA(const std::string& value, const Read& read) {
  const YamlDocument document = Parse("a: " + value + "\n");
  return MessageOf([&] { read(*YamlValue(document).Child("a")); });
}

TEST(YamlValueTest, ReadsOnlyPlainDecimalIntegers) {
  const auto read = [](const YamlValue& value) { return value.Integer(-5, 2048); };
  const YamlDocument document = Parse("[2048, -5, 0, -0]");
  const std::vector<YamlValue> items = YamlValue(document).List("a list");
  EXPECT_EQ(read(items[0]), 2048);
  EXPECT_EQ(read(items[1]), -5);
  EXPECT_EQ(read(items[2]), 0);
  EXPECT_EQ(read(items[3]), 0);
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"2049", "2049"},
      {"-6", "-6"},
      {"010", "010"},
      {"0x10", "0x10"},
      {"0o10", "0o10"},
      {"1_000", "1_000"},
      {"+5", "+5"},
      {"1.0", "1.0"},
      {"1e3", "1e3"},
      {"\"4\"", "\"4\""},
      {"four", "\"four\""},
      {"true", "true"},
      {".inf", "\".inf\""},
      {"", "nothing"},
      {"~", "nothing"},
      {"[4]", "a list"},
      {"{b: 4}", "a map"},
      {"[]", "an empty list"},
      {"{}", "an empty map"},
      {"99999999999999999999", "99999999999999999999"},
      {"12:30:45", "12:30:45"},
      {"1 2", "1 2"}};
  for (const auto& [value, found] : cases) {
    EXPECT_EQ(ErrorOfA(value, read),
              "x.yaml:1: a: expected an integer from -5 to 2048, found " + found);
  }
}

TEST(YamlValueTest, ReadsOnlyPlainFiniteNumbers) {
  const auto read = [](const YamlValue& value) { return value.Number(-1, 1e6); };
  const YamlDocument document = Parse("[0.4, -0.5, 1, 1e-3, 2.5E+5, -0.0]");
  std::vector<double> numbers;
  for (const YamlValue& item : YamlValue(document).List("a list")) numbers.push_back(read(item));
  EXPECT_EQ(numbers, (std::vector<double>{0.4, -0.5, 1, 1e-3, 2.5e5, 0}));
  EXPECT_FALSE(std::signbit(numbers[5]));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {".nan", "\".nan\""},   {"nan", "\"nan\""},   {".inf", "\".inf\""}, {"-.inf", "-.inf"},
      {"inf", "\"inf\""},     {"1e999", "1e999"},   {"1e-999", "1e-999"}, {".5", ".5"},
      {"5.", "5."},           {"01.5", "01.5"},     {"0x1p3", "0x1p3"},   {"-1.5", "-1.5"},
      {"1000001", "1000001"}, {"'0.5'", "\"0.5\""}, {"1e", "1e"},         {"1.5e+", "1.5e+"},
      {"", "nothing"}};
  for (const auto& [value, found] : cases) {
    EXPECT_EQ(ErrorOfA(value, read),
              "x.yaml:1: a: expected a number from -1 to 1000000, found " + found)
        << value;
  }
}

TEST(YamlValueTest, ReadsOnlyTrueAndFalse) {
  const auto read = [](const YamlValue& value) { return value.Bool(); };
  const YamlDocument document = Parse("[true, false]");
  EXPECT_TRUE(read(YamlValue(document).List("a list")[0]));
  EXPECT_FALSE(read(YamlValue(document).List("a list")[1]));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"yes", "\"yes\""},   {"no", "\"no\""},       {"on", "\"on\""}, {"off", "\"off\""},
      {"True", "\"True\""}, {"FALSE", "\"FALSE\""}, {"y", "\"y\""},   {"'true'", "\"true\""},
      {"1", "1"},           {"", "nothing"}};
  for (const auto& [value, found] : cases) {
    EXPECT_EQ(ErrorOfA(value, read), "x.yaml:1: a: expected true or false, found " + found);
  }
}

TEST(YamlValueTest, ReadsTextNamesListsAndSizes) {
  const YamlDocument document = Parse("{text: a b, name: gptq, list: [1, 2], size: 2KiB}");
  const YamlValue root(document);
  EXPECT_EQ(root.Child("text")->Text("a text"), "a b");
  constexpr std::array<std::string_view, 2> kNames = {"rtn", "gptq"};
  EXPECT_EQ(root.Child("name")->Name(kNames), "gptq");
  EXPECT_EQ(root.Child("list")->List("a list")[1].path(), "list[1]");
  EXPECT_EQ(root.Child("size")->Bytes(), 2048U);
  EXPECT_FALSE(root.Child("absent"));
  const auto text = [](const YamlValue& value) { value.Text("a text"); };
  EXPECT_EQ(ErrorOfA("", text), "x.yaml:1: a: expected a text, found nothing");
  EXPECT_EQ(ErrorOfA("''", text), "x.yaml:1: a: expected a text, found \"\"");
  EXPECT_EQ(ErrorOfA("[b]", text), "x.yaml:1: a: expected a text, found a list");
  const auto name = [&](const YamlValue& value) { value.Name(kNames); };
  EXPECT_EQ(ErrorOfA("gtpq", name),
            "x.yaml:1: a: expected one of rtn, gptq, found \"gtpq\" (did you mean gptq?)");
  EXPECT_EQ(ErrorOfA("somewhere", name),
            "x.yaml:1: a: expected one of rtn, gptq, found \"somewhere\"");
  EXPECT_EQ(ErrorOfA("{}", name), "x.yaml:1: a: expected one of rtn, gptq, found an empty map");
  const auto list = [](const YamlValue& value) { value.List("a list of things"); };
  EXPECT_EQ(ErrorOfA("b", list), "x.yaml:1: a: expected a list of things, found \"b\"");
  EXPECT_EQ(ErrorOfA("[]", list), "x.yaml:1: a: expected a list of things, found an empty list");
  const auto size = [](const YamlValue& value) { value.Bytes(); };
  EXPECT_EQ(ErrorOfA("[1GiB]", size), "x.yaml:1: a: expected a size such as 12GiB, found a list");
}

TEST(YamlValueTest, LongTextIsCutInMessagesBetweenCharacters) {
  const std::string letters = std::string(59, 'x') + "é" + "tail";
  EXPECT_EQ(ErrorOfA(letters, [](const YamlValue& value) { value.Bool(); }),
            "x.yaml:1: a: expected true or false, found \"" + std::string(59, 'x') + "...\"");
}

constexpr std::array<std::string_view, 3> kKeys = {"method", "format", "group"};

TEST(YamlMapTest, RefusesUnknownKeysBeforeMissingOnes) {
  const YamlDocument document = Parse("recipes:\n  - {method: rtn,\n     formta: nf4}\n");
  const YamlValue recipe = YamlValue(document).Child("recipes")->List("a list")[0];
  EXPECT_EQ(MessageOf([&] { YamlMap(recipe, "a recipe", kKeys); }),
            "x.yaml:3: recipes[0].formta: expected one of method, format, group, found \"formta\" "
            "(did you mean "
            "format?)");
  EXPECT_EQ(MessageOf([&] { YamlMap(*recipe.Child("method"), "a recipe", kKeys); }),
            "x.yaml:2: recipes[0].method: expected a recipe, found \"rtn\"");
}

TEST(YamlMapTest, NamesMissingAndUnusedKeys) {
  const YamlDocument document = Parse("method: rtn\ngroup: 4\n");
  YamlMap map(YamlValue(document), "a recipe", kKeys);
  EXPECT_EQ(MessageOf([&] { map.Get("format", "a format"); }),
            "x.yaml:1: format: expected a format, found nothing");
  EXPECT_TRUE(map.Has("group"));
  EXPECT_FALSE(map.Find("format"));
  EXPECT_EQ(map.Get("method", "a method").Text("a method"), "rtn");
  EXPECT_EQ(MessageOf([&] { map.Finish("beside fp16"); }),
            "x.yaml:2: group: expected no such key beside fp16, found 4");
  map.Find("group");
  map.Finish("beside fp16");
}

TEST(YamlMapTest, RefusesADocumentThatIsNoMap) {
  const auto message = [](std::string_view text) {
    const YamlDocument document = Parse(text);
    return MessageOf([&] { YamlMap(YamlValue(document), "a map", kKeys); });
  };
  EXPECT_EQ(message(""), "x.yaml: expected a map, found nothing");
  EXPECT_EQ(message("method:rtn\n"), "x.yaml:1: expected a map, found \"method:rtn\"");
  EXPECT_EQ(message("- a\n"), "x.yaml:1: expected a map, found a list");
}

// Each of these took the product of its two lengths: minutes.
TEST(YamlReaderTest, ManyItemsBesideMuchElseTakeTheirSum) {
  std::string items;
  for (int i = 0; i < 90'000; ++i) items.append("a,");
  EXPECT_EQ(Parse("[" + items + "]" + std::string(800'000, ' ')).root.children.size(), 90'000U);
  std::string empty;
  for (int i = 0; i < 90'000; ++i) empty.append("~,");
  EXPECT_EQ(Parse("[" + std::string(800'000, '\n') + empty + "]").root.children.size(), 90'000U);
}

}  // namespace
}  // namespace daq
