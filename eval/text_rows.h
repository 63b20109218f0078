#pragma once
#include <cstddef>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/matrix.h"

namespace daq {

// The rows (documents) of a text file in the order of the file, stored end to end: as much memory
// as the text has bytes. Row i stands on line i + 1 of its file. All text is valid UTF-8.
class TextRows {
 public:
  Index count() const { return static_cast<Index>(ends_.size()); }
  std::string_view row(Index index) const;
  std::int64_t bytes() const { return static_cast<std::int64_t>(text_.size()); }

  void Append(std::string_view row);

 private:
  std::string text_;
  std::vector<std::size_t> ends_;  // row i ends before text_[ends_[i]]
};

// What can be read as rows, by the end of the name:
//   .jsonl, also .jsonl.gz, .json.gz, .jsonl.zst, .json.zst
//                                 a JSON object a line; its member `text` is the row
//   .txt, .raw, .tokens           rows as Hugging Face's `wikitext` data set makes them: each line
//   with its line
//                                 feed is a row, and a line of nothing but white space is the empty
//                                 row. As in Python's text mode, "\r\n" and "\r" are read as "\n".
// Reads at most max_rows rows; what follows them is not looked at. Throws InputError with file and
// line for a name of another kind, a file that cannot be read, damaged packed data, text that is
// not UTF-8, a line that is not a JSON object with a string `text`, and a file without rows.
TextRows ReadTextRows(const std::filesystem::path& path,
                      Index max_rows = std::numeric_limits<Index>::max());

// How many rows the file has. Of JSON lines only the lines are counted, so that gigabytes take
// seconds; whether a line is one shows when its row is read. Holds one line at a time. Throws
// InputError as ReadTextRows does.
Index CountTextRows(const std::filesystem::path& path);

// The rows of these numbers, distinct and each below CountTextRows, in the order given. Reads up to
// the last of them and, of JSON lines, holds and checks these alone. Throws InputError as
// ReadTextRows does.
std::vector<std::string> PickTextRows(const std::filesystem::path& path,
                                      std::span<const Index> numbers);

// The bytes of a .txt, .raw or .tokens file as they are. Throws InputError for a name of another
// kind, a file that cannot be read or is empty, and text that is not UTF-8.
std::string ReadRawText(const std::filesystem::path& path);

// As Python reads a file in text mode: "\r\n" and a lone "\r" become "\n".
std::string WithLineFeeds(std::string_view text);

// Rows 0 .. count() - 1 with `separator` between neighbours.
std::string JoinRows(const TextRows& rows, std::string_view separator);

}  // namespace daq
