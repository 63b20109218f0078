#include "harness/text_table.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace daq {
namespace {

// Characters of UTF-8 text: bytes that do not continue one.
std::size_t Width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

}  // namespace

void TextTable::AddColumn(std::string title, Alignment alignment) {
  columns_.push_back({std::move(title), alignment});
}

void TextTable::AddRow(std::vector<std::string> cells) {
  DAQ_CHECK(cells.size() == columns_.size(), "one text a column");
  rows_.push_back(std::move(cells));
}

std::string TextTable::ToMarkdown() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = std::max<std::size_t>(3, Width(columns_[i].title));
    for (const std::vector<std::string>& row : rows_) width = std::max(width, Width(row[i]));
    widths.push_back(width);
  }
  std::string text;
  const auto append_row = [&](const auto& cell_of) {
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string cell = cell_of(i);
      const std::string padding(widths[i] - Width(cell), ' ');
      text.append("| ")
          .append(columns_[i].alignment == kLeft ? cell + padding : padding + cell)
          .append(" ");
    }
    text.append("|\n");
  };
  append_row([&](std::size_t i) { return columns_[i].title; });
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    text.append(columns_[i].alignment == kLeft ? "|:" : "|-").append(widths[i], '-');
    text.append(columns_[i].alignment == kLeft ? "-" : ":");
  }
  text.append("|\n");
  for (const std::vector<std::string>& row : rows_)
    append_row([&](std::size_t i) { return row[i]; });
  return text;
}

}  // namespace daq
