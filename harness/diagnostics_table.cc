#include "harness/diagnostics_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "harness/text_table.h"
#include "methods/range.h"
#include "methods/registry.h"
#include "methods/rounding.h"
#include "methods/transform.h"

namespace daq {
namespace {

// A name that a part may say, in the order of stages; text, because a part may go.
struct KnownDiagnostic {
  std::string name;
  std::string meaning;
};

template <typename Part>
void AddDiagnosticsOf(std::span<const PartEntry<Part>> entries, std::vector<KnownDiagnostic>* all) {
  for (const PartEntry<Part>& entry : entries) {
    const auto part = entry.make(DefaultSettings(entry.settings()));
    for (const DiagnosticSpec& spec : part->diagnostics()) {
      // A part that begins with another's work repeats its names.
      if (std::ranges::find(*all, spec.name, &KnownDiagnostic::name) == all->end())
        all->push_back({std::string(spec.name), std::string(spec.meaning)});
    }
  }
}

const std::vector<KnownDiagnostic>& KnownDiagnostics() {
  static const std::vector<KnownDiagnostic> known = [] {
    std::vector<KnownDiagnostic> all;
    AddDiagnosticsOf(Transforms(), &all);
    AddDiagnosticsOf(Ranges(), &all);
    AddDiagnosticsOf(Roundings(), &all);
    return all;
  }();
  return known;
}

std::string ValueOf(const Diagnostics& found, const std::string& name) {
  const auto value = found.find(name);
  return value == found.end() ? "" : fmt::format("{:.6g}", value->second);
}

}  // namespace

void DiagnosticsTable::Add(const std::vector<std::string>& labels,
                           const std::vector<Diagnostics>& found) {
  for (const KnownDiagnostic& known : KnownDiagnostics()) {
    Row row{.labels = labels, .name = known.name, .values = {}};
    for (const Diagnostics& one : found) row.values.push_back(ValueOf(one, known.name));
    const bool is_said =
        std::ranges::any_of(row.values, [](const std::string& value) { return !value.empty(); });
    if (is_said) rows_.push_back(std::move(row));
  }
}

std::string DiagnosticsTable::ToMarkdown() const {
  if (rows_.empty()) return "";
  TextTable table;
  for (const std::string& label : labels_) table.AddColumn(label, TextTable::kLeft);
  table.AddColumn("diagnostic", TextTable::kLeft);
  for (const std::string& value : values_) table.AddColumn(value, TextTable::kRight);
  for (const Row& row : rows_) {
    std::vector<TextCell> cells(row.labels.begin(), row.labels.end());
    cells.emplace_back(row.name);
    cells.insert(cells.end(), row.values.begin(), row.values.end());
    table.AddRow(std::move(cells));
  }
  std::string meanings;
  for (const KnownDiagnostic& known : KnownDiagnostics()) {
    if (std::ranges::find(rows_, known.name, &Row::name) != rows_.end())
      meanings.append(fmt::format("- `{}`: {}\n", known.name, known.meaning));
  }
  return fmt::format("{}\n{}", table.ToMarkdown(), meanings);
}

}  // namespace daq
