#include "harness/report_tables.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <utility>
#include <vector>

#include "harness/published.h"
#include "harness/report_grid.h"
#include "harness/report_remarks.h"
#include "harness/report_seeds.h"
#include "harness/report_values.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;
using Row = Manifest::Row;

using Error = ReportLayout::Error;

std::string PerplexityText(const Json& metric) {
  return ReportText(FindReportValue("perplexity"), metric, Error::kStandardError);
}

// "48 of 655"; empty where an evaluation uses all.
std::string WindowsText(const Json& metric) {
  if (!metric.contains("windows_of_text")) return "";
  return fmt::format("{} of {}", metric.at("windows").get<Index>(),
                     metric.at("windows_of_text").get<Index>());
}

std::string WordPerplexityText(const Json& metric) {
  return ReportText(FindReportValue("word_perplexity"), metric, Error::kNone);
}

std::string LossText(const Json& metric) {
  return ReportText(FindReportValue("loss_vs_fp"), metric, Error::kInterval);
}

// "33 % [28, 38]".
std::string ReductionText(const Json& metric) {
  if (metric.at("loss_reduction").is_null()) return "";
  std::string number = fmt::format("{:.0f} %", 100 * metric.at("loss_reduction").get<double>());
  if (metric.at("loss_reduction_low").is_null()) return number;
  return fmt::format("{} [{:.0f}, {:.0f}]", number,
                     100 * metric.at("loss_reduction_low").get<double>(),
                     100 * metric.at("loss_reduction_high").get<double>());
}

std::string DivergenceText(const Json& metric) {
  return ReportText(FindReportValue("kl_mean"), metric, Error::kNone);
}

std::string AgreementText(const Json& metric) {
  return ReportText(FindReportValue("top1_agreement"), metric, Error::kNone);
}

// A number that each evaluation's metrics have, and so a column for each evaluation.
struct Number {
  std::string title;  // empty: the evaluation's own
  std::string (*text)(const Json& metric);
  const char* field;  // without this in any cell there is no column; null: there is one always
  std::string meaning;
};

std::vector<Number> Numbers(const std::string& against) {
  std::vector<Number> numbers = {
      {"", PerplexityText, nullptr,
       "Perplexity = exp(mean loss of the windows) ± standard error over windows.\n"},
      {"windows", WindowsText, "windows_of_text",
       "windows = how many of the text's were used, in a shuffled order: as many as stop_when asks "
       "for. Perplexities on\ndifferent windows cannot be compared; losses and differences are on "
       "the windows that both sides have.\n"},
      {"word ppl", WordPerplexityText, "word_perplexity",
       "word ppl = exp(loss of all tokens / words of the text), which lm-evaluation-harness prints "
       "and published values of\nits protocol are.\n"},
      {"published", PublishedText, "published",
       "published = perplexities of the same model, recipe and protocol (results/published.csv); ≠ "
       "where the measured\none is within 1 % of none. Of calibrated methods only beside results "
       "on their authors' calibration.\n"},
      {"loss vs fp16", LossText, nullptr,
       "loss vs fp16 = perplexity minus the unquantised model's on the same windows [95 % interval "
       "of the paired bootstrap].\n"},
      {"loss reduction", ReductionText, "loss_reduction",
       "loss reduction = 1 - loss / loss of the best of rtn, gptq and awq in the same code book "
       "and granularity,\non the same calibration where it is there [95 % interval].\n"},
      {"KL", DivergenceText, "kl_mean",
       "KL = mean over tokens of KL(full precision || quantised), in nats.\n"},
      {"top-1", AgreementText, "top1_agreement",
       "top-1 = share of tokens for which both models have the same most probable next token.\n"}};
  if (!against.empty()) {
    numbers.push_back({"vs " + against, AgainstText, "difference", AgainstMeaning(against)});
  }
  return numbers;
}

// Those of `numbers` that a cell of the table has.
std::vector<Number> Present(const std::vector<Number>& numbers, const Manifest& manifest,
                            const ReportCells& cells) {
  const auto has = [&](const char* field) {
    for (std::size_t row = 0; row < manifest.rows.size(); ++row) {
      for (std::size_t column = 0; column < manifest.columns.size(); ++column) {
        const ReportCell* cell = cells.Find(row, column);
        if (cell != nullptr && cell->metric.contains(field) && !cell->metric.at(field).is_null())
          return true;
      }
    }
    return false;
  };
  std::vector<Number> present;
  std::copy_if(numbers.begin(), numbers.end(), std::back_inserter(present),
               [&](const Number& number) { return number.field == nullptr || has(number.field); });
  return present;
}

// The first row's label that is not empty; empty if no row has one.
std::string FirstLabel(const Manifest& manifest, std::string Row::*label) {
  const auto found = std::find_if(manifest.rows.begin(), manifest.rows.end(),
                                  [&](const Row& row) { return !(row.*label).empty(); });
  return found == manifest.rows.end() ? "" : (*found).*label;
}

// What every model's table has: the experiment's cells and which columns there are.
struct Layout {
  const Manifest& manifest;
  const ReportCells& cells;
  std::vector<Number> numbers;
  bool calibrated;       // some row has a calibration
  std::string held_out;  // label of that text, one for all rows; empty without
};

TextTable EmptyTable(const Layout& layout) {
  TextTable table;
  table.AddColumn("method", TextTable::kLeft);
  table.AddColumn("format", TextTable::kLeft);
  table.AddColumn("granularity", TextTable::kLeft);
  if (layout.calibrated) table.AddColumn("calibration", TextTable::kLeft);
  table.AddColumn("bits/weight", TextTable::kRight);
  if (!layout.held_out.empty()) table.AddColumn("held-out error", TextTable::kRight);
  for (const Manifest::Column& column : layout.manifest.columns) {
    for (const Number& number : layout.numbers)
      table.AddColumn(number.title.empty() ? column.title : number.title, TextTable::kRight);
  }
  return table;
}

// Empty where the number is not known.
std::string Fixed(const Json& value) {
  return value.is_null() ? "" : fmt::format("{:.3f}", value.get<double>());
}

std::vector<std::string> RowTexts(const Layout& layout, std::size_t r, ReportRemarks* remarks) {
  const Row& row = layout.manifest.rows[r];
  const std::size_t numbers = layout.numbers.size();
  std::string bits;
  std::string held_out_error;
  std::vector<std::string> texts(row.cells.size() * numbers);
  for (std::size_t column = 0; column < row.cells.size(); ++column) {
    std::string* own = &texts[column * numbers];
    const ReportCell* found = layout.cells.Find(r, column);
    if (found == nullptr) {
      if (!row.cells[column].empty()) own[0] = "to do";
      continue;
    }
    remarks->Add(row, layout.manifest.columns[column], *found);
    if (bits.empty()) bits = Fixed(found->cell.at("bits_per_weight"));
    if (held_out_error.empty())
      held_out_error = Fixed(MeanErrorRatio(found->cell, "held_out_error_vs_rtn"));
    if (found->failed) {
      own[0] = "failed";
      continue;
    }
    for (std::size_t n = 0; n < numbers; ++n) own[n] = layout.numbers[n].text(found->metric);
    remarks->AddSources(*found);
  }
  std::vector<std::string> line = {row.method, row.format, row.granularity};
  if (layout.calibrated) line.push_back(row.calibration);
  line.push_back(bits);
  if (!layout.held_out.empty()) line.push_back(held_out_error);
  line.insert(line.end(), texts.begin(), texts.end());
  return line;
}

// One model's table with a line of what each evaluation is.
ReportSection ModelSection(const Layout& layout, const std::string& model) {
  const Manifest& manifest = layout.manifest;
  ReportSection section{.table = EmptyTable(layout)};
  ReportRemarks remarks;
  for (std::size_t row = 0; row < manifest.rows.size(); ++row) {
    if (manifest.rows[row].model != model) continue;
    const std::vector<std::string> texts = RowTexts(layout, row, &remarks);
    section.table.AddRow({texts.begin(), texts.end()});
  }
  section.heading = remarks.Heading(model);
  section.model = model;
  section.remarks = remarks.Lines(
      layout.held_out.empty()
          ? ""
          : fmt::format("held-out error: squared error of a layer's outputs over that of rtn in "
                        "the same format, on {},\nwhich no method saw; geometric mean over the "
                        "layers\n",
                        layout.held_out));
  return section;
}

// A published value as a number.
double PrintedNumber(const Json& value) {
  const std::string printed = value.at("value");
  double number = 0;
  std::from_chars(printed.data(), printed.data() + printed.size(), number);
  return number;
}

}  // namespace

std::string PublishedMetricOf(const Json& metric) {
  return PublishedMetric(metric.value("protocol", ""));
}

std::string PublishedRange(const Json& metric) {
  if (!metric.contains("published")) return "";
  const auto [low, high] = std::minmax_element(
      metric.at("published").begin(), metric.at("published").end(),
      [](const Json& a, const Json& b) { return PrintedNumber(a) < PrintedNumber(b); });
  const std::string least = low->at("value");
  return PrintedNumber(*low) == PrintedNumber(*high)
             ? least
             : fmt::format("{} to {}", least, high->at("value").get<std::string>());
}

bool DiffersFromPublished(const Json& metric) {
  const Json& number = metric.at(PublishedMetricOf(metric));  // null where it is no finite number
  const double measured = number.is_null() ? HUGE_VAL : number.get<double>();
  return std::none_of(metric.at("published").begin(), metric.at("published").end(),
                      [&](const Json& value) {
                        const double printed = PrintedNumber(value);
                        return measured >= 0.99 * printed && measured <= 1.01 * printed;
                      });
}

std::string PublishedText(const Json& metric) {
  if (!metric.contains("published")) return "";
  return PublishedRange(metric) + (DiffersFromPublished(metric) ? " ≠" : "");
}

std::vector<std::string> PublishedSources(const Json& metric) {
  std::vector<std::string> sources;
  if (!metric.contains("published")) return sources;
  for (const Json& value : metric.at("published")) {
    std::string source = fmt::format("{}, {}", value.at("source").get<std::string>(),
                                     value.at("table").get<std::string>());
    if (const std::string calibration = value.value("calibration", ""); !calibration.empty())
      source += fmt::format(" (calibration: {})", calibration);
    if (std::find(sources.begin(), sources.end(), source) == sources.end())
      sources.push_back(std::move(source));
  }
  return sources;
}

ReportTables MakeReportTables(const Manifest& manifest, const ReportCells& cells,
                              const std::string& against,
                              const std::optional<ReportLayout>& layout) {
  if (layout) return MakeGridTables(manifest, cells, against, *layout);
  const Layout rows{.manifest = manifest,
                    .cells = cells,
                    .numbers = Present(Numbers(against), manifest, cells),
                    .calibrated = !FirstLabel(manifest, &Row::calibration).empty(),
                    .held_out = FirstLabel(manifest, &Row::held_out)};
  ReportTables tables;
  for (const std::string& model : ModelsOf(manifest)) {
    tables.sections.push_back(ModelSection(rows, model));
    if (std::optional<ReportSection> seeds = SeedSection(manifest, cells, model))
      tables.sections.push_back(std::move(*seeds));
  }
  for (const Number& number : rows.numbers) tables.meanings.push_back(number.meaning);
  return tables;
}

}  // namespace daq
