#include "harness/report.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "base/error.h"
#include "harness/cell_store.h"
#include "harness/text_table.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;
using Row = Manifest::Row;

// The one metric of a cell, compared with full precision where that cell is there.
struct Metric {
  Json json;  // the metric's object
  Json cell;  // the cell's object
  bool failed = false;
};

class Cells {
 public:
  Cells(const Manifest& manifest, const std::filesystem::path& folder)
      : manifest_(manifest), store_(folder) {}

  std::optional<Metric> Find(const Row& row, std::size_t column) const {
    if (row.cells[column].empty()) return std::nullopt;
    std::optional<Json> cell = store_.Read(row.cells[column]);
    if (!cell) return std::nullopt;
    if (cell->value("status", "") != "done")
      return Metric{.json = {}, .cell = *cell, .failed = true};
    Metric metric{.json = *cell->at("metrics").begin(), .cell = *cell};
    // A cell that was finished before full precision was asked for has no difference of its own
    // yet.
    if (metric.json.at("loss_vs_fp").is_null() && !row.full_precision)
      AddLoss(row, column, &metric);
    return metric;
  }

 private:
  void AddLoss(const Row& row, std::size_t column, Metric* metric) const {
    for (const Row& other : manifest_.rows) {
      if (!other.full_precision || other.model != row.model || other.cells[column].empty())
        continue;
      const std::optional<Json> fp = store_.Read(other.cells[column]);
      if (!fp || fp->value("status", "") != "done") continue;
      EvaluationResult result;
      result.window_losses = WindowLossesOf(metric->cell);
      CompareWithFullPrecision(WindowLossesOf(*fp), &result);
      metric->json["loss_vs_fp"] = *result.loss_vs_fp;
      if (std::isfinite(*result.loss_vs_fp_stderr))
        metric->json["loss_vs_fp_stderr"] = *result.loss_vs_fp_stderr;
    }
  }

  const Manifest& manifest_;
  CellStore store_;
};

// "44.276 ± 0.351"; without the error where there is none (a single window).
std::string WithError(const Json& value, const Json& error, bool sign) {
  if (value.is_null()) return "";
  const std::string number = sign ? fmt::format("{:+.3f}", value.get<double>())
                                  : fmt::format("{:.3f}", value.get<double>());
  return error.is_null() ? number : fmt::format("{} ± {:.3f}", number, error.get<double>());
}

// Empty where a failed cell does not know the number.
std::string Fixed(const Json& value) {
  return value.is_null() ? "" : fmt::format("{:.3f}", value.get<double>());
}

// The first row's label that is not empty; empty if no row has one.
std::string FirstLabel(const Manifest& manifest, std::string Row::*label) {
  const auto found = std::find_if(manifest.rows.begin(), manifest.rows.end(),
                                  [&](const Row& row) { return !(row.*label).empty(); });
  return found == manifest.rows.end() ? "" : (*found).*label;
}

// The geometric mean over a cell's layers of a field that compares errors; null if a layer lacks it
// or has no error at all.
Json MeanRatio(const Json& cell, const char* field) {
  double logarithms = 0;
  for (const Json& layer : cell.at("layers")) {
    const double ratio = layer.value(field, 0.0);
    if (!(ratio > 0)) return {};
    logarithms += std::log(ratio);
  }
  if (cell.at("layers").empty()) return {};
  return std::exp(logarithms / static_cast<double>(cell.at("layers").size()));
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

// One model's table with a line of what each column is.
std::string ModelTable(const Manifest& manifest, const Cells& cells, const std::string& model) {
  const bool calibrated = !FirstLabel(manifest, &Row::calibration).empty();
  const std::string held_out = FirstLabel(manifest, &Row::held_out);  // one text for all rows
  TextTable table;
  table.AddColumn("method", TextTable::kLeft);
  table.AddColumn("format", TextTable::kLeft);
  table.AddColumn("granularity", TextTable::kLeft);
  if (calibrated) table.AddColumn("calibration", TextTable::kLeft);
  table.AddColumn("bits/weight", TextTable::kRight);
  if (!held_out.empty()) table.AddColumn("held-out error", TextTable::kRight);
  for (const Manifest::Column& column : manifest.columns) {
    table.AddColumn(column.title, TextTable::kRight);
    table.AddColumn("loss vs fp16", TextTable::kRight);
  }
  std::vector<std::string> notes(manifest.columns.size());
  Failures failures;
  std::string identity;
  for (const Row& row : manifest.rows) {
    if (row.model != model) continue;
    std::string bits;
    std::string held_out_error;
    std::vector<std::string> numbers;
    for (std::size_t column = 0; column < manifest.columns.size(); ++column) {
      const std::optional<Metric> metric = cells.Find(row, column);
      numbers.resize(2 * column + 2);
      if (!metric) {
        if (!row.cells[column].empty()) numbers[2 * column] = "to do";
        continue;
      }
      identity = metric->cell.at("model_sha256").get<std::string>().substr(0, 12);
      if (bits.empty()) bits = Fixed(metric->cell.at("bits_per_weight"));
      if (held_out_error.empty())
        held_out_error = Fixed(MeanRatio(metric->cell, "held_out_error_vs_rtn"));
      if (metric->failed) {
        numbers[2 * column] = "failed";
        failures.Add(metric->cell.at("error"),
                     fmt::format("{}{}{} on {}", row.method,
                                 row.full_precision ? "" : " " + row.format + " " + row.granularity,
                                 row.calibration.empty() ? "" : " " + row.calibration,
                                 manifest.columns[column].title));
        continue;
      }
      numbers[2 * column] =
          WithError(metric->json.at("perplexity"), metric->json.at("stderr"), false);
      numbers[2 * column + 1] =
          WithError(metric->json.at("loss_vs_fp"), metric->json.at("loss_vs_fp_stderr"), true);
      notes[column] = fmt::format(
          "{}: {}, {} windows of {} tokens, ids sha256 {}\n", manifest.columns[column].title,
          metric->json.at("dataset").get<std::string>(), metric->json.at("windows").get<Index>(),
          metric->json.at("window_tokens").get<Index>(),
          metric->json.at("ids_sha256").get<std::string>().substr(0, 12));
    }
    std::vector<std::string> line = {row.method, row.format, row.granularity};
    if (calibrated) line.push_back(row.calibration);
    line.push_back(bits);
    if (!held_out.empty()) line.push_back(held_out_error);
    line.insert(line.end(), numbers.begin(), numbers.end());
    table.AddRow(std::move(line));
  }
  std::string text =
      fmt::format("## {}{}\n\n{}\n", model, identity.empty() ? "" : " (sha256 " + identity + ")",
                  table.ToMarkdown());
  for (const std::string& note : notes) text.append(note);
  if (!held_out.empty()) {
    text.append(fmt::format(
        "held-out error: squared error of a layer's outputs over that of rtn in the same format, "
        "on {},\nwhich no method saw; geometric mean over the layers\n",
        held_out));
  }
  return text + failures.ToText();
}

std::vector<std::string> Models(const Manifest& manifest) {
  std::vector<std::string> models;
  for (const Row& row : manifest.rows) {
    if (std::find(models.begin(), models.end(), row.model) == models.end())
      models.push_back(row.model);
  }
  return models;
}

std::string MarkdownReport(const Manifest& manifest, const Cells& cells) {
  std::string text;
  for (const std::string& model : Models(manifest))
    text.append(ModelTable(manifest, cells, model)).append("\n");
  return text +
         "Perplexity = exp(mean loss of the windows) ± standard error over windows; loss vs fp16 = "
         "perplexity minus the\n"
         "unquantised model's on the same windows ± its paired standard error.\n";
}

std::string CsvField(const Json& value) {
  if (value.is_null()) return "";
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (text.find_first_of(",\"\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted.append(c == '"' ? "\"\"" : std::string(1, c));
  return quoted + "\"";
}

std::string CsvReport(const Manifest& manifest, const Cells& cells) {
  std::string text =
      "model,model_sha256,method,transform,range,rounding,format,granularity,bits_per_weight,"
      "calibration,evaluation,protocol,"
      "dataset,window_tokens,windows,tokens,perplexity,stderr,loss_vs_fp,loss_vs_fp_stderr,"
      "quantize_seconds,"
      "evaluate_seconds,output_error_vs_rtn,held_out_error_vs_rtn,status,error\n";
  for (const Row& row : manifest.rows) {
    for (std::size_t column = 0; column < manifest.columns.size(); ++column) {
      const std::optional<Metric> metric = cells.Find(row, column);
      if (!metric) continue;
      std::vector<Json> fields = {row.model, metric->cell.at("model_sha256"), row.method};
      for (const char* name :
           {"transform", "range", "rounding", "format", "granularity", "bits_per_weight"}) {
        fields.push_back(metric->cell.at(name));
      }
      fields.insert(fields.end(), {row.calibration, manifest.columns[column].title,
                                   manifest.columns[column].protocol});
      for (const char* name : {"dataset", "window_tokens", "windows", "tokens", "perplexity",
                               "stderr", "loss_vs_fp", "loss_vs_fp_stderr"}) {
        fields.push_back(metric->failed ? Json() : metric->json.at(name));
      }
      const Json& seconds = metric->cell.at("seconds");
      fields.insert(fields.end(),
                    {seconds.at("quantize"), seconds.at("evaluate"),
                     MeanRatio(metric->cell, "output_error_vs_rtn"),
                     MeanRatio(metric->cell, "held_out_error_vs_rtn"), metric->cell.at("status"),
                     metric->failed ? metric->cell.at("error") : Json()});
      for (std::size_t i = 0; i < fields.size(); ++i)
        text.append(i == 0 ? "" : ",").append(CsvField(fields[i]));
      text.append("\n");
    }
  }
  return text;
}

std::string JsonReport(const Manifest& manifest, const Cells& cells) {
  Json all = Json::array();
  for (const Row& row : manifest.rows) {
    Json object;
    bool from_failed = true;
    for (std::size_t column = 0; column < manifest.columns.size(); ++column) {
      const std::optional<Metric> metric = cells.Find(row, column);
      if (!metric) continue;
      // What evaluations share (layers, bits) is in cells that are done.
      if (object.is_null() || (from_failed && !metric->failed)) {
        const Json failed = std::exchange(object, metric->cell);
        object["model"] = row.model;
        object["metrics"] = Json::object();
        object["seconds"]["evaluate"] = 0.0;
        if (!failed.is_null()) {
          object["status"] = "failed";
          object["error"] = failed.at("error");
        }
        from_failed = metric->failed;
      }
      if (metric->failed) {
        object["status"] = "failed";
        object["error"] = metric->cell.at("error");
        continue;
      }
      object["metrics"][manifest.columns[column].title] = metric->json;
      object["seconds"]["evaluate"] = object["seconds"]["evaluate"].get<double>() +
                                      metric->cell.at("seconds").at("evaluate").get<double>();
      object["peak_rss_bytes"] = std::max(object.at("peak_rss_bytes").get<std::uint64_t>(),
                                          metric->cell.at("peak_rss_bytes").get<std::uint64_t>());
    }
    if (!object.is_null()) all.push_back(std::move(object));
  }
  return all.dump(1) + "\n";
}

}  // namespace

std::string Report(const Manifest& manifest, const std::filesystem::path& folder,
                   ReportFormat format) {
  const Cells cells(manifest, folder);
  switch (format) {
    case ReportFormat::kMarkdown:
      return MarkdownReport(manifest, cells);
    case ReportFormat::kCsv:
      return CsvReport(manifest, cells);
    case ReportFormat::kJson:
      return JsonReport(manifest, cells);
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
