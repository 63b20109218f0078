#include "harness/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "harness/report_cells.h"
#include "harness/report_html.h"
#include "harness/report_tables.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

std::string CsvField(const Json& value) {
  if (value.is_null()) return "";
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? "\"\"" : std::string(1, c));
  return quoted + "\"";
}

// Of the metric, in the order of the columns; what it lacks stays empty.
constexpr std::array kCsvMetricFields = {"dataset",
                                         "window_tokens",
                                         "windows",
                                         "windows_of_text",
                                         "tokens",
                                         "perplexity",
                                         "stderr",
                                         "loss_vs_fp",
                                         "loss_vs_fp_stderr",
                                         "loss_vs_fp_low",
                                         "loss_vs_fp_high",
                                         "loss_reduction",
                                         "loss_reduction_low",
                                         "loss_reduction_high",
                                         "best_baseline",
                                         "against",
                                         "difference",
                                         "difference_low",
                                         "difference_high",
                                         "significant",
                                         "kl_mean",
                                         "kl_p50",
                                         "kl_p90",
                                         "kl_p99",
                                         "top1_agreement",
                                         "word_perplexity",
                                         "byte_perplexity",
                                         "bits_per_byte"};

void AppendLine(const std::vector<Json>& fields, std::string* text) {
  for (std::size_t i = 0; i < fields.size(); ++i)
    text->append(i == 0 ? "" : ",").append(CsvField(fields[i]));
  text->append("\n");
}

std::string CsvReport(const Manifest& manifest, const ReportCells& cells) {
  constexpr std::array kCellFields = {"transform", "range",       "rounding",
                                      "format",    "granularity", "bits_per_weight"};
  std::string text;
  std::vector<Json> titles = {"model", "model_sha256", "method"};
  titles.insert(titles.end(), kCellFields.begin(), kCellFields.end());
  titles.insert(titles.end(), {"calibration", "evaluation", "protocol"});
  titles.insert(titles.end(), kCsvMetricFields.begin(), kCsvMetricFields.end());
  titles.insert(titles.end(),
                {"published", "published_differs", "quantize_seconds", "evaluate_seconds",
                 "output_error_vs_rtn", "held_out_error_vs_rtn", "status", "error"});
  AppendLine(titles, &text);
  for (std::size_t row = 0; row < manifest.rows.size(); ++row) {
    for (std::size_t column = 0; column < manifest.columns.size(); ++column) {
      const ReportCell* found = cells.Find(row, column);
      if (found == nullptr) continue;
      const Json& cell = found->cell;
      std::vector<Json> fields = {manifest.rows[row].model, cell.at("model_sha256"),
                                  manifest.rows[row].method};
      for (const char* name : kCellFields) fields.push_back(cell.at(name));
      fields.insert(fields.end(), {manifest.rows[row].calibration, manifest.columns[column].title,
                                   manifest.columns[column].protocol});
      for (const char* name : kCsvMetricFields)
        fields.push_back(found->metric.contains(name) ? found->metric.at(name) : Json());
      const bool is_published = found->metric.contains("published");
      fields.insert(fields.end(),
                    {PublishedRange(found->metric),
                     is_published ? Json(DiffersFromPublished(found->metric)) : Json(),
                     cell.at("seconds").at("quantize"), cell.at("seconds").at("evaluate"),
                     MeanErrorRatio(cell, "output_error_vs_rtn"),
                     MeanErrorRatio(cell, "held_out_error_vs_rtn"), cell.at("status"),
                     found->failed ? cell.at("error") : Json()});
      AppendLine(fields, &text);
    }
  }
  return text;
}

std::string JsonReport(const Manifest& manifest, const ReportCells& cells) {
  Json all = Json::array();
  for (std::size_t row = 0; row < manifest.rows.size(); ++row) {
    Json object;
    bool from_failed = true;
    for (std::size_t column = 0; column < manifest.columns.size(); ++column) {
      const ReportCell* found = cells.Find(row, column);
      if (found == nullptr) continue;
      // What evaluations share (layers, bits) is in cells that are done.
      if (object.is_null() || (from_failed && !found->failed)) {
        const Json failed = std::exchange(object, found->cell);
        object["model"] = manifest.rows[row].model;
        object["metrics"] = Json::object();
        object["seconds"]["evaluate"] = 0.0;
        if (!failed.is_null()) {
          object["status"] = "failed";
          object["error"] = failed.at("error");
        }
        from_failed = found->failed;
      }
      if (found->failed) {
        object["status"] = "failed";
        object["error"] = found->cell.at("error");
        continue;
      }
      object["metrics"][manifest.columns[column].title] = found->metric;
      object["seconds"]["evaluate"] = object["seconds"]["evaluate"].get<double>() +
                                      found->cell.at("seconds").at("evaluate").get<double>();
      object["peak_rss_bytes"] = std::max(object.at("peak_rss_bytes").get<std::uint64_t>(),
                                          found->cell.at("peak_rss_bytes").get<std::uint64_t>());
    }
    if (!object.is_null()) all.push_back(std::move(object));
  }
  return all.dump(1) + "\n";
}

std::string MarkdownReport(const ReportTables& tables) {
  std::string text;
  for (const ReportSection& section : tables.sections) {
    if (!section.heading.empty()) text.append(fmt::format("## {}\n\n", section.heading));
    if (!section.caption.empty()) text.append(section.caption).append("\n\n");
    text.append(section.table.ToMarkdown());
    if (!section.heading.empty()) text.append("\n");
    for (const std::string& remark : section.remarks) text.append(remark);
    text.append("\n");
  }
  for (const std::string& meaning : tables.meanings) text.append(meaning);
  return text;
}

// A remark as a comment, so that the file stays one to be included.
std::string LatexComment(const std::string& remark) {
  std::string text = "% ";
  for (std::size_t i = 0; i < remark.size(); ++i) {
    text.push_back(remark[i]);
    if (remark[i] == '\n' && i + 1 < remark.size()) text.append("% ");
  }
  return text;
}

// "Perplexity of meta-llama/Llama-2-7b-hf with quantised weights, on gptq-wikitext2, gptq-c4".
std::string LatexCaption(const ReportSection& section, const std::string& subject,
                         const Manifest& manifest) {
  if (section.heading.empty()) return section.caption;
  std::vector<std::string_view> texts;
  for (const Manifest::Column& column : manifest.columns) texts.push_back(column.title);
  std::string caption = fmt::format("{} of {} with quantised weights, on {}", subject,
                                    section.model, fmt::join(texts, ", "));
  if (caption[0] >= 'a' && caption[0] <= 'z')
    caption[0] = static_cast<char>(caption[0] - 'a' + 'A');
  return caption;
}

// The experiment's name with a dash for what a \label cannot hold; tables after the first are
// numbered.
std::string LatexLabel(const std::string& name, std::size_t table) {
  std::string label = "tab:";
  for (const char c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '.' || c == '+';
    label.push_back(plain ? c : '-');
  }
  return table == 0 ? label : fmt::format("{}-{}", label, table + 1);
}

std::string LatexReport(const ReportTables& tables, const std::string& name,
                        const Manifest& manifest) {
  std::string text = "% needs \\usepackage{booktabs}\n";
  for (std::size_t table = 0; table < tables.sections.size(); ++table) {
    const ReportSection& section = tables.sections[table];
    text.append("\n\\begin{table}\n\\centering\n");
    text.append(fmt::format("\\caption{{{}}}\n\\label{{{}}}\n",
                            EscapeLatex(LatexCaption(section, tables.subject, manifest)),
                            LatexLabel(name, table)));
    text.append(section.table.ToLatex()).append("\\end{table}\n");
    if (!section.heading.empty()) text.append(LatexComment(section.heading + "\n"));
    for (const std::string& remark : section.remarks) text.append(LatexComment(remark));
  }
  text.append("\n");
  for (const std::string& meaning : tables.meanings) text.append(LatexComment(meaning));
  return text;
}

}  // namespace

std::string Report(const ExperimentFile& experiment, const Manifest& manifest,
                   const std::filesystem::path& folder, const ReportOptions& options) {
  const ReportCells cells(manifest, folder, options.against);
  const auto tables = [&] {
    ReportTables made = MakeReportTables(manifest, cells, options.against, experiment.report);
    if (!options.against.empty() && !cells.compared()) {
      made.meanings.push_back(fmt::format(
          "--against {}: nothing is compared, for no finished cell has one of that row, "
          "in its own format, beside it.\n",
          options.against));
    }
    return made;
  };
  switch (options.format) {
    case ReportFormat::kMarkdown:
      return MarkdownReport(tables());
    case ReportFormat::kCsv:
      return CsvReport(manifest, cells);
    case ReportFormat::kJson:
      return JsonReport(manifest, cells);
    case ReportFormat::kLatex:
      return LatexReport(tables(), experiment.name, manifest);
    case ReportFormat::kHtml:
      return HtmlReport(experiment, manifest, cells, tables(), folder);
  }
  DAQ_CHECK(false, "a report format");
  return {};
}

std::string JoinReports(const std::vector<std::string>& reports, ReportFormat format) {
  if (format == ReportFormat::kJson && reports.size() > 1) {
    Json all = Json::array();
    for (const std::string& report : reports) {
      for (Json& object : Json::parse(report)) all.push_back(std::move(object));
    }
    return all.dump(1) + "\n";
  }
  if (format == ReportFormat::kHtml && reports.size() > 1)
    throw InputError({"report"}, "--format html", "one config, for a page is of one experiment",
                     fmt::format("{}", reports.size()));
  std::string text;
  for (const std::string& report : reports) {
    if (text.empty())
      text = report;
    else if (format == ReportFormat::kCsv)
      text.append(report, report.find('\n') + 1);
    else
      text.append("\n").append(report);
  }
  return text;
}

}  // namespace daq
