// Tables in the arrangement that a config asks for, and the languages that they are written in.
#include "harness/report_grid.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "harness/parse_experiment.h"
#include "harness/report.h"
#include "harness/report_tables.h"
#include "tests/harness/report_fixture.h"
#include "tests/support/input_error.h"

namespace daq {
namespace {

// What a run of the experiment would write, without its models and texts.
Manifest MadeUpManifest(const ExperimentFile& experiment) {
  Manifest manifest;
  for (const EvaluationRequest& evaluation : experiment.points.front().evaluations)
    manifest.columns.push_back(
        {.title = evaluation.name, .protocol = evaluation.protocol, .text = evaluation.name});
  std::set<std::string> known;
  for (const Experiment& point : experiment.points) {
    for (const RecipeRequest& request : point.recipes) {
      Manifest::Row row = MakeManifestRow(point.model, "F16", request.recipe);
      if (!known.insert(row.model + RowLabel(row)).second) continue;
      row.cells.assign(manifest.columns.size(), "cell");
      manifest.rows.push_back(std::move(row));
    }
  }
  return manifest;
}

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
                  .starts_with("## model (sha256 )\n\n"
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
  layout.values = {"loss_vs_fp"};
  EXPECT_NE(Markdown(layout).find("| awq    |  **+1.030** |             |\n"), std::string::npos)
      << Markdown(layout);
  layout.values = {"bits_per_weight"};
  EXPECT_EQ(Markdown(layout).find("**"), std::string::npos) << "fewer bits are not better";
}

// DAQ's grids have a zero-point where its baselines' have none; they share a code book.
TEST_F(ReportGridTest, DaqStandsBesideItsBaselines) {
  Add("fp16", "f16", kFp);
  Add("awq", "nf4", Worse(0.050, 0.02), "ids 2x64");
  Add("daq", "nf4-asym", Worse(0.030, 0.02), "ids 2x64");
  EXPECT_TRUE(Markdown(MethodsByFormats())
                  .starts_with("## model (sha256 )\n\n"
                               "| method | nf4 channel |\n"
                               "|:-------|------------:|\n"
                               "| fp16   |      20.086 |\n"
                               "| awq    |      21.115 |\n"
                               "| daq    |  **20.697** |\n"))
      << Markdown(MethodsByFormats());
}

TEST_F(ReportGridTest, SymmetryIsAFieldOfItsOwn) {
  Add("fp16", "f16", kFp);
  Add("rtn", "nf4", Worse(0.05));
  Add("rtn", "nf4-asym", Worse(0.03));
  EXPECT_EQ(InputErrorOf("", [&] { Markdown(MethodsByFormats()); }),
            "x.yaml:9: report: expected fields in rows and columns that tell all results apart, "
            "such as symmetry, found two in one place: rtn nf4 channel on text and rtn nf4-asym "
            "channel on text");
  ReportLayout layout = MethodsByFormats();
  layout.columns.push_back(ReportField::kSymmetry);
  EXPECT_NE(Markdown(layout).find("| method | nf4 channel symmetric | nf4 channel asymmetric |\n"),
            std::string::npos)
      << Markdown(layout);
}

TEST_F(ReportGridTest, SeveralValuesStandBesideEachOtherWithTheirErrors) {
  Add("fp16", "f16", kFp);
  Add("awq", "nf4", Worse(0.05), "ids 2x64");
  Add("daq", "nf4-asym", Worse(0.03), "ids 2x64");
  ReportLayout layout = MethodsByFormats();
  layout.values = {"perplexity", "loss_vs_fp", "loss_reduction"};
  layout.error = ReportLayout::Error::kInterval;
  const std::string grid = Markdown(layout);
  EXPECT_NE(grid.find("| method | nf4 channel: perplexity |   nf4 channel: loss vs fp16 | nf4 "
                      "channel: loss reduction |\n"),
            std::string::npos)
      << grid;
  EXPECT_NE(grid.find("**20.697** |"), std::string::npos) << grid;
  EXPECT_NE(grid.find(" 40.6 % [40.6, 40.6] |\n"), std::string::npos)
      << grid << "nothing says which reductions differ by chance";
  EXPECT_NE(grid.find("loss vs fp16 = perplexity minus the unquantised model's on the same windows "
                      "[95 % interval of the paired bootstrap].\n"),
            std::string::npos)
      << grid;
  EXPECT_NE(Report(experiment_, manifest_, folder_.path(), {.format = ReportFormat::kLatex})
                .find("\\caption{Perplexity and loss vs fp16 and loss reduction of model with "
                      "quantised weights, on text}\n"),
            std::string::npos);
  layout.bold = ReportLayout::Bold::kBest;
  EXPECT_NE(Markdown(layout).find(" **40.6 % [40.6, 40.6]** |\n"), std::string::npos)
      << Markdown(layout);
  layout.error = ReportLayout::Error::kStandardError;
  EXPECT_NE(Markdown(layout).find("20.086 ± "), std::string::npos) << Markdown(layout);
}

TEST_F(ReportGridTest, ComparisonsHaveAColumn) {
  AddRows();
  experiment_.report = MethodsByFormats();
  const std::string grid = Report(experiment_, manifest_, folder_.path(), {.against = "rtn"});
  EXPECT_NE(grid.find("| method | nf3 channel |"), std::string::npos) << grid;
  EXPECT_NE(grid.find(" nf3 channel: vs rtn | nf4 channel | nf4 channel: vs rtn |\n"),
            std::string::npos)
      << grid;
  EXPECT_NE(grid.find("| -1.083 [-1."), std::string::npos) << grid;
  EXPECT_NE(grid.find("vs rtn = perplexity minus that row's [95 % interval]"), std::string::npos);
}

// What stands below the default tables stands below a layout's.
TEST_F(ReportGridTest, RemarksSayWhatWasEvaluatedAndWhatFailed) {
  Add("fp16", "f16", kFp);
  CellRecord failed;
  failed.id = "failed";
  failed.model_dtype = "F16";
  failed.model_sha256 = std::string(64, 'a');
  failed.recipe =
      MakeRecipe(*FindPreset("rtn"), {.codebook = *FindCodebook("nf3", true), .symmetric = true});
  failed.evaluation.name = "text";
  failed.error = "disk full";
  CellStore(folder_.path()).Write(failed);
  manifest_.rows.push_back(MakeManifestRow("model", "F16", failed.recipe));
  manifest_.rows.back().cells = {"failed"};
  const std::string grid = Markdown(MethodsByFormats());
  EXPECT_NE(grid.find("| rtn    |      failed |\n"), std::string::npos) << grid;
  EXPECT_NE(grid.find("failed: rtn nf3 channel on text: disk full\n"), std::string::npos) << grid;
  EXPECT_NE(grid.find("text: , 24 windows of 0 tokens, ids sha256 "), std::string::npos) << grid;
}

TEST_F(ReportGridTest, AValueThatNoResultHasIsNamed) {
  AddRows();
  ReportLayout layout = MethodsByFormats();
  layout.values = {"perplexity", "kl_p90"};
  EXPECT_NE(Markdown(layout).find("KL 90 %: no result has it\n"), std::string::npos)
      << Markdown(layout);
  layout.values = {"perplexity"};
  EXPECT_EQ(Markdown(layout).find("no result has it"), std::string::npos);
}

TEST_F(ReportGridTest, SeedsHaveTheirTableToo) {
  Add("fp16", "f16", kFp);
  for (const std::int64_t seed : {0, 1}) {
    Add("gptq", "nf3", Worse(0.1 + 0.01 * static_cast<double>(seed)),
        seed == 0 ? "gptq-c4 2x64" : "gptq-c4 2x64 (seed 1)",
        CalibrationRecord{.protocol = "gptq-c4",
                          .dataset = "c4",
                          .windows = 2,
                          .window_tokens = 64,
                          .documents = {},
                          .seed = seed,
                          .text_sha256 = "",
                          .ids_sha256 = ""});
  }
  ReportLayout layout = MethodsByFormats();
  layout.rows.push_back(ReportField::kCalibration);
  const std::string caption =
      "Over calibration seeds: mean ± standard deviation between seeds (number of seeds)";
  EXPECT_NE(Markdown(layout).find("\n" + caption + "\n"), std::string::npos) << Markdown(layout);
  layout.rows.insert(layout.rows.begin(), ReportField::kModel);
  EXPECT_NE(Markdown(layout).find("\nmodel. " + caption + "\n"), std::string::npos)
      << Markdown(layout);
}

TEST_F(ReportGridTest, TwoResultsInOnePlaceAreRefused) {
  AddRows();
  Add("gptq", "nf3", Worse(0.04), "ids 4x64");
  EXPECT_EQ(InputErrorOf("", [&] { Markdown(MethodsByFormats()); }),
            "x.yaml:9: report: expected fields in rows and columns that tell all results apart, "
            "such as calibration, found two in one place: gptq nf3 channel ids 2x64 on text and "
            "gptq nf3 channel ids "
            "4x64 on text");
  ReportLayout layout = MethodsByFormats();
  layout.rows.push_back(ReportField::kCalibration);
  EXPECT_NE(Markdown(layout).find("| gptq   | ids 4x64    |"), std::string::npos)
      << Markdown(layout);
}

// A column mixes neither protocols nor windows of them: texts, lengths, numbers.
TEST_F(ReportGridTest, TwoProtocolsInOneColumnAreRefused) {
  manifest_.columns[0].text = "w.json, 64 tokens a window";
  Add("rtn", "nf3", Worse(0.1));
  const std::size_t row = Add("awq", "nf3", Worse(0.1));
  manifest_.rows[0].cells = {manifest_.rows[0].cells[0], ""};
  manifest_.rows[row].cells = {"", manifest_.rows[row].cells[0]};
  manifest_.columns.push_back({.title = "other", .protocol = "", .text = ""});
  const auto error_with = [&](const std::string& protocol, const std::string& text) {
    manifest_.columns[1].protocol = protocol;
    manifest_.columns[1].text = text;
    return InputErrorOf("", [&] { Markdown(MethodsByFormats()); });
  };
  const std::string expected =
      "x.yaml:9: report: expected one protocol on the same windows of one text in a column, found "
      "ids (w.json, 64 tokens a window) and ";
  for (const auto& [protocol, text] : std::vector<std::pair<std::string, std::string>>{
           {"gptq-c4", "w.json, 64 tokens a window"},
           {"ids", "w.json, 512 tokens a window"},
           {"ids", "w.json, 64 tokens a window, the first 8 windows"},
           {"ids", "v.json, 64 tokens a window"}}) {
    EXPECT_EQ(error_with(protocol, text),
              expected + protocol + " (" + text + ") in \"nf3 channel\"");
  }
  EXPECT_EQ(error_with("ids", "w.json, 64 tokens a window"), "no error");
}

// LLaMA-7B's numbers as papers print them: one measured like them, one not.
TEST_F(ReportGridTest, PublishedValuesStandBesideAndDifferencesAreMarked) {
  manifest_.columns[0] = {
      .title = "wt2", .protocol = "gptq-wikitext2", .text = "", .as_published = true};
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
  manifest_.rows[1].as_authors = false;
  EXPECT_EQ(Report(experiment_, manifest_, folder_.path(), {}).find("6.29"), std::string::npos)
      << "calibrated otherwise than papers mean";
  manifest_.rows[1].as_authors = true;
  manifest_.columns[0].as_published = false;
  EXPECT_EQ(Report(experiment_, manifest_, folder_.path(), {}).find("6.29"), std::string::npos);
}

// Sources that disagree say nothing of what lies between them.
TEST_F(ReportGridTest, ANumberBetweenPublishedOnesDiffers) {
  nlohmann::ordered_json metric = {{"protocol", "gptq-wikitext2"},
                                   {"perplexity", 7.5},
                                   {"published", {{{"value", "6.27"}}, {{"value", "8.81"}}}}};
  EXPECT_EQ(PublishedText(metric), "6.27 to 8.81 ≠");
  metric["perplexity"] = 8.74;
  EXPECT_EQ(PublishedText(metric), "6.27 to 8.81");
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
  EXPECT_NE(latex.find("\\caption{Perplexity of model with quantised weights, on text}\n"
                       "\\label{tab:made-up}\n"),
            std::string::npos)
      << latex;
  EXPECT_NE(latex.find("\n% model (sha256 )\n"), std::string::npos) << latex;
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

// The configs of the papers' tables: made-up cells on every place, as a run would make them.
TEST(ReportConfigsTest, EveryLayoutHasOneColumnForACodeBook) {
  int layouts = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(DAQ_SOURCE_DIR) / "configs/tables")) {
    const ExperimentFile experiment = ReadExperimentFile(entry.path());
    if (!experiment.report) continue;
    SCOPED_TRACE(experiment.name);
    ++layouts;
    const TemporaryFolder folder;
    const Manifest manifest = MadeUpManifest(experiment);
    const ReportTables tables =
        MakeReportTables(manifest, ReportCells(manifest, folder.path(), ""), "", experiment.report);
    std::set<std::string> books;
    std::set<std::string> titles;
    for (const Manifest::Row& row : manifest.rows) {
      if (row.full_precision) continue;
      books.insert(row.codebook);
      for (const Manifest::Column& column : manifest.columns) {
        std::string title;
        for (const ReportField field : experiment.report->columns) {
          ASSERT_NE(field, ReportField::kSymmetry);
          const std::string& text = field == ReportField::kFormat        ? row.codebook
                                    : field == ReportField::kGranularity ? row.granularity
                                                                         : column.title;
          title += (title.empty() ? "" : " ") + text;
        }
        titles.insert(title);
      }
    }
    ASSERT_FALSE(tables.sections.empty());
    const std::string table = tables.sections[0].table.ToMarkdown();
    const std::string header = table.substr(0, table.find('\n'));
    const bool named = experiment.report->values.size() > 1;
    for (const std::string& title : titles)
      EXPECT_NE(header.find(" " + title + (named ? ": perplexity |" : " |")), std::string::npos)
          << title << header;
    const auto bars = static_cast<std::size_t>(std::count(header.begin(), header.end(), '|'));
    EXPECT_EQ(bars - 1,
              experiment.report->rows.size() + titles.size() * experiment.report->values.size())
        << header;
    EXPECT_LE(books.size(), titles.size());
    EXPECT_EQ(header.find("asym"), std::string::npos) << header;
  }
  EXPECT_GE(layouts, 3);
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
            "x.yaml:6: report.columns[0]: expected one of model, method, format, symmetry, "
            "granularity, calibration, evaluation, found \"formt\" (did you mean format?)");
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
  const std::string fields = "  rows: [method]\n  columns: [format]\n";
  EXPECT_EQ(ErrorOf(fields + "  value: [perplexity, perplexity]\n"),
            "x.yaml:7: report.value[1]: expected every number once, found \"perplexity\"");
  EXPECT_EQ(ErrorOf(fields + "  error: stderr\n  value: bits_per_weight\n"),
            "x.yaml:5: report: expected value: perplexity or loss_vs_fp where error is stderr, "
            "found value: bits_per_weight");
  EXPECT_EQ(ErrorOf(fields + "  error: interval\n"),
            "x.yaml:5: report: expected value: loss_vs_fp or loss_reduction where error is "
            "interval, found value: perplexity");
  // Numbers that no result of the experiment can have.
  EXPECT_EQ(ErrorOf(fields + "  value: kl_p90\n"),
            "x.yaml:5: report.value: expected token_metrics: true in an evaluation where it is "
            "kl_p90, found none");
  EXPECT_EQ(ErrorOf(fields + "  value: [perplexity, bits_per_byte]\n"),
            "x.yaml:5: report.value: expected an evaluation by lm-eval-wikitext where it is "
            "bits_per_byte, found none");
  EXPECT_EQ(ErrorOf(fields + "  value: loss_reduction\n"),
            "x.yaml:5: report.value: expected fp16, one of rtn, gptq and awq, and another method "
            "among the recipes where it is loss_reduction, found none");
  EXPECT_EQ(ErrorOf("  rows: [method]\n  columns: [format]\n  bold: worst\n"),
            "x.yaml:7: report.bold: expected one of none, best, not_worse, found \"worst\"");
}

}  // namespace
}  // namespace daq
