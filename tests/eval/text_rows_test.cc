#include "eval/text_rows.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"
#include "eval/utf8.h"
#include "tests/support/shared.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/text_files.h"

namespace daq {
namespace {

// `content` as a gzip stream (RFC 1952).
std::string Gzip(std::string_view content) {
  z_stream stream = {};
  constexpr int kGzipWindow = 15 + 16;  // 16 asks zlib for a gzip header
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::runtime_error("deflateInit2");
  }
  std::string packed(deflateBound(&stream, content.size()), '\0');
  // zlib reads through a pointer to non-const, but does not write.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = static_cast<uInt>(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) throw std::runtime_error("deflate");
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

// `content` as a zstd frame (RFC 8878).
std::string Zstd(std::string_view content) {
  std::string packed(ZSTD_compressBound(content.size()), '\0');
  const std::size_t size =
      ZSTD_compress(packed.data(), packed.size(), content.data(), content.size(), 3);
  if (ZSTD_isError(size) != 0) throw std::runtime_error("ZSTD_compress");
  packed.resize(size);
  return packed;
}

std::vector<std::string> Rows(const TextRows& rows) {
  std::vector<std::string> result;
  for (Index index = 0; index < rows.count(); ++index) result.emplace_back(rows.row(index));
  return result;
}

class TextRowsTest : public testing::Test {
 protected:
  // The rows of a file with this name and content.
  std::vector<std::string> Read(const std::string& name, std::string_view content) {
    return Rows(ReadTextRows(WriteText(folder_.path(), name, content)));
  }
  // What reading it says, without the folder's name before it.
  std::string Message(const std::string& name, std::string_view content) {
    const std::string message = MessageOf([&] { Read(name, content); });
    const std::string prefix = folder_.path().string() + "/";
    return message.starts_with(prefix) ? message.substr(prefix.size()) : message;
  }

  TemporaryFolder folder_;
};

TEST_F(TextRowsTest, JsonLinesGiveTheirTextFieldAsItIs) {
  const std::vector<std::string> expected = {"", " = A \n", "caf\u00e9 \U0001f600"};
  const std::string lines =
      "{\"text\": \"\"}\n{\"url\": \"x\", \"text\": \" = A \\n\"}\n{\"text\": \"caf\\u00e9 "
      "\\ud83d\\ude00\"}";
  EXPECT_EQ(Read("a.jsonl", lines), expected);
  EXPECT_EQ(Read("b.jsonl", lines + "\n"), expected) << "the last line may end in a line feed";
  EXPECT_EQ(Read("c.json.gz", Gzip(lines)), expected);
  EXPECT_EQ(Read("d.jsonl.gz", Gzip(lines)), expected);
  EXPECT_EQ(Read("e.json.zst", Zstd(lines)), expected);
  EXPECT_EQ(Read("f.jsonl.zst", Zstd(lines)), expected);
}

TEST_F(TextRowsTest, GzipFilesOfSeveralMembersAreReadToTheEnd) {
  EXPECT_EQ(Read("a.json.gz", Gzip("{\"text\": \"one\"}\n") + Gzip("{\"text\": \"two\"}\n")),
            (std::vector<std::string>{"one", "two"}));
}

TEST_F(TextRowsTest, ZstdFilesOfSeveralFramesAreReadToTheEnd) {
  const std::vector<std::string> expected = {"one", "two"};
  const std::string one = Zstd("{\"text\": \"one\"}\n");
  const std::string two = Zstd("{\"text\": \"two\"}\n");
  // Blocks of 2^17 bytes that do not end where the reader's buffers do.
  const std::string text(3'000'000, 'x');
  EXPECT_TRUE(Read("a.jsonl.zst", one + Zstd("{\"text\": \"" + text + "\"}\n")) ==
              (std::vector<std::string>{"one", text}));
  const std::string skippable("\x53\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);
  EXPECT_EQ(Read("a.jsonl.zst", one + two), expected);
  EXPECT_EQ(Read("a.jsonl.zst", one + Zstd("") + two), expected);
  EXPECT_EQ(Read("a.jsonl.zst", skippable + one + skippable + two), expected);
}

TEST_F(TextRowsTest, LinesLongerThanAnyBufferAreWhole) {
  // The reader takes 2^18 bytes at a time: lengths around it, and lines that end exactly at its
  // end.
  for (const std::size_t length : {262130U, 262131U, 262132U, 262133U, 262144U, 1000001U}) {
    const std::string text(length, 'x');
    const std::string lines = "{\"text\": \"" + text + "\"}\n{\"text\": \"end\"}\n";
    EXPECT_EQ(Read("a.jsonl", lines), (std::vector<std::string>{text, "end"})) << length;
    EXPECT_EQ(Read("a.json.gz", Gzip(lines)), (std::vector<std::string>{text, "end"})) << length;
    EXPECT_EQ(Read("a.jsonl.zst", Zstd(lines)), (std::vector<std::string>{text, "end"})) << length;
  }
}

TEST_F(TextRowsTest, LinesThatCrossBuffersAreWhole) {
  // About 20 buffers of lines of all lengths, so that a line is cut at each buffer's end.
  std::string lines;
  std::vector<std::string> expected;
  for (std::size_t line = 0; lines.size() < 5'000'000; ++line) {
    expected.push_back(std::to_string(line) + std::string(line % 1009, 'x'));
    lines += "{\"text\": \"" + expected.back() + "\"}\n";
  }
  EXPECT_TRUE(Read("a.jsonl", lines) == expected);
  EXPECT_TRUE(Read("a.json.gz", Gzip(lines)) == expected);
  EXPECT_TRUE(Read("a.jsonl.zst", Zstd(lines)) == expected);
}

TEST_F(TextRowsTest, RawTextGivesTheRowsOfHuggingFacesWikitext) {
  EXPECT_EQ(Read("a.raw", " \n = A = \n\n b \n \t \n"),
            (std::vector<std::string>{"", " = A = \n", "", " b \n", ""}));
  EXPECT_EQ(Read("a.txt", "one\ntwo"), (std::vector<std::string>{"one\n", "two"}));
  // Blank as str.strip() sees it: no-break space, ideographic space, unit separator; not the
  // zero-width space.
  EXPECT_EQ(Read("a.tokens", "\u00a0\u3000\x1f\n\u200b\n"),
            (std::vector<std::string>{"", "\u200b\n"}));
  // As Python's text mode reads line ends.
  EXPECT_EQ(Read("a.raw", "a\r\nb\rc\r\n"), (std::vector<std::string>{"a\n", "b\n", "c\n"}));
}

TEST_F(TextRowsTest, ReadsOnlyAsManyRowsAsAsked) {
  // The damage in line 3 is past what is wanted.
  const auto path =
      WriteText(folder_.path(), "a.jsonl", "{\"text\": \"1\"}\n{\"text\": \"2\"}\nnot JSON\n");
  EXPECT_EQ(Rows(ReadTextRows(path, 2)), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(Rows(ReadTextRows(WriteText(folder_.path(), "a.raw", "x\ny\nz\n"), 1)),
            (std::vector<std::string>{"x\n"}));
}

TEST_F(TextRowsTest, RawTextComesAsItIs) {
  EXPECT_EQ(ReadRawText(WriteText(folder_.path(), "a.raw", "a\r\n\n \nb")), "a\r\n\n \nb");
  EXPECT_EQ(
      MessageOf([&] { ReadRawText(folder_.path() / "a.jsonl"); }),
      (folder_.path() / "a.jsonl").string() + ": expected a text named *.txt, *.raw or *.tokens");
}

TEST_F(TextRowsTest, NamesTheLineOfBadJson) {
  EXPECT_EQ(Message("a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\n"),
            "a.jsonl:2: expected a JSON object, found a syntax error at byte 12");
  EXPECT_EQ(Message("a.jsonl", "{\"text\": \"a\"}\n\n{\"text\": \"b\"}\n"),
            "a.jsonl:2: expected a JSON object, found a syntax error at byte 2");
  EXPECT_EQ(Message("a.jsonl", "[\"text\"]\n"), "a.jsonl:1: expected a JSON object, found array");
  EXPECT_EQ(Message("a.jsonl", "{\"text\": \"a\"}\n{\"txt\": \"b\"}\n"),
            "a.jsonl:2: text: expected a string, found no such key");
  EXPECT_EQ(Message("a.jsonl", "{\"text\": 7}\n"),
            "a.jsonl:1: text: expected a string, found number");
  EXPECT_EQ(Message("a.jsonl", "{\"text\": \"\xff\"}\n"),
            "a.jsonl:1: expected a JSON object, found a syntax error at byte 11");
  EXPECT_EQ(Message("a.jsonl", "{\"text\": \"a\"}\n{\"id\": 1e999, \"text\": \"b\"}\n"),
            "a.jsonl:2: expected a JSON object, found a number that no double holds");
}

TEST_F(TextRowsTest, NamesDamagedGzipData) {
  std::string lines;
  for (int line = 0; line < 1000; ++line)
    lines += "{\"text\": \"" + std::to_string(line * 7919 % 1000) + "\"}\n";
  const std::string packed = Gzip(lines);
  const std::string cut =
      Message("a.json.gz", std::string_view(packed).substr(0, packed.size() / 2));
  EXPECT_TRUE(cut.ends_with(": the gzip data ends early: the file is truncated")) << cut;
  EXPECT_EQ(Message("a.json.gz", std::string_view(packed).substr(0, packed.size() - 4)),
            "a.json.gz:1001: the gzip data ends early: the file is truncated");
  std::string flipped = packed;
  flipped[packed.size() - 6] =
      static_cast<char>(flipped[packed.size() - 6] ^ 1);  // in the checksum
  EXPECT_EQ(Message("a.json.gz", flipped), "a.json.gz:1: damaged gzip data: incorrect data check");
  EXPECT_EQ(Message("a.json.gz", lines), "a.json.gz: expected gzip data, found something else");
  EXPECT_EQ(Message("a.jsonl", packed),
            "a.jsonl: expected text, found gzip data: its name must end in .gz");
}

TEST_F(TextRowsTest, NamesDamagedZstdData) {
  // Of two blocks and more, so that there is something before the damage.
  std::string lines;
  for (int line = 0; line < 40000; ++line)
    lines += "{\"text\": \"" + std::to_string(line * 7919 % 40009) + "\"}\n";
  const std::string packed = Zstd(lines);
  const std::string cut =
      Message("a.jsonl.zst", std::string_view(packed).substr(0, packed.size() / 2));
  EXPECT_TRUE(cut.ends_with(": the zstd data ends early: the file is truncated")) << cut;
  EXPECT_FALSE(cut.starts_with("a.jsonl.zst:1:")) << cut;
  // Every length short of the whole is refused, the last byte of the last block too.
  for (const std::size_t missing : {1U, 2U, 3U, 4U, 100U}) {
    const std::string end =
        Message("a.jsonl.zst", std::string_view(packed).substr(0, packed.size() - missing));
    EXPECT_TRUE(end.ends_with(": the zstd data ends early: the file is truncated")) << end;
  }
  EXPECT_EQ(Message("a.jsonl.zst", std::string_view(packed).substr(0, 5)),
            "a.jsonl.zst:1: the zstd data ends early: the file is truncated");
  std::string flipped = packed;
  flipped[4] = static_cast<char>(flipped[4] | 8);  // a reserved bit of the frame's header
  EXPECT_EQ(Message("a.jsonl.zst", flipped).substr(0, 34), "a.jsonl.zst:1: damaged zstd data: ");
  EXPECT_EQ(Message("a.jsonl.zst", packed + "junk").substr(0, 38),
            "a.jsonl.zst:40001: damaged zstd data: ");
  EXPECT_EQ(Message("a.jsonl.zst", lines), "a.jsonl.zst: expected zstd data, found something else");
  EXPECT_EQ(Message("a.jsonl.zst", ""), "a.jsonl.zst: expected zstd data, found something else");
  EXPECT_EQ(Message("a.jsonl.zst", Gzip(lines)),
            "a.jsonl.zst: expected zstd data, found something else");
  EXPECT_EQ(Message("a.jsonl", packed),
            "a.jsonl: expected text, found zstd data: its name must end in .zst");
  EXPECT_EQ(Message("a.json.gz", packed), "a.json.gz: expected gzip data, found something else");
}

TEST_F(TextRowsTest, CountsAndPicksRows) {
  const std::string lines =
      "{\"text\": \"0\"}\n{\"text\": \"1\"}\n{\"text\": \"2\"}\n{\"text\": \"3\"}";
  for (const std::filesystem::path& path :
       {WriteText(folder_.path(), "a.jsonl", lines),
        WriteText(folder_.path(), "a.json.gz", Gzip(lines + "\n")),
        WriteText(folder_.path(), "a.jsonl.zst", Zstd(lines)),
        WriteText(folder_.path(), "a.txt", "0\n1\n2\n3")}) {
    EXPECT_EQ(CountTextRows(path), 4) << path;
    const std::string end = path.extension() == ".txt" ? "\n" : "";
    const std::vector<Index> numbers = {3, 0, 2};
    EXPECT_EQ(PickTextRows(path, numbers), (std::vector<std::string>{"3", "0" + end, "2" + end}))
        << path;
    EXPECT_TRUE(PickTextRows(path, {}).empty());
  }
}

TEST_F(TextRowsTest, PickedRowsAreCheckedAndOthersNot) {
  const auto path =
      WriteText(folder_.path(), "a.jsonl", "{\"text\": \"0\"}\nnot JSON\n{\"text\": \"2\"}\n");
  EXPECT_EQ(CountTextRows(path), 3);
  const std::vector<Index> good = {2, 0};
  EXPECT_EQ(PickTextRows(path, good), (std::vector<std::string>{"2", "0"}));
  const std::vector<Index> bad = {2, 1};
  EXPECT_EQ(MessageOf([&] { PickTextRows(path, bad); }),
            path.string() + ":2: expected a JSON object, found a syntax error at byte 2");
  EXPECT_EQ(MessageOf([&] { CountTextRows(WriteText(folder_.path(), "b.jsonl", "")); }),
            (folder_.path() / "b.jsonl").string() + ": the file is empty: expected text");
}

TEST_F(TextRowsTest, NamesFilesThatCannotBeText) {
  EXPECT_EQ(Message("a.csv", "x"),
            "a.csv: expected a text named *.jsonl, *.jsonl.gz, *.json.gz, *.jsonl.zst, *.json.zst, "
            "*.txt, "
            "*.raw or *.tokens");
  EXPECT_EQ(Message("a.jsonl", ""), "a.jsonl: the file is empty: expected text");
  EXPECT_EQ(Message("a.json.gz", Gzip("")), "a.json.gz: the file is empty: expected text");
  EXPECT_EQ(Message("a.raw", ""), "a.raw: the file is empty: expected text");
  EXPECT_EQ(Message("a.raw", "ab\ncd\xc3(\n"),
            "a.raw:2: expected text in UTF-8, found byte 0xc3 at offset 5");
  const auto folder = folder_.path().string();
  EXPECT_EQ(MessageOf([&] { ReadTextRows(folder_.path() / "no.jsonl"); }),
            folder + "/no.jsonl: No such file or directory");
  EXPECT_EQ(MessageOf([&] { ReadTextRows(folder_.path() / "no.raw"); }),
            folder + "/no.raw: No such file or directory");
  std::filesystem::create_directory(folder_.path() / "d.jsonl");
  EXPECT_EQ(MessageOf([&] { ReadTextRows(folder_.path() / "d.jsonl"); }),
            folder + "/d.jsonl: this is a folder, expected a file");
}

TEST_F(TextRowsTest, JoinsRows) {
  TextRows rows;
  rows.Append("a\n");
  EXPECT_EQ(JoinRows(rows, "\n\n"), "a\n");
  rows.Append("");
  rows.Append("b");
  EXPECT_EQ(JoinRows(rows, "\n\n"), "a\n\n\n\n\nb");
  EXPECT_EQ(JoinRows(rows, " "), "a\n  b");
}

TEST(Utf8Test, FindsTheFirstByteThatIsNotUtf8) {
  const std::string good = "a\u00e9\u20ac\U0001f600\U0010ffff\u0800\U00010000\u0080";
  EXPECT_EQ(FirstInvalidUtf8(good), good.size());
  EXPECT_EQ(FirstInvalidUtf8(""), 0U);
  // Each of these is wrong by one rule: a lone continuation, two overlong forms, a surrogate, past
  // U+10FFFF, a lead that no character has, and characters that end early.
  for (const std::string bad :
       {"\x80", "\xc0\x80", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80", "\xf4\x90\x80\x80",
        "\xf8\x88\x80\x80", "\xe2\x82", "\xf0\x9f\x98", "\xc3(", "\xe2(\xa1"}) {
    EXPECT_EQ(FirstInvalidUtf8("ab" + bad), 2U);
    EXPECT_EQ(FirstInvalidUtf8("ab" + bad + "c"), 2U);
  }
}

TEST(Utf8Test, StripsAsPythonDoes) {
  EXPECT_EQ(Strip(""), "");
  EXPECT_EQ(Strip(" \n\t"), "");
  EXPECT_EQ(Strip("a"), "a");
  EXPECT_EQ(Strip(" a b\n"), "a b");
  EXPECT_EQ(Strip("\u00a0\u3000\x1f\u00e9 \u200b\u2028\u0085\r"), "\u00e9 \u200b");
  EXPECT_EQ(Strip("\u200b \U0001f600"), "\u200b \U0001f600") << "no zero-width space";
  // A continuation byte alone looks like the end of a space that is not there.
  EXPECT_EQ(Strip("a\u00c5\u00a0"), "a\u00c5");
  EXPECT_EQ(Strip("\u0120"), "\u0120");
}

TEST(GoldenTextRowsTest, RawWikiTextEqualsTheRowsOfHuggingFace) {
  DAQ_REQUIRE_SHARED("data/wikitext2/wiki.test.raw");
  const auto raw = Rows(ReadTextRows(SharedPath("data/wikitext2/wiki.test.raw")));
  const auto rows = Rows(ReadTextRows(SharedPath("data/wikitext2/test.rows.jsonl")));
  EXPECT_EQ(raw.size(), 4358U);  // the published number of rows
  EXPECT_TRUE(raw == rows);
}

}  // namespace
}  // namespace daq
