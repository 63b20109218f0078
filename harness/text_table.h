#pragma once
#include <string>
#include <vector>

namespace daq {

// A table of texts, printed as Markdown whose columns also line up in a terminal.
class TextTable {
 public:
  enum Alignment { kLeft, kRight };

  void AddColumn(std::string title, Alignment alignment);

  // One text a column.
  void AddRow(std::vector<std::string> cells);

  std::string ToMarkdown() const;

 private:
  struct Column {
    std::string title;
    Alignment alignment;
  };
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace daq
