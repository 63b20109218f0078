#include "eval/json_file.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/support/input_error.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

std::string ParseError(const std::string& text) {
  return InputErrorOf("-", [&] { ParseJson(text, "a.json"); });
}

TEST(JsonFileTest, ReadsAFile) {
  const TemporaryFolder folder;
  const nlohmann::json json = ReadJsonFile(
      WriteText(folder.path(), "a.json", "{\"a\": [1, 2.5, \"\\u00e9\"], \"b\": null}\n"));
  EXPECT_EQ(json.dump(), "{\"a\":[1,2.5,\"é\"],\"b\":null}");
}

TEST(JsonFileTest, OrderedKeepsTheOrderAndIsAsStrict) {
  EXPECT_EQ(ParseOrderedJson("{\"b\": 1, \"a\": [2]}", "a.json").dump(), "{\"b\":1,\"a\":[2]}");
  EXPECT_EQ(InputErrorOf("-", [] { ParseOrderedJson("{\"b\": 1,\n\"b\": 2}", "a.json"); }),
            "a.json:2: b: expected a key once, found it twice");
  EXPECT_EQ(InputErrorOf("-", [] { ParseOrderedJson(std::string(100'000, '['), "a.json"); }),
            "a.json:1: values are nested deeper than 64");
}

TEST(JsonFileTest, AMissingFileIsNamed) {
  EXPECT_EQ(InputErrorOf("/nowhere", [] { ReadJsonFile("/nowhere/a.json"); }),
            "a.json: No such file or directory");
}

TEST(JsonFileTest, SyntaxErrorsCarryTheLine) {
  EXPECT_EQ(ParseError("{\"a\": 1,\n\"b\": }\n"),
            "a.json:2: not JSON: syntax error while parsing value - unexpected '}'; expected '[', "
            "'{', or a literal");
  EXPECT_EQ(ParseError("{\"a\": 1,\n\n\n"),
            "a.json:3: not JSON: syntax error while parsing object key - unexpected end of input; "
            "expected string literal");
  EXPECT_EQ(ParseError(""),
            "a.json:1: not JSON: syntax error while parsing value - unexpected end of input; "
            "expected '[', '{', "
            "or a literal");
  EXPECT_EQ(ParseError("{}\n{}"),
            "a.json:2: not JSON: syntax error while parsing value - unexpected '{'; expected end "
            "of input");
}

TEST(JsonFileTest, WhatJsonHasNoNumberForIsRefused) {
  EXPECT_TRUE(ParseError("{\"a\": NaN}").starts_with("a.json:1: not JSON: "))
      << ParseError("{\"a\": NaN}");
  EXPECT_EQ(ParseError("{\n\"a\": 1e999}"), "a.json:2: not JSON: number overflow parsing '1e999'");
  EXPECT_TRUE(ParseError("\"\xff\"").starts_with("a.json:1: not JSON: ")) << ParseError("\"\xff\"");
}

TEST(JsonFileTest, AKeyGivenTwiceIsRefusedWithItsLine) {
  EXPECT_EQ(ParseError("{\"a\": 1,\n\"b\": {\"a\": 2},\n\"a\": 3}"),
            "a.json:3: a: expected a key once, found it twice");
  EXPECT_EQ(ParseError("{\"a\": [{\"b\": 1, \"b\": 1}]}"),
            "a.json:1: b: expected a key once, found it twice");
  EXPECT_EQ(ParseError("[{\"a\": 1}, {\"a\": {\"a\": 1}}]"), "no error");
}

TEST(JsonFileTest, DeepNestingIsRefusedBeforeItCostsMemory) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_EQ(ParseError(nested(64)), "no error");
  EXPECT_EQ(ParseError(nested(1000000)), "a.json:1: values are nested deeper than 64");
}

TEST(JsonFileTest, ValuesInMessagesAreShort) {
  EXPECT_EQ(DescribeJson("text"), "\"text\"");
  EXPECT_EQ(DescribeJson({1, 2}), "[1,2]");
  EXPECT_EQ(DescribeJson(nlohmann::json::array()), "[]");
  EXPECT_EQ(DescribeJson(nlohmann::json::object()), "{}");
  EXPECT_EQ(DescribeJson({{"a", 1}}), "an object");
  EXPECT_EQ(DescribeJson(nlohmann::json(1000, 1)), "a list");
  // 58 bytes fit beside the quote; the next character has two bytes and must not be cut in half.
  EXPECT_EQ(DescribeJson(std::string(58, 'x') + "éé"), "\"" + std::string(58, 'x') + "...");
  EXPECT_EQ(DescribeName("a\nb\"\xff"), "a\\nb\\\"\xef\xbf\xbd");
  EXPECT_EQ(DescribeName(std::string(300, 'x')), std::string(200, 'x') + "...");
}

class JsonObjectTest : public testing::Test {
 protected:
  template <typename Action>
  std::string Error(const Action& action) const {
    return InputErrorOf("-", [&] { action(JsonObject(json_, "a.json")); });
  }

  const nlohmann::json json_ = nlohmann::json::parse(
      R"({"one": 1, "minus": -1, "half": 0.5, "exact": 4.0, "big": 18446744073709551615, "text": "x", "yes": true,
          "nothing": null, "inner": {"deep": {"n": "x"}}})");
};

TEST_F(JsonObjectTest, GivesTypedMembers) {
  const JsonObject object(json_, "a.json");
  EXPECT_EQ(object.Integer("one", 1, 1), 1);
  EXPECT_EQ(object.Integer("minus", -1, 5), -1);
  EXPECT_EQ(object.Number("half", 0), 0.5);
  EXPECT_EQ(object.Number("one", 1), 1.0);
  EXPECT_EQ(object.NumberAbove("exact", 3.5), 4.0);
  EXPECT_EQ(object.String("text"), "x");
  EXPECT_TRUE(object.Boolean("yes"));
  EXPECT_EQ(object.Object("inner").Object("deep").String("n"), "x");
  EXPECT_TRUE(object.Has("one"));
  EXPECT_FALSE(object.Has("nothing")) << "null is absent";
  EXPECT_FALSE(object.Has("elsewhere"));
}

TEST_F(JsonObjectTest, MissingMembersAreNamed) {
  EXPECT_EQ(Error([](const JsonObject& o) { o.Integer("two", 1, 9); }),
            "a.json: two: expected an integer from 1 to 9, found nothing");
  EXPECT_EQ(Error([](const JsonObject& o) { o.String("nothing"); }),
            "a.json: nothing: expected a string, found nothing");
  EXPECT_EQ(Error([](const JsonObject& o) { o.Object("inner").Boolean("b"); }),
            "a.json: inner.b: expected true or false, found nothing");
}

TEST_F(JsonObjectTest, WrongTypesAreNamed) {
  EXPECT_EQ(Error([](const JsonObject& o) { o.Integer("text", 1, 9); }),
            "a.json: text: expected an integer from 1 to 9, found \"x\"");
  EXPECT_EQ(Error([](const JsonObject& o) { o.Integer("exact", 1, 9); }),
            "a.json: exact: expected an integer from 1 to 9, found 4.0");
  EXPECT_EQ(Error([](const JsonObject& o) { o.Integer("yes", 1, 9); }),
            "a.json: yes: expected an integer from 1 to 9, found true");
  EXPECT_EQ(Error([](const JsonObject& o) { o.Number("yes", 0); }),
            "a.json: yes: expected a number of at least 0, found true");
  EXPECT_EQ(Error([](const JsonObject& o) { o.Boolean("one"); }),
            "a.json: one: expected true or false, found 1");
  EXPECT_EQ(Error([](const JsonObject& o) { o.String("one"); }),
            "a.json: one: expected a string, found 1");
  EXPECT_EQ(Error([](const JsonObject& o) { o.Object("one"); }),
            "a.json: one: expected an object, found 1");
  EXPECT_EQ(Error([](const JsonObject& o) { o.Object("inner").Object("deep").Integer("n", 0, 1); }),
            "a.json: inner.deep.n: expected an integer from 0 to 1, found \"x\"");
  EXPECT_EQ(InputErrorOf("-", [] { JsonObject(nlohmann::json(3), "a.json"); }),
            "a.json: expected an object, found 3");
}

TEST_F(JsonObjectTest, NumbersOutOfRangeAreRefusedNotWrapped) {
  EXPECT_EQ(Error([](const JsonObject& o) { o.Integer("one", 2, 9); }),
            "a.json: one: expected an integer from 2 to 9, found 1");
  EXPECT_EQ(Error([](const JsonObject& o) {
              o.Integer("big", -1, std::numeric_limits<std::int64_t>::max());
            }),
            "a.json: big: expected an integer from -1 to 9223372036854775807, found "
            "18446744073709551615");
  EXPECT_EQ(Error([](const JsonObject& o) { o.Number("half", 1); }),
            "a.json: half: expected a number of at least 1, found 0.5");
  EXPECT_EQ(Error([](const JsonObject& o) { o.Number("half", 0, 0.25); }),
            "a.json: half: expected a number from 0 to 0.25, found 0.5");
  EXPECT_EQ(Error([](const JsonObject& o) { o.NumberAbove("half", 0.5); }),
            "a.json: half: expected a number above 0.5, found 0.5");
  EXPECT_EQ(Error([](const JsonObject& o) { o.NumberAbove("half", 0, 0.25); }),
            "a.json: half: expected a number above 0 and at most 0.25, found 0.5");
}

}  // namespace
}  // namespace daq
