#include "eval/text_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "eval/line_reader.h"
#include "eval/utf8.h"

namespace daq {
namespace {

struct FileKind {
  bool json_lines = false;  // else raw text
  Packing packing = Packing::kNone;
};

std::optional<FileKind> KindOf(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const auto ends = [&](std::string_view ending) { return name.ends_with(ending); };
  if (ends(".jsonl")) return FileKind{.json_lines = true};
  if (ends(".jsonl.gz") || ends(".json.gz"))
    return FileKind{.json_lines = true, .packing = Packing::kGzip};
  if (ends(".jsonl.zst") || ends(".json.zst"))
    return FileKind{.json_lines = true, .packing = Packing::kZstd};
  if (ends(".txt") || ends(".raw") || ends(".tokens")) return FileKind{};
  return std::nullopt;
}

FileKind RequireKind(const std::filesystem::path& path) {
  const std::optional<FileKind> kind = KindOf(path);
  if (!kind) {
    throw InputError({path.string()},
                     "expected a text named *.jsonl, *.jsonl.gz, *.json.gz, *.jsonl.zst, "
                     "*.json.zst, *.txt, *.raw or *.tokens");
  }
  return *kind;
}

// The `text` of one line of JSON. `where` is its place.
std::string TextOfJson(std::string_view line, const FileLocation& where) {
  using Json = nlohmann::json;
  Json object;
  try {
    object = Json::parse(line);
  } catch (const Json::parse_error& error) {
    throw InputError(
        where, fmt::format("expected a JSON object, found a syntax error at byte {}", error.byte));
  } catch (const Json::out_of_range&) {  // JSON's grammar has no limit for numbers, double has
    throw InputError(where, "expected a JSON object, found a number that no double holds");
  }
  if (!object.is_object())
    throw InputError(where, fmt::format("expected a JSON object, found {}", object.type_name()));
  const auto text = object.find("text");
  if (text == object.end()) throw InputError(where, "text", "a string", "no such key");
  if (!text->is_string()) throw InputError(where, "text", "a string", text->type_name());
  return std::move(text->get_ref<std::string&>());
}

TextRows RowsOfRawText(std::string_view text, Index max_rows) {
  TextRows rows;
  while (!text.empty() && rows.count() < max_rows) {
    const std::size_t feed = text.find('\n');
    const std::string_view line = text.substr(0, feed == std::string_view::npos ? feed : feed + 1);
    rows.Append(IsBlank(line) ? std::string_view() : line);
    text.remove_prefix(line.size());
  }
  return rows;
}

[[noreturn]] void ThrowEmpty(const std::filesystem::path& path) {
  throw InputError({path.string()}, "the file is empty: expected text");
}

// Calls `take` with the number of each row, from 0, and its line, while `take` returns true.
template <typename Take>
void ForEachLine(const std::filesystem::path& path, Packing packing, const Take& take) {
  LineReader reader(path, packing);
  std::string_view line;
  Index number = 0;
  while (reader.Next(line) && take(number, line)) {
    if (++number % 4096 == 0) ThrowIfInterrupted();
  }
}

std::string TextOfLine(const std::filesystem::path& path, Index number, std::string_view line) {
  return TextOfJson(line, {path.string(), static_cast<int>(number + 1)});
}

TextRows RowsOfJsonLines(const std::filesystem::path& path, Packing packing, Index max_rows) {
  TextRows rows;
  ForEachLine(path, packing, [&](Index number, std::string_view line) {
    rows.Append(TextOfLine(path, number, line));
    return rows.count() < max_rows;
  });
  if (rows.count() == 0) ThrowEmpty(path);
  return rows;
}

}  // namespace

std::string_view TextRows::row(Index index) const {
  DAQ_CHECK(index >= 0 && index < count(), "a row that exists");
  const auto at = static_cast<std::size_t>(index);
  const std::size_t begin = at == 0 ? 0 : ends_[at - 1];
  return std::string_view(text_).substr(begin, ends_[at] - begin);
}

void TextRows::Append(std::string_view row) {
  text_ += row;
  ends_.push_back(text_.size());
}

TextRows ReadTextRows(const std::filesystem::path& path, Index max_rows) {
  DAQ_CHECK(max_rows >= 1, "at least one row");
  const FileKind kind = RequireKind(path);
  if (!kind.json_lines) return RowsOfRawText(WithLineFeeds(ReadRawText(path)), max_rows);
  return RowsOfJsonLines(path, kind.packing, max_rows);
}

Index CountTextRows(const std::filesystem::path& path) {
  const FileKind kind = RequireKind(path);
  if (!kind.json_lines) return ReadTextRows(path).count();
  Index count = 0;
  ForEachLine(path, kind.packing, [&](Index number, std::string_view) {
    count = number + 1;
    return true;
  });
  if (count == 0) ThrowEmpty(path);
  return count;
}

std::vector<std::string> PickTextRows(const std::filesystem::path& path,
                                      std::span<const Index> numbers) {
  std::vector<std::string> rows(numbers.size());
  std::vector<std::pair<Index, std::size_t>> wanted;  // row, place in `rows`; by row
  for (std::size_t place = 0; place < numbers.size(); ++place)
    wanted.emplace_back(numbers[place], place);
  std::sort(wanted.begin(), wanted.end());
  const FileKind kind = RequireKind(path);
  if (!kind.json_lines) {
    const TextRows all = ReadTextRows(path);
    for (const auto& [number, place] : wanted) rows[place] = all.row(number);
    return rows;
  }
  auto next = wanted.begin();
  if (next == wanted.end()) return rows;
  ForEachLine(path, kind.packing, [&](Index number, std::string_view line) {
    if (number == next->first) {
      rows[next->second] = TextOfLine(path, number, line);
      ++next;
    }
    return next != wanted.end();
  });
  DAQ_CHECK(next == wanted.end(), "rows that exist, each once");
  return rows;
}

std::string ReadRawText(const std::filesystem::path& path) {
  const std::optional<FileKind> kind = KindOf(path);
  if (!kind || kind->json_lines)
    throw InputError({path.string()}, "expected a text named *.txt, *.raw or *.tokens");
  std::string text = ReadFile(path);
  if (text.empty()) ThrowEmpty(path);
  const std::size_t invalid = FirstInvalidUtf8(text);
  if (invalid < text.size()) {
    const auto line =
        1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(invalid), '\n');
    throw InputError({path.string(), static_cast<int>(line)},
                     fmt::format("expected text in UTF-8, found byte 0x{:02x} at offset {}",
                                 static_cast<unsigned char>(text[invalid]), invalid));
  }
  return text;
}

std::string WithLineFeeds(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool pair = text[at] == '\r' && at + 1 < text.size() && text[at + 1] == '\n';
    if (!pair) result.push_back(text[at] == '\r' ? '\n' : text[at]);
  }
  return result;
}

std::string JoinRows(const TextRows& rows, std::string_view separator) {
  std::string text;
  text.reserve(static_cast<std::size_t>(rows.bytes()) +
               separator.size() * static_cast<std::size_t>(rows.count()));
  for (Index index = 0; index < rows.count(); ++index) {
    if (index > 0) text += separator;
    text += rows.row(index);
  }
  return text;
}

}  // namespace daq
