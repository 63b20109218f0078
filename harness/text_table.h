#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace daq {

// A text of a table, and whether it stands out.
struct TextCell {
  // Tables are made of texts most of the time.
  TextCell(std::string own_text, bool is_bold = false)  // NOLINT(google-explicit-constructor)
      : text(std::move(own_text)), bold(is_bold) {}

  std::string text;
  bool bold;
};

// A table of texts, printed in any of the languages that reports are written in.
class TextTable {
 public:
  enum Alignment { kLeft, kRight };

  void AddColumn(std::string title, Alignment alignment);

  // One text a column.
  void AddRow(std::vector<TextCell> cells);

  // Markdown whose columns also line up in a terminal.
  std::string ToMarkdown() const;

  // A tabular with the rules of the booktabs package.
  std::string ToLatex() const;

  // A table element.
  std::string ToHtml() const;

 private:
  struct Column {
    std::string title;
    Alignment alignment;
  };
  std::vector<Column> columns_;
  std::vector<std::vector<TextCell>> rows_;
};

// The text with what LaTeX takes for commands made plain.
std::string EscapeLatex(std::string_view text);

// The text with what HTML and XML take for markup made plain; control characters that they cannot
// hold become U+FFFD.
std::string EscapeHtml(std::string_view text);

}  // namespace daq
