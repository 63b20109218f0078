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
#include "harness/report_seeds.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;
using Row = Manifest::Row;

// Empty where a number is not known.
std::string Fixed(const Json& value) {
  return value.is_null() ? "" : fmt::format("{:.3f}", value.get<double>());
}

// "44.276 ± 0.351"; without the error where there is none (a single window).
std::string PerplexityText(const Json& metric) {
  std::string number = Fixed(metric.at("perplexity"));
  return metric.at("stderr").is_null() ? number : number + " ± " + Fixed(metric.at("stderr"));
}

// "48 of 655"; empty where an evaluation uses all.
std::string WindowsText(const Json& metric) {
  if (!metric.contains("windows_of_text")) return "";
  return fmt::format("{} of {}", metric.at("windows").get<Index>(),
                     metric.at("windows_of_text").get<Index>());
}

// "8.792"; empty where the evaluation counts no words.
std::string WordPerplexityText(const Json& metric) {
  return metric.contains("word_perplexity") ? Fixed(metric.at("word_perplexity")) : "";
}

// "+0.439 [+0.361, +0.521]"; without the interval where there is none.
std::string DifferenceText(const Json& metric, const std::string& name) {
  if (metric.at(name).is_null()) return "";
  std::string number = fmt::format("{:+.3f}", metric.at(name).get<double>());
  if (metric.at(name + "_low").is_null()) return number;
  return fmt::format("{} [{:+.3f}, {:+.3f}]", number, metric.at(name + "_low").get<double>(),
                     metric.at(name + "_high").get<double>());
}

std::string LossText(const Json& metric) { return DifferenceText(metric, "loss_vs_fp"); }

// "33 % [28, 38]".
std::string ReductionText(const Json& metric) {
  if (metric.at("loss_reduction").is_null()) return "";
  std::string number = fmt::format("{:.0f} %", 100 * metric.at("loss_reduction").get<double>());
  if (metric.at("loss_reduction_low").is_null()) return number;
  return fmt::format("{} [{:.0f}, {:.0f}]", number,
                     100 * metric.at("loss_reduction_low").get<double>(),
                     100 * metric.at("loss_reduction_high").get<double>());
}

// "0.0412"; empty where the evaluation has no token metrics.
std::string DivergenceText(const Json& metric) {
  if (!metric.contains("kl_mean") || metric.at("kl_mean").is_null()) return "";
  return fmt::format("{:.4f}", metric.at("kl_mean").get<double>());
}

std::string AgreementText(const Json& metric) {
  if (!metric.contains("top1_agreement") || metric.at("top1_agreement").is_null()) return "";
  return fmt::format("{:.1f} %", 100 * metric.at("top1_agreement").get<double>());
}

// Marked where it is significant.
std::string AgainstText(const Json& metric) {
  std::string number = DifferenceText(metric, "difference");
  return metric.at("significant") == true ? number + " *" : number;
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
       "where the measured\none lies more than 1 % outside.\n"},
      {"loss vs fp16", LossText, nullptr,
       "loss vs fp16 = perplexity minus the unquantised model's on the same windows [95 % interval "
       "of the paired bootstrap].\n"},
      {"loss reduction", ReductionText, "loss_reduction",
       "loss reduction = 1 - loss / loss of the best of rtn, gptq and awq in the same code book "
       "and "
       "granularity\n[95 % interval].\n"},
      {"KL", DivergenceText, "kl_mean",
       "KL = mean over tokens of KL(full precision || quantised), in nats.\n"},
      {"top-1", AgreementText, "top1_agreement",
       "top-1 = share of tokens for which both models have the same most probable next token.\n"}};
  if (!against.empty()) {
    numbers.push_back({"vs " + against, AgainstText, "difference",
                       fmt::format("vs {} = perplexity minus that row's [95 % interval]; * "
                                   "significant: the interval excludes 0.\n",
                                   against)});
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

// "failed: rtn int3 channel on gptq-c4: why", the cells that failed for the same reason in one
// line.
class Failures {
 public:
  void Add(const std::string& reason, const std::string& cell) {
    auto found = std::find_if(reasons_.begin(), reasons_.end(),
                              [&](const Reason& other) { return other.text == reason; });
    if (found == reasons_.end()) found = reasons_.insert(reasons_.end(), {.text = reason});
    found->cells.push_back(cell);
  }

  std::string ToText() const {
    std::string text;
    for (const Reason& reason : reasons_)
      text.append(fmt::format("failed: {}: {}\n", fmt::join(reason.cells, ", "), reason.text));
    return text;
  }

 private:
  struct Reason {
    std::string text;
    std::vector<std::string> cells = {};
  };
  std::vector<Reason> reasons_;
};

// What an evaluation is: text, windows, hash.
std::string EvaluationNote(const std::string& title, const Json& metric) {
  const char* windows = metric.contains("windows_of_text") ? "windows_of_text" : "windows";
  return fmt::format("{}: {}, {} windows of {} tokens, ids sha256 {}\n", title,
                     metric.at("dataset").get<std::string>(), metric.at(windows).get<Index>(),
                     metric.at("window_tokens").get<Index>(),
                     metric.at("ids_sha256").get<std::string>().substr(0, 12));
}

// What every model's table has: the experiment's cells and which columns there are.
struct Layout {
  const Manifest& manifest;
  const ReportCells& cells;
  std::vector<Number> numbers;
  bool calibrated;       // some row has a calibration
  std::string held_out;  // label of that text, one for all rows; empty without
};

// What is said below a table.
struct Remarks {
  std::vector<std::string> evaluations;
  std::vector<std::string> sources = {};  // of published values
  Failures failures = {};
  std::string model_sha256 = {};  // its first digits
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

std::vector<std::string> RowTexts(const Layout& layout, std::size_t r, Remarks* remarks) {
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
    remarks->model_sha256 = found->cell.at("model_sha256").get<std::string>().substr(0, 12);
    if (bits.empty()) bits = Fixed(found->cell.at("bits_per_weight"));
    if (held_out_error.empty())
      held_out_error = Fixed(MeanErrorRatio(found->cell, "held_out_error_vs_rtn"));
    const std::string& title = layout.manifest.columns[column].title;
    if (found->failed) {
      own[0] = "failed";
      remarks->failures.Add(found->cell.at("error"), fmt::format("{} on {}", RowLabel(row), title));
      continue;
    }
    for (std::size_t n = 0; n < numbers; ++n) own[n] = layout.numbers[n].text(found->metric);
    remarks->evaluations[column] = EvaluationNote(title, found->metric);
    for (std::string& source : PublishedSources(found->metric)) {
      std::vector<std::string>& known = remarks->sources;
      if (std::find(known.begin(), known.end(), source) == known.end())
        known.push_back(std::move(source));
    }
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
  ReportSection section{.heading = model, .table = EmptyTable(layout)};
  Remarks remarks{.evaluations = std::vector<std::string>(manifest.columns.size())};
  for (std::size_t row = 0; row < manifest.rows.size(); ++row) {
    if (manifest.rows[row].model != model) continue;
    const std::vector<std::string> texts = RowTexts(layout, row, &remarks);
    section.table.AddRow({texts.begin(), texts.end()});
  }
  if (!remarks.model_sha256.empty()) section.heading += " (sha256 " + remarks.model_sha256 + ")";
  for (const std::string& note : remarks.evaluations) {
    if (!note.empty()) section.remarks.push_back(note);
  }
  if (!layout.held_out.empty()) {
    section.remarks.push_back(fmt::format(
        "held-out error: squared error of a layer's outputs over that of rtn in the same format, "
        "on {},\nwhich no method saw; geometric mean over the layers\n",
        layout.held_out));
  }
  if (!remarks.sources.empty())
    section.remarks.push_back(fmt::format("published: {}\n", fmt::join(remarks.sources, "; ")));
  if (std::string failures = remarks.failures.ToText(); !failures.empty())
    section.remarks.push_back(std::move(failures));
  return section;
}

}  // namespace

std::string PublishedMetricOf(const Json& metric) {
  return PublishedMetric(metric.value("protocol", ""));
}

std::string PublishedText(const Json& metric) {
  if (!metric.contains("published")) return "";
  double low = 0;
  double high = 0;
  std::string low_text;
  std::string high_text;
  for (const Json& value : metric.at("published")) {
    const std::string printed = value.at("value");
    double number = 0;
    std::from_chars(printed.data(), printed.data() + printed.size(), number);
    if (low_text.empty() || number < low) {
      low = number;
      low_text = printed;
    }
    if (high_text.empty() || number > high) {
      high = number;
      high_text = printed;
    }
  }
  const Json& number = metric.at(PublishedMetricOf(metric));  // null where it is no finite number
  const double measured = number.is_null() ? HUGE_VAL : number.get<double>();
  const bool differs = measured < 0.99 * low || measured > 1.01 * high;
  return low_text + (low == high ? "" : " to " + high_text) + (differs ? " ≠" : "");
}

std::vector<std::string> PublishedSources(const Json& metric) {
  std::vector<std::string> sources;
  if (!metric.contains("published")) return sources;
  for (const Json& value : metric.at("published")) {
    std::string source = fmt::format("{}, {}", value.at("source").get<std::string>(),
                                     value.at("table").get<std::string>());
    if (std::find(sources.begin(), sources.end(), source) == sources.end())
      sources.push_back(std::move(source));
  }
  return sources;
}

ReportTables MakeReportTables(const Manifest& manifest, const ReportCells& cells,
                              const std::string& against,
                              const std::optional<ReportLayout>& layout) {
  if (layout) return MakeGridTables(manifest, cells, *layout);
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
