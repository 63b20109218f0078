#include "harness/report_seeds.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/statistics.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;
using Row = Manifest::Row;

// Rows that differ in the seed alone.
struct Group {
  std::vector<std::string> fields;  // method, format, granularity, calibration without the seed
  std::vector<std::size_t> rows = {};
};

// What a row's calibration is but for its seed; empty if it draws nothing at random, or is not
// known yet. Where documents are counted, the number of windows follows from the draw.
std::string WithoutSeed(const Row& row, const Json& calibration) {
  if (row.calibration.empty() || calibration.is_null() || calibration.at("seed").is_null())
    return "";
  const Json& documents = calibration.at("documents");
  std::string text =
      documents.is_null()
          ? fmt::format("{} {}x{}", calibration.at("protocol").get<std::string>(),
                        calibration.at("windows").get<Index>(),
                        calibration.at("window_tokens").get<Index>())
          : fmt::format("{} {} documents x{}", calibration.at("protocol").get<std::string>(),
                        documents.get<Index>(), calibration.at("window_tokens").get<Index>());
  // Row labels name a text that is not the protocol's own.
  const std::string dataset = calibration.at("dataset");
  if (row.calibration.find(dataset) != std::string::npos) text.append(" (" + dataset + ")");
  return text;
}

std::vector<Group> Groups(const Manifest& manifest, const ReportCells& cells,
                          const std::string& model) {
  std::vector<Group> groups;
  for (std::size_t r = 0; r < manifest.rows.size(); ++r) {
    const Row& row = manifest.rows[r];
    std::string calibration;
    for (std::size_t column = 0; column < manifest.columns.size(); ++column) {
      const ReportCell* cell = cells.Find(r, column);
      if (cell != nullptr) calibration = WithoutSeed(row, cell->cell.at("calibration"));
    }
    if (row.model != model || calibration.empty()) continue;
    const std::vector<std::string> fields = {row.method, row.format, row.granularity, calibration};
    auto found = std::find_if(groups.begin(), groups.end(),
                              [&](const Group& group) { return group.fields == fields; });
    if (found == groups.end()) found = groups.insert(groups.end(), {.fields = fields});
    found->rows.push_back(r);
  }
  std::erase_if(groups, [](const Group& group) { return group.rows.size() < 2; });
  return groups;
}

// "48.674 ± 0.081 (n = 4)"; without a spread for one seed, empty for none.
std::string MeanAndSpread(const Group& group, std::size_t column, const char* name,
                          const ReportCells& cells) {
  std::vector<double> values;
  for (const std::size_t row : group.rows) {
    const ReportCell* cell = cells.Find(row, column);
    if (cell != nullptr && !cell->failed && !cell->metric.at(name).is_null())
      values.push_back(cell->metric.at(name));
  }
  if (values.empty()) return "";
  const auto count = static_cast<double>(values.size());
  const std::string spread =
      values.size() < 2 ? "" : fmt::format(" ± {:.3f}", StandardError(values) * std::sqrt(count));
  return fmt::format("{:.3f}{} (n = {})", Mean(values), spread, values.size());
}

}  // namespace

std::optional<ReportSection> SeedSection(const Manifest& manifest, const ReportCells& cells,
                                         const std::string& model) {
  const std::vector<Group> groups = Groups(manifest, cells, model);
  if (groups.empty()) return std::nullopt;
  ReportSection section{
      .caption =
          "Over calibration seeds: mean ± standard deviation between seeds (number of seeds)"};
  TextTable& table = section.table;
  for (const char* title : {"method", "format", "granularity", "calibration"})
    table.AddColumn(title, TextTable::kLeft);
  for (const Manifest::Column& column : manifest.columns) {
    table.AddColumn(column.title, TextTable::kRight);
    table.AddColumn("loss vs fp16", TextTable::kRight);
  }
  for (const Group& group : groups) {
    std::vector<TextCell> line(group.fields.begin(), group.fields.end());
    for (std::size_t column = 0; column < manifest.columns.size(); ++column) {
      for (const char* name : {"perplexity", "loss_vs_fp"})
        line.emplace_back(MeanAndSpread(group, column, name, cells));
    }
    table.AddRow(std::move(line));
  }
  return section;
}

}  // namespace daq
