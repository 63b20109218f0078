#include "harness/report_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "harness/explain.h"
#include "harness/report_plots.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

// Plots are drawn for light paper; on a dark screen their lightness is turned round and their hues
// kept. They fit on a phone; wide tables scroll, their first column stays, and so do inspect's
// drawings. Paper does not scroll: there tables wrap, and everything is shown.
constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --text: #1f2328; --quiet: #59636e; --page: #ffffff; --panel: #f6f8fa; --line: #d1d9e0;
  --warn: #9a6700; --warn-panel: #fff8c5 }
@media screen and (prefers-color-scheme: dark) { :root { --text: #e6edf3; --quiet: #9198a1; --page: #0d1117; --panel: #151b23;
  --line: #3d444d; --warn: #d29922; --warn-panel: #2b2410 } figure svg { filter: invert(0.9) hue-rotate(180deg) } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 1200px; padding: 1rem; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif }
h1 { font-size: 1.6rem; margin: 0.5rem 0 } h2 { font-size: 1.2rem; margin: 2rem 0 0.5rem }
p, li { max-width: 80ch } .quiet { color: var(--quiet); font-size: 0.9rem } .remarks { white-space: pre-line }
.scroll { overflow-x: auto } table { border-collapse: collapse; font-size: 0.88rem; font-variant-numeric: tabular-nums }
tr { background: var(--page) }
th, td { padding: 0.28rem 0.5rem; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line) }
th:first-child, td:first-child { position: sticky; left: 0; background: inherit }
th { border-bottom: 2px solid var(--line); white-space: normal; vertical-align: bottom } .number { text-align: right } tbody tr:hover { background: var(--panel) }
.warnings { border-left: 4px solid var(--warn); background: var(--warn-panel); padding: 0.3rem 1rem; margin: 1rem 0 }
figure { margin: 1.5rem 0; max-width: 900px } figure svg, figure img { width: 100%; height: auto; display: block }
figure svg { max-width: 640px }
figcaption { font-size: 0.9rem } pre { overflow: auto; max-height: 30rem; background: var(--panel); padding: 0.8rem; font-size: 0.8rem }
code { overflow-wrap: anywhere }
@media screen and (max-width: 640px) { .scroll img { width: 640px } th, td { padding: 0.28rem 0.35rem } }
@media print { body { max-width: none; padding: 0; font-size: 10pt } table { font-size: 7.5pt }
  th, td { padding: 0.15rem 0.35rem; white-space: normal } h2 { break-after: avoid } figure, tr { break-inside: avoid }
  .scroll, pre { overflow: visible; max-height: none } pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 7.5pt } }
)";

std::string Element(std::string_view name, std::string_view text) {
  return fmt::format("<{0}>{1}</{0}>\n", name, EscapeHtml(text));
}

// An image in the page itself, where its styles are its own.
std::string ImageAddress(std::string_view svg) {
  std::string address = "data:image/svg+xml,";
  for (const char c : svg) {
    if (std::string_view("%#<>\"'&\n").find(c) == std::string_view::npos)
      address.push_back(c);
    else
      address.append(fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c))));
  }
  return address;
}

class Page {
 public:
  Page(const ExperimentFile& experiment, const Manifest& manifest, const ReportCells& cells,
       const std::filesystem::path& folder)
      : experiment_(experiment), manifest_(manifest), cells_(cells), folder_(folder) {}

  std::string Write(const ReportTables& tables) {
    html_ = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
        "<title>{0}: daq-bench</title>\n<style>{1}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
        EscapeHtml(experiment_.name), kStyle);
    AddSummary();
    AddWarnings();
    for (const ReportSection& section : tables.sections) AddTable(section);
    html_ += "<h2>What the numbers are</h2>\n<ul>\n";
    for (const std::string& meaning : tables.meanings) html_ += Element("li", meaning);
    html_ += "</ul>\n";
    AddPlots();
    AddDrawings();
    AddProvenance();
    AddConfig();
    return html_ + "</body>\n</html>\n";
  }

 private:
  // Calls `visit` with every place of the table that has a cell: its row, column, and the cell or
  // null.
  template <typename Visit>
  void ForEachPlace(const Visit& visit) const {
    for (std::size_t row = 0; row < manifest_.rows.size(); ++row) {
      for (std::size_t column = 0; column < manifest_.columns.size(); ++column) {
        if (!manifest_.rows[row].cells[column].empty())
          visit(manifest_.rows[row], manifest_.columns[column], cells_.Find(row, column));
      }
    }
  }

  void AddSummary() {
    std::size_t places = 0;
    std::size_t done = 0;
    ForEachPlace([&](const Manifest::Row&, const Manifest::Column&, const ReportCell* cell) {
      ++places;
      if (cell != nullptr && !cell->failed) ++done;
    });
    html_ += fmt::format("<p class=\"quiet\">{} of {} results, of {}, by daq-bench</p>\n", done,
                         places, EscapeHtml(experiment_.path.filename().string()));
  }

  std::vector<std::string> Warnings() const {
    std::vector<std::string> warnings;
    std::size_t missing = 0;
    ForEachPlace(
        [&](const Manifest::Row& row, const Manifest::Column& column, const ReportCell* cell) {
          if (cell == nullptr) {
            ++missing;
          } else if (cell->failed) {
            warnings.push_back(fmt::format("{} on {} failed: {}", RowLabel(row), column.title,
                                           cell->cell.at("error").get<std::string>()));
          } else if (row.full_precision) {
            const std::string published = PublishedText(cell->metric);
            const Json& measured = cell->metric.at(PublishedMetricOf(cell->metric));
            if (!published.empty() && DiffersFromPublished(cell->metric))
              warnings.push_back(fmt::format(
                  "full precision of {} on {} is {}, published {}: the text, the tokenizer or the "
                  "checkpoint is probably another, and then no number here compares with a paper's",
                  row.model, column.title,
                  measured.is_null() ? "no finite number"
                                     : fmt::format("{:.3f}", measured.get<double>()),
                  published));
          }
        });
    if (missing > 0)
      warnings.push_back(fmt::format("{} {} not computed yet", missing,
                                     missing == 1 ? "result is" : "results are"));
    return warnings;
  }

  void AddWarnings() {
    const std::vector<std::string> warnings = Warnings();
    if (warnings.empty()) return;
    html_ += "<div class=\"warnings\">\n";
    for (const std::string& warning : warnings) html_ += Element("p", warning);
    html_ += "</div>\n";
  }

  void AddTable(const ReportSection& section) {
    if (!section.heading.empty()) html_ += Element("h2", section.heading);
    if (!section.caption.empty()) html_ += Element("p", section.caption);
    html_ += "<div class=\"scroll\">\n" + section.table.ToHtml() + "</div>\n";
    if (section.remarks.empty()) return;
    html_ += "<p class=\"quiet remarks\">";
    for (const std::string& remark : section.remarks) html_ += EscapeHtml(remark);
    html_ += "</p>\n";
  }

  void AddFigure(const std::string& picture, const std::string& title, const std::string& caption) {
    html_ += fmt::format(
        "<figure>\n<div class=\"scroll\">{}</div>\n<figcaption><b>{}.</b> "
        "{}</figcaption>\n</figure>\n",
        picture, EscapeHtml(title), EscapeHtml(caption));
  }

  void AddPlots() {
    const std::vector<ReportPlot> plots = MakeReportPlots(manifest_, cells_);
    if (plots.empty()) return;
    html_ += "<h2>Plots</h2>\n";
    for (const ReportPlot& plot : plots) AddFigure(plot.svg, plot.title, plot.caption);
  }

  // What `inspect --layer` has drawn. It quantises to draw, so a report does not do it by itself.
  void AddDrawings() {
    std::set<std::filesystem::path> files;
    std::error_code none;  // no folder: nothing drawn
    for (const auto& entry : std::filesystem::directory_iterator(folder_, none)) {
      if (entry.path().extension() == ".svg") files.insert(entry.path());
    }
    html_ += "<h2>Weights and codes</h2>\n";
    if (files.empty()) {
      html_ += Element("p", fmt::format("Nothing is drawn yet: daq-bench inspect {} --layer "
                                        "0.mlp.up_proj draws the density of a layer's weights and "
                                        "each recipe's codes (of one model), for the next report.",
                                        experiment_.path.filename().string()));
    }
    for (const std::filesystem::path& file : files) {
      AddFigure(fmt::format("<img alt=\"\" src=\"{}\">", ImageAddress(ReadFile(file))),
                file.stem().string(),
                "Density of the weights, and where each recipe has its codes (daq-bench inspect).");
    }
  }

  void AddProvenance() {
    std::vector<std::string> facts;
    const auto add = [&](std::string fact) {
      if (std::find(facts.begin(), facts.end(), fact) == facts.end())
        facts.push_back(std::move(fact));
    };
    ForEachPlace([&](const Manifest::Row& row, const Manifest::Column&, const ReportCell* cell) {
      if (cell == nullptr) return;
      const Json& own = cell->cell;
      const Json& host = own.at("host");
      const auto text = [](const Json& value) { return value.get<std::string>(); };
      add(fmt::format("model {}: sha256 {}", row.model, text(own.at("model_sha256"))));
      if (const Json& calibration = own.at("calibration");
          !calibration.is_null() && !row.calibration.empty())
        add(fmt::format("calibration {}: {}, ids sha256 {}", row.calibration,
                        text(calibration.at("dataset")), text(calibration.at("ids_sha256"))));
      add(fmt::format("daq-bench {}, numerics {}", text(own.at("version")),
                      own.at("numerics").get<int>()));
      if (host.is_null()) return;
      add(fmt::format("computed on {}, {} threads, {}, {}; {}", text(host.at("processor")),
                      host.at("threads").get<int>(), text(host.at("system")),
                      text(host.at("compiler")), text(host.at("blas"))));
    });
    std::stable_sort(facts.begin(), facts.end(), [](const std::string& a, const std::string& b) {
      return a.substr(0, a.find(' ')) < b.substr(0, b.find(' '));
    });
    if (facts.empty()) return;
    html_ += "<h2>Provenance</h2>\n<ul class=\"quiet\">\n";
    for (const std::string& fact : facts)
      html_ += fmt::format("<li><code>{}</code></li>\n", EscapeHtml(fact));
    html_ += "</ul>\n";
  }

  void AddConfig() {
    html_ += fmt::format(
        "<h2>Config</h2>\n<p>{}, as written:</p>\n<pre>{}</pre>\n"
        "<p>Every setting, with its meaning and source:</p>\n<pre>{}</pre>\n",
        EscapeHtml(experiment_.path.filename().string()), EscapeHtml(ReadFile(experiment_.path)),
        EscapeHtml(Explain(experiment_)));
  }

  const ExperimentFile& experiment_;
  const Manifest& manifest_;
  const ReportCells& cells_;
  const std::filesystem::path& folder_;
  std::string html_;
};

}  // namespace

std::string HtmlReport(const ExperimentFile& experiment, const Manifest& manifest,
                       const ReportCells& cells, const ReportTables& tables,
                       const std::filesystem::path& folder) {
  return Page(experiment, manifest, cells, folder).Write(tables);
}

}  // namespace daq
