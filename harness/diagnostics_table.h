#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "methods/diagnostics.h"

namespace daq {

// What parts say of their own work (losses before and after a search, steps, damping), a row for
// each diagnostic of a recipe and a column for each kind of layer, and what each name means.
class DiagnosticsTable {
 public:
  // Columns before "diagnostic" and after it.
  DiagnosticsTable(std::vector<std::string> labels, std::vector<std::string> values)
      : labels_(std::move(labels)), values_(std::move(values)) {}

  // One recipe: a text a label, diagnostics a value. Rows follow the recipe's stages: transform,
  // range, rounding. Nothing where no part has anything to say.
  void Add(const std::vector<std::string>& labels, const std::vector<Diagnostics>& found);

  // The table and a list of the names in it; "" without rows.
  std::string ToMarkdown() const;

 private:
  struct Row {
    std::vector<std::string> labels;
    std::string name;
    std::vector<std::string> values;
  };
  std::vector<std::string> labels_;
  std::vector<std::string> values_;
  std::vector<Row> rows_;
};

}  // namespace daq
