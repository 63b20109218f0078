// Tables in the arrangement that a config asks for, and the languages that they are written in.
#include "harness/report_grid.h"

#include <gtest/gtest.h>

#include <cmath>

#include "harness/parse_experiment.h"
#include "harness/report.h"
#include "harness/report_tables.h"
#include "tests/harness/report_fixture.h"
#include "tests/support/input_error.h"

namespace daq {
namespace {

class ReportGridTest : public ReportCellsTest {
 protected:
  std::string Markdown(const ReportLayout& layout) {
    experiment_.report = layout;
    return Report(experiment_, manifest_, folder_.path(), {.format = ReportFormat::kMarkdown});
  }

  static ReportLayout MethodsByFormats(ReportLayout::Bold bold = ReportLayout::Bold::kNotWorse) {
    return {.rows = {ReportField::kMethod},
            .columns = {ReportField::kFormat, ReportField::kGranularity},
            .bold = bold,
            .where = {"x.yaml", 9}};
  }

  // awq is best at nf3, gptq not significantly worse, rtn is; at nf4 there is rtn alone.
  void AddRows() {
    Add("fp16", "f16", kFp);
    Add("rtn", "nf3", Worse(0.10));
    Add("awq", "nf3", Worse(0.050, 0.02), "ids 2x64");
    Add("gptq", "nf3", Worse(0.051, -0.02), "ids 2x64");
    Add("rtn", "nf4", Worse(0.01));
  }
};

TEST_F(ReportGridTest, MethodsByFormats) {
  AddRows();
  EXPECT_TRUE(Markdown(MethodsByFormats())
                  .starts_with("## model\n\n"
                               "| method | nf3 channel | nf4 channel |\n"
                               "|:-------|------------:|------------:|\n"
                               "| fp16   |      20.086 |      20.086 |\n"
                               "| rtn    |      22.198 |  **20.287** |\n"
                               "| awq    |  **21.115** |             |\n"
                               "| gptq   |  **21.136** |             |\n"))
      << Markdown(MethodsByFormats());
  const std::string best = Markdown(MethodsByFormats(ReportLayout::Bold::kBest));
  EXPECT_NE(best.find("**21.115**"), std::string::npos);
  EXPECT_NE(best.find("|      21.136 |"), std::string::npos) << best;
  const std::string none = Markdown(MethodsByFormats(ReportLayout::Bold::kNone));
  EXPECT_EQ(none.find("**"), std::string::npos) << none;
}

TEST_F(ReportGridTest, OtherValues) {
  AddRows();
  ReportLayout layout = MethodsByFormats();
  layout.value = "loss_vs_fp";
  EXPECT_NE(Markdown(layout).find("| awq    |  **+1.030** |             |\n"), std::string::npos)
      << Markdown(layout);
  layout.value = "bits_per_weight";
  EXPECT_EQ(Markdown(layout).find("**"), std::string::npos) << "fewer bits are not better";
}

TEST_F(ReportGridTest, TwoResultsInOnePlaceAreRefused) {
  AddRows();
  Add("gptq", "nf3", Worse(0.04), "ids 4x64");
  EXPECT_EQ(InputErrorOf("", [&] { Markdown(MethodsByFormats()); }),
            "x.yaml:9: report: expected fields in rows and columns that tell all results apart, "
            "found two in one place: gptq nf3 channel ids 2x64 on text and gptq nf3 channel ids "
            "4x64 on text");
  ReportLayout layout = MethodsByFormats();
  layout.rows.push_back(ReportField::kCalibration);
  EXPECT_NE(Markdown(layout).find("| gptq   | ids 4x64    |"), std::string::npos)
      << Markdown(layout);
}

TEST_F(ReportGridTest, TwoProtocolsInOneColumnAreRefused) {
  Add("rtn", "nf3", Worse(0.1));
  manifest_.columns.push_back({.title = "other", .protocol = "gptq-c4"});
  const std::size_t row = Add("awq", "nf3", Worse(0.1));
  manifest_.rows[0].cells = {manifest_.rows[0].cells[0], ""};
  manifest_.rows[row].cells = {"", manifest_.rows[row].cells[0]};
  EXPECT_EQ(InputErrorOf("", [&] { Markdown(MethodsByFormats()); }),
            "x.yaml:9: report: expected one protocol in a column, found ids and gptq-c4 in \"nf3 "
            "channel\"");
}

// LLaMA-7B's numbers as papers print them: one measured like them, one not.
TEST_F(ReportGridTest, PublishedValuesStandBesideAndDifferencesAreMarked) {
  manifest_.columns[0] = {.title = "wt2", .protocol = "gptq-wikitext2", .as_published = true};
  Add("fp16", "f16", std::vector<double>(8, std::log(5.678)));
  Add("rtn", "int4", std::vector<double>(8, std::log(6.60)));
  for (Manifest::Row& row : manifest_.rows) row.model = "huggyllama/llama-7b";
  ReportLayout layout = MethodsByFormats();
  layout.published = true;
  const std::string grid = Markdown(layout);
  EXPECT_NE(grid.find("5.678 (5.68)"), std::string::npos) << grid;
  EXPECT_NE(grid.find("6.600 (6.29 to 6.43 ≠)"), std::string::npos) << grid;
  EXPECT_NE(grid.find("published: "), std::string::npos) << grid;
  experiment_.report.reset();
  const std::string rows =
      Report(experiment_, manifest_, folder_.path(), {.format = ReportFormat::kMarkdown});
  EXPECT_NE(rows.find("6.29 to 6.43 ≠ |"), std::string::npos) << rows;
  EXPECT_NE(rows.find("OmniQuant paper (arXiv 2308.13137 v3), Table 1"), std::string::npos) << rows;
  manifest_.columns[0].as_published = false;
  EXPECT_EQ(Report(experiment_, manifest_, folder_.path(), {}).find("6.29"), std::string::npos);
}

TEST_F(ReportGridTest, PublishedWordPerplexitiesAreComparedByWords) {
  nlohmann::ordered_json metric = {
      {"protocol", "lm-eval-wikitext"},
      {"perplexity", 5.1},
      {"word_perplexity", 8.80},
      {"published", {{{"value", "8.7921"}, {"source", "an issue"}, {"table", "1"}}}}};
  EXPECT_EQ(PublishedText(metric), "8.7921");
  metric["word_perplexity"] = 8.6;
  EXPECT_EQ(PublishedText(metric), "8.7921 ≠");
}

TEST_F(ReportGridTest, LatexIsATableWithRules) {
  AddRows();
  experiment_.report = MethodsByFormats();
  const std::string latex =
      Report(experiment_, manifest_, folder_.path(), {.format = ReportFormat::kLatex});
  EXPECT_NE(latex.find("\\begin{tabular}{lrr}\n\\toprule\nmethod & nf3 channel & nf4 channel \\\\\n"
                       "\\midrule\nfp16 & 20.086 & 20.086 \\\\\n"),
            std::string::npos)
      << latex;
  EXPECT_NE(latex.find("awq & \\textbf{21.115} &  \\\\\n"), std::string::npos) << latex;
  // What is no table is a comment.
  experiment_.report.reset();
  const std::string rows =
      Report(experiment_, manifest_, folder_.path(), {.format = ReportFormat::kLatex});
  EXPECT_NE(rows.find("$\\pm$"), std::string::npos);
  for (std::size_t at = 0; (at = rows.find('\n', at)) != std::string::npos; ++at) {
    const std::string line = rows.substr(at + 1, rows.find('\n', at + 1) - at - 1);
    EXPECT_TRUE(line.empty() || line[0] == '%' || line[0] == '\\' || line.find(" & ") != line.npos)
        << line;
  }
}

TEST(TextTableTest, EscapesWhatItsLanguagesTakeForMarkup) {
  EXPECT_EQ(EscapeLatex("a_b & 5 % {x} \\ ~ 1 ± 2 ≠"),
            "a\\_b \\& 5 \\% \\{x\\} \\textbackslash{} \\~{} 1 $\\pm$ 2 $\\neq$");
  EXPECT_EQ(EscapeHtml("<a href=\"x\">&\x01"), "&lt;a href=&quot;x&quot;&gt;&amp;\xEF\xBF\xBD");
  TextTable table;
  table.AddColumn("a<b", TextTable::kLeft);
  table.AddColumn("n", TextTable::kRight);
  table.AddRow({{"x"}, {"1", true}});
  EXPECT_EQ(table.ToHtml(),
            "<table>\n<thead><tr><th>a&lt;b</th><th class=\"number\">n</th></tr></thead>\n<tbody>\n"
            "<tr><td>x</td><td class=\"number\"><b>1</b></td></tr>\n</tbody>\n</table>\n");
}

// The config's part.
std::string ErrorOf(const std::string& report) {
  return InputErrorOf("", [&] {
    ParseExperiment("model: m\nevaluate: [gptq-wikitext2]\nrecipes: [fp16]\nreport:\n" + report,
                    "x.yaml");
  });
}

TEST(ReportConfigTest, MistakesAreNamed) {
  EXPECT_EQ(ErrorOf("  rows: [method]\n  columns: [formt]\n"),
            "x.yaml:6: report.columns[0]: expected one of model, method, format, granularity, "
            "calibration, evaluation, found \"formt\" (did you mean format?)");
  EXPECT_EQ(ErrorOf("  rows: [method]\n  columns: [method]\n"),
            "x.yaml:5: report: expected each field in rows or in columns, found method in both");
  EXPECT_EQ(ErrorOf("  rows: [method, method]\n  columns: [format]\n"),
            "x.yaml:5: report.rows[1]: expected every field once, found \"method\"");
  EXPECT_EQ(
      ErrorOf("  rows: [method]\n"),
      "x.yaml:5: report.columns: expected a list such as [format, evaluation], found nothing");
  EXPECT_EQ(ErrorOf("  rows: [method]\n  columns: [format]\n  value: kl_mean\n  published: true\n"),
            "x.yaml:5: report: expected value: perplexity where published is true, for published "
            "values are perplexities, found value: kl_mean");
  EXPECT_EQ(ErrorOf("  rows: [method]\n  columns: [format]\n  bold: worst\n"),
            "x.yaml:7: report.bold: expected one of none, best, not_worse, found \"worst\"");
}

}  // namespace
}  // namespace daq
