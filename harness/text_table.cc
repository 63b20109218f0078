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

void TextTable::AddRow(std::vector<TextCell> cells) {
  DAQ_CHECK(cells.size() == columns_.size(), "one text a column");
  rows_.push_back(std::move(cells));
}

std::string TextTable::ToMarkdown() const {
  const auto marked = [](const TextCell& cell) {
    return cell.bold ? "**" + cell.text + "**" : cell.text;
  };
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = std::max<std::size_t>(3, Width(columns_[i].title));
    for (const std::vector<TextCell>& row : rows_) width = std::max(width, Width(marked(row[i])));
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
  for (const std::vector<TextCell>& row : rows_)
    append_row([&](std::size_t i) { return marked(row[i]); });
  return text;
}

std::string TextTable::ToLatex() const {
  std::string text = "\\begin{tabular}{";
  for (const Column& column : columns_) text.push_back(column.alignment == kLeft ? 'l' : 'r');
  text.append("}\n\\toprule\n");
  const auto append_row = [&](const auto& cell_of) {
    for (std::size_t i = 0; i < columns_.size(); ++i)
      text.append(i == 0 ? "" : " & ").append(cell_of(i));
    text.append(" \\\\\n");
  };
  append_row([&](std::size_t i) { return EscapeLatex(columns_[i].title); });
  text.append("\\midrule\n");
  for (const std::vector<TextCell>& row : rows_) {
    append_row([&](std::size_t i) {
      const std::string cell = EscapeLatex(row[i].text);
      return row[i].bold ? "\\textbf{" + cell + "}" : cell;
    });
  }
  return text + "\\bottomrule\n\\end{tabular}\n";
}

std::string TextTable::ToHtml() const {
  std::string text = "<table>\n<thead><tr>";
  const auto element = [&](const char* name, std::size_t column, const std::string& content) {
    text.append("<").append(name);
    if (columns_[column].alignment == kRight) text.append(" class=\"number\"");
    text.append(">").append(content).append("</").append(name).append(">");
  };
  for (std::size_t i = 0; i < columns_.size(); ++i) element("th", i, EscapeHtml(columns_[i].title));
  text.append("</tr></thead>\n<tbody>\n");
  for (const std::vector<TextCell>& row : rows_) {
    text.append("<tr>");
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const std::string cell = EscapeHtml(row[i].text);
      element("td", i, row[i].bold ? "<b>" + cell + "</b>" : cell);
    }
    text.append("</tr>\n");
  }
  return text + "</tbody>\n</table>\n";
}

std::string EscapeLatex(std::string_view text) {
  std::string escaped;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    // The two characters beyond ASCII that reports use.
    if (text.substr(i).starts_with("\xC2\xB1")) {  // plus-minus
      escaped.append("$\\pm$");
      ++i;
    } else if (text.substr(i).starts_with("\xE2\x89\xA0")) {  // not equal
      escaped.append("$\\neq$");
      i += 2;
    } else if (c == '\\') {
      escaped.append("\\textbackslash{}");
    } else if (c == '~' || c == '^') {
      escaped.append("\\").append(1, c).append("{}");
    } else if (std::string_view("&%$#_{}").find(c) != std::string_view::npos) {
      escaped.append("\\").append(1, c);
    } else {
      escaped.push_back(c);
    }
  }
  return escaped;
}

std::string EscapeHtml(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped.append("&amp;");
        break;
      case '<':
        escaped.append("&lt;");
        break;
      case '>':
        escaped.append("&gt;");
        break;
      case '"':
        escaped.append("&quot;");
        break;
      default:
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') {
          escaped.append("\xEF\xBF\xBD");  // U+FFFD
        } else {
          escaped.push_back(c);
        }
    }
  }
  return escaped;
}

}  // namespace daq
