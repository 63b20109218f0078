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

enum class FileKind { kJsonLines, kPackedJsonLines, kRaw };

std::optional<FileKind> KindOf(const std::filesystem::path& path) {
  const std::string name = path.filename().string();
  const auto ends = [&](std::string_view ending) { return name.ends_with(ending); };
  if (ends(".jsonl")) return FileKind::kJsonLines;
  if (ends(".jsonl.gz") || ends(".json.gz")) return FileKind::kPackedJsonLines;
  if (ends(".txt") || ends(".raw") || ends(".tokens")) return FileKind::kRaw;
  return std::nullopt;
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
  }
  if (!object.is_object())
    throw InputError(where, fmt::format("expected a JSON object, found {}", object.type_name()));
  const auto text = object.find("text");
  if (text == object.end()) throw InputError(where, "text", "a string", "no such key");
  if (!text->is_string()) throw InputError(where, "text", "a string", text->type_name());
  return std::move(text->get_ref<std::string&>());
}

// As Python reads a file in text mode: "\r\n" and a lone "\r" become "\n".
std::string WithLineFeeds(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool pair = text[at] == '\r' && at + 1 < text.size() && text[at + 1] == '\n';
    if (!pair) result.push_back(text[at] == '\r' ? '\n' : text[at]);
  }
  return result;
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

TextRows RowsOfJsonLines(const std::filesystem::path& path, bool gzip, Index max_rows) {
  TextRows rows;
  LineReader reader(path, gzip);
  std::string_view line;
  while (rows.count() < max_rows && reader.Next(line)) {
    rows.Append(TextOfJson(line, {path.string(), reader.line_number()}));
    if (rows.count() % 4096 == 0) ThrowIfInterrupted();
  }
  if (rows.count() == 0) throw InputError({path.string()}, "the file is empty: expected text");
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
  const std::optional<FileKind> kind = KindOf(path);
  if (!kind) {
    throw InputError(
        {path.string()},
        "expected a text named *.jsonl, *.jsonl.gz, *.json.gz, *.txt, *.raw or *.tokens");
  }
  if (*kind == FileKind::kRaw) return RowsOfRawText(WithLineFeeds(ReadRawText(path)), max_rows);
  return RowsOfJsonLines(path, *kind == FileKind::kPackedJsonLines, max_rows);
}

std::string ReadRawText(const std::filesystem::path& path) {
  if (KindOf(path) != FileKind::kRaw)
    throw InputError({path.string()}, "expected a text named *.txt, *.raw or *.tokens");
  std::string text = ReadFile(path);
  if (text.empty()) throw InputError({path.string()}, "the file is empty: expected text");
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
