#include "harness/report_plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/statistics.h"
#include "harness/gnuplot.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;
using Row = Manifest::Row;

constexpr int kWidth = 500;  // of a plot whose letters a phone still shows at a readable size
constexpr int kHeight = 440;
constexpr int kBarHeight = 19;
constexpr std::size_t kMostBars = 40;  // of one plot: about a page of paper
constexpr double kCharacter = 7.6;     // of a label, roughly: fonts differ

// Colours that differ in lightness as well as in hue. Beyond them lines are dashed too, and points
// have other shapes.
constexpr std::array<std::string_view, 8> kColors = {"#0550ae", "#bc4c00", "#1a7f37", "#8250df",
                                                     "#cf222e", "#57606a", "#bf8700", "#1b7c83"};

// Legends stand below: beside a plot they would take a third of a narrow one.
constexpr std::string_view kLegend = "set key below center samplen 2\nset xlabel offset 0,0.5\n";

// A curve or a set of points, with its legend.
struct Series {
  struct Point {
    double x = 0;
    double y = 0;
    double low = 0;
    double high = 0;
  };
  std::string title;
  std::vector<Point> points = {};
};

std::string DataBlocks(const std::vector<Series>& all) {
  std::string script;
  for (std::size_t i = 0; i < all.size(); ++i) {
    script += fmt::format("$d{} << EOD\n", i);
    for (const auto& [x, y, low, high] : all[i].points)
      script += fmt::format("{} {} {} {}\n", x, y, low, high);
    script += "EOD\n";
  }
  return script;
}

// The axis of losses: logarithmic where they are of different orders of magnitude, which leaves out
// those that are not positive.
class LossAxis {
 public:
  explicit LossAxis(std::vector<Series>* all) {
    double lowest = INFINITY;
    double highest = 0;
    bool any_negative = false;
    for (const Series& series : *all) {
      for (const Series::Point& point : series.points) {
        any_negative = any_negative || point.y <= 0;
        if (point.y > 0) lowest = std::min(lowest, point.y);
        highest = std::max(highest, point.y);
      }
    }
    is_logarithmic_ = highest > 30 * lowest;
    if (!is_logarithmic_) return;
    if (any_negative) note_ = " Losses of 0 or less have no place on a logarithmic axis.";
    for (Series& series : *all) {
      std::erase_if(series.points, [](const Series::Point& point) { return point.y <= 0; });
      for (Series::Point& point : series.points) point.low = std::max(point.low, 0.1 * lowest);
    }
  }

  std::string Script() const {
    return fmt::format("set ylabel \"loss of perplexity against full precision\"\n{}",
                       is_logarithmic_ ? "set logscale y\n" : "");
  }
  const std::string& note() const { return note_; }

 private:
  bool is_logarithmic_ = false;
  std::string note_;
};

// What the rows of one model, and one evaluation, have to draw.
class Plots {
 public:
  Plots(const Manifest& manifest, const ReportCells& cells) : manifest_(manifest), cells_(cells) {}

  std::vector<ReportPlot> Draw() {
    for (const std::string& model : ModelsOf(manifest_)) {
      for (std::size_t column = 0; column < manifest_.columns.size(); ++column) {
        for (const std::string& group : GroupsOf(model)) DrawCalibration(model, column, group);
        DrawBits(model, column);
      }
      for (const std::string& group : GroupsOf(model)) DrawDepth(model, group);
      DrawTimes(model);
    }
    return std::move(plots_);
  }

 private:
  // Of all models where that is empty.
  std::vector<std::string> MethodsOf(const std::string& model = "") const {
    std::vector<std::string> methods;
    for (const Row& row : manifest_.rows) {
      if (row.full_precision || (!model.empty() && row.model != model)) continue;
      if (std::find(methods.begin(), methods.end(), row.method) == methods.end())
        methods.push_back(row.method);
    }
    return methods;
  }
  // Of a method: the same in all plots.
  std::size_t NumberOf(const std::string& method) const {
    const std::vector<std::string> methods = MethodsOf();
    return static_cast<std::size_t>(std::find(methods.begin(), methods.end(), method) -
                                    methods.begin());
  }
  std::string_view ColorOf(const std::string& method) const {
    return kColors[NumberOf(method) % kColors.size()];
  }
  // gnuplot's dashes are numbered from 1, which is a whole line.
  std::size_t DashOf(const std::string& method) const {
    return 1 + NumberOf(method) / kColors.size();
  }
  std::size_t MarkOf(const std::string& method) const { return 4 + NumberOf(method) % 10; }

  std::vector<std::size_t> RowsOf(const std::string& model, const std::string& group = "") const {
    std::vector<std::size_t> rows;
    for (std::size_t row = 0; row < manifest_.rows.size(); ++row) {
      const Row& own = manifest_.rows[row];
      if (own.model == model &&
          (group.empty() || (!own.full_precision && FormatGroup(own) == group)))
        rows.push_back(row);
    }
    return rows;
  }

  std::vector<std::string> GroupsOf(const std::string& model) const {
    std::vector<std::string> groups;
    for (const std::size_t row : RowsOf(model)) {
      if (manifest_.rows[row].full_precision) continue;
      const std::string group = FormatGroup(manifest_.rows[row]);
      if (std::find(groups.begin(), groups.end(), group) == groups.end()) groups.push_back(group);
    }
    return groups;
  }

  // The cell if it is done and has a loss.
  const ReportCell* Loss(std::size_t row, std::size_t column) const {
    const ReportCell* cell = cells_.Find(row, column);
    return cell != nullptr && !cell->failed && !cell->metric.at("loss_vs_fp").is_null() ? cell
                                                                                        : nullptr;
  }

  // A cell of the row that is done, whichever evaluation: what they share is the same.
  const ReportCell* AnyCell(std::size_t row) const {
    for (std::size_t column = 0; column < manifest_.columns.size(); ++column) {
      const ReportCell* cell = cells_.Find(row, column);
      if (cell != nullptr && !cell->failed) return cell;
    }
    return nullptr;
  }

  void Add(const std::string& title, const std::string& caption, const std::string& script,
           int height = kHeight) {
    plots_.push_back(
        {title, caption,
         DrawWithGnuplot(script, fmt::format("plot{}_", plots_.size() + 1), kWidth, height)});
  }

  std::string Titled(const std::string& model, const std::string& what) const {
    return ModelsOf(manifest_).size() == 1 ? what : fmt::format("{}, {}", model, what);
  }

  void DrawCalibration(const std::string& model, std::size_t column, const std::string& group) {
    // Of each method: the cells of each number of windows, one a seed.
    std::vector<std::pair<std::string, std::map<Index, std::vector<const ReportCell*>>>> methods;
    for (const std::size_t row : RowsOf(model, group)) {
      const ReportCell* cell = Loss(row, column);
      if (cell == nullptr || manifest_.rows[row].calibration.empty()) continue;
      const std::string& method = manifest_.rows[row].method;
      auto found = std::find_if(methods.begin(), methods.end(),
                                [&](const auto& other) { return other.first == method; });
      if (found == methods.end()) found = methods.insert(methods.end(), {method, {}});
      found->second[cell->cell.at("calibration").at("windows")].push_back(cell);
    }
    std::erase_if(methods, [](const auto& method) { return method.second.size() < 2; });
    if (methods.empty()) return;
    std::vector<Series> all;
    bool has_seeds = false;
    for (const auto& [method, sizes] : methods) {
      Series& series = all.emplace_back(Series{.title = method});
      for (const auto& [windows, cells] : sizes) {
        series.points.push_back(MeanOf(static_cast<double>(windows), cells));
        has_seeds = has_seeds || cells.size() > 1;
      }
    }
    const LossAxis axis(&all);
    std::string script = DataBlocks(all) + axis.Script() +
                         "set xlabel \"calibration windows\"\nset logscale x 2\nset grid\n" +
                         std::string(kLegend) + "plot ";
    for (std::size_t i = 0; i < all.size(); ++i) {
      script += fmt::format(
          "{0}$d{1} using 1:3:4 with filledcurves fs transparent solid 0.15 noborder lc rgb "
          "\"{2}\" notitle, $d{1} using 1:2 with linespoints pt {4} ps 0.7 lw 2 dt {5} "
          "lc rgb \"{2}\" title {3}",
          i == 0 ? "" : ", ", i, ColorOf(all[i].title), GnuplotText(all[i].title),
          MarkOf(all[i].title), DashOf(all[i].title));
    }
    Add(Titled(model, fmt::format("loss against calibration size: {}, {}", group,
                                  manifest_.columns[column].title)),
        fmt::format("Band: {}.{}",
                    has_seeds ? "mean ± standard deviation over calibration seeds"
                              : "95 % interval of the paired bootstrap over windows",
                    axis.note()),
        script + "\n");
  }

  // A loss with its interval, if it has one.
  static Series::Point PointOf(double x, const Json& metric) {
    const double loss = metric.at("loss_vs_fp");
    const auto end = [&](const char* name) {
      return metric.at(name).is_null() ? loss : metric.at(name).get<double>();
    };
    return {x, loss, end("loss_vs_fp_low"), end("loss_vs_fp_high")};
  }

  static Series::Point MeanOf(double windows, const std::vector<const ReportCell*>& cells) {
    std::vector<double> losses;
    for (const ReportCell* cell : cells) losses.push_back(cell->metric.at("loss_vs_fp"));
    const double mean = Mean(losses);
    if (losses.size() > 1) {
      const double spread = StandardError(losses) * std::sqrt(static_cast<double>(losses.size()));
      return {windows, mean, mean - spread, mean + spread};
    }
    return PointOf(windows, cells.front()->metric);
  }

  // Colours tell methods apart and shapes code books and granularities, whose points lie close.
  void DrawBits(const std::string& model, std::size_t column) {
    const std::vector<std::string> groups = GroupsOf(model);
    std::vector<Series> all;
    std::vector<std::pair<std::size_t, std::string>> kinds;  // shape and colour of each
    for (const std::size_t row : RowsOf(model)) {
      const ReportCell* cell = Loss(row, column);
      if (cell == nullptr) continue;
      const Row& own = manifest_.rows[row];
      const std::string title = fmt::format("{} {}", own.method, FormatGroup(own));
      auto found = std::find_if(all.begin(), all.end(),
                                [&](const Series& other) { return other.title == title; });
      if (found == all.end()) {
        found = all.insert(all.end(), {.title = title});
        kinds.emplace_back(ShapeOf(FormatGroup(own), groups), ColorOf(own.method));
      }
      found->points.push_back(PointOf(cell->cell.at("bits_per_weight"), cell->metric));
    }
    const LossAxis axis(&all);
    Series front{.title = "front"};
    for (const Series& series : all)
      front.points.insert(front.points.end(), series.points.begin(), series.points.end());
    if (front.points.size() < 2) return;
    std::sort(front.points.begin(), front.points.end(),
              [](const auto& a, const auto& b) { return a.x != b.x ? a.x < b.x : a.y < b.y; });
    double best = INFINITY;
    std::erase_if(front.points, [&](const Series::Point& point) {
      const bool is_better = point.y < best;
      best = std::min(best, point.y);
      return !is_better;
    });
    all.push_back(front);
    std::string script = DataBlocks(all) + axis.Script() +
                         "set xlabel \"bits per weight, everything stored counted\"\nset grid\n" +
                         std::string(kLegend) +
                         "set autoscale xfix\nset offsets graph 0.05, graph 0.05\nplot ";
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
      script += fmt::format(
          "$d{} using 1:2:3:4 with yerrorbars pt {} ps 0.7 lw 1.2 lc rgb \"{}\" notitle, ", i,
          kinds[i].first, kinds[i].second);
    }
    for (const std::string& method : MethodsOf(model))
      script += fmt::format("keyentry with lines lw 4 lc rgb \"{}\" title {}, ", ColorOf(method),
                            GnuplotText(method));
    for (const std::string& group : groups)
      script += fmt::format("keyentry with points pt {} ps 0.7 lc rgb \"#57606a\" title {}, ",
                            ShapeOf(group, groups), GnuplotText(group));
    script += fmt::format(
        "$d{} using 1:2 with steps dt 2 lw 1.5 lc rgb \"#57606a\" title \"Pareto front\"\n",
        all.size() - 1);
    Add(Titled(model, fmt::format("loss against size: {}", manifest_.columns[column].title)),
        fmt::format(
            "Bars: 95 % interval of the paired bootstrap over windows. The front joins arms "
            "that no other beats in both.{}",
            axis.note()),
        script, kHeight + 11 * static_cast<int>(MethodsOf(model).size() + groups.size()));
  }

  // gnuplot's filled and open squares, circles, triangles and diamonds.
  static std::size_t ShapeOf(const std::string& group, const std::vector<std::string>& groups) {
    constexpr std::array<std::size_t, 10> kShapes = {7, 5, 9, 13, 11, 6, 4, 8, 12, 10};
    const auto place = std::find(groups.begin(), groups.end(), group) - groups.begin();
    return kShapes[static_cast<std::size_t>(place) % kShapes.size()];
  }

  void DrawDepth(const std::string& model, const std::string& group) {
    std::vector<Series> all;
    std::map<std::string, std::pair<std::size_t, Index>> chosen;  // series and windows of a method
    for (const std::size_t row : RowsOf(model, group)) {
      const ReportCell* cell = AnyCell(row);
      if (cell == nullptr) continue;
      std::optional<Series> series = DepthOf(cell->cell, manifest_.rows[row].method);
      if (!series) continue;
      const Json& calibration = cell->cell.at("calibration");
      const Index windows = calibration.is_null() ? 0 : calibration.at("windows").get<Index>();
      const auto [found, is_new] =
          chosen.try_emplace(series->title, std::pair(all.size(), windows));
      if (is_new) {
        all.push_back(std::move(*series));
      } else if (windows > found->second.second) {
        all[found->second.first] = std::move(*series);
        found->second.second = windows;
      }
    }
    if (all.empty()) return;
    std::string script = DataBlocks(all) +
                         "set xlabel \"decoder block\"\nset grid\n"
                         "set ylabel \"squared output error over RTN's\"\n" +
                         std::string(kLegend) + "set yrange [0:*]\nplot ";
    if (all.front().points.size() <= 20) script.insert(0, "set xtics 1\n");
    for (std::size_t i = 0; i < all.size(); ++i) {
      script += fmt::format(
          "{}$d{} using 1:2 with linespoints pt {} ps 0.7 lw 2 dt {} lc rgb \"{}\" title {}",
          i == 0 ? "" : ", ", i, MarkOf(all[i].title), DashOf(all[i].title), ColorOf(all[i].title),
          GnuplotText(all[i].title));
    }
    Add(Titled(model, fmt::format("layer errors by depth: {}", group)),
        "Geometric mean over a block's linear layers, on the calibration's inputs; of several "
        "calibrations the largest.",
        script + "\n");
  }

  // The mean ratio of each block; nothing if a layer has none (no calibration).
  static std::optional<Series> DepthOf(const Json& cell, const std::string& title) {
    std::map<int, std::vector<double>> blocks;
    for (const Json& layer : cell.at("layers")) {
      const double ratio = ErrorRatio(layer, "output_error_vs_rtn");
      if (!(ratio > 0)) return std::nullopt;
      // "model.layers.3.mlp.up_proj" or "3.mlp.up_proj": the first number is the block.
      const std::string name = layer.at("layer");
      const std::size_t digit = name.find_first_of("0123456789");
      if (digit == std::string::npos) return std::nullopt;
      int block = 0;
      const char* const end = name.data() + name.size();
      if (std::from_chars(name.data() + digit, end, block).ec != std::errc()) return std::nullopt;
      blocks[block].push_back(std::log(ratio));
    }
    if (blocks.size() < 2) return std::nullopt;
    Series series{.title = title};
    for (const auto& [block, logarithms] : blocks) {
      const double mean = std::exp(Mean(logarithms));
      series.points.push_back({static_cast<double>(block), mean, mean, mean});
    }
    return series;
  }

  // What a row's cells took.
  struct Times {
    std::string label;
    double quantize_seconds = 0;
    double evaluate_seconds = 0;
  };

  void DrawTimes(const std::string& model) {
    const std::vector<std::size_t> rows = RowsOf(model);
    std::set<std::string> calibrations;
    for (const std::size_t row : rows) calibrations.insert(manifest_.rows[row].calibration);
    calibrations.erase("");
    std::vector<Times> all;
    for (const std::size_t row : rows) {
      if (AnyCell(row) == nullptr) continue;
      Times own;
      for (std::size_t column = 0; column < manifest_.columns.size(); ++column) {
        const ReportCell* cell = cells_.Find(row, column);
        if (cell == nullptr || cell->failed) continue;
        own.evaluate_seconds += cell->cell.at("seconds").at("evaluate").get<double>();
        own.quantize_seconds = cell->cell.at("seconds").at("quantize");
      }
      Row named = manifest_.rows[row];
      if (calibrations.size() == 1) named.calibration.clear();  // tells none from another
      own.label = RowLabel(named);
      all.push_back(std::move(own));
    }
    const std::size_t plots = (all.size() + kMostBars - 1) / kMostBars;
    for (std::size_t plot = 0; plot < plots; ++plot) {
      const std::size_t first = plot * all.size() / plots;
      const std::size_t end = (plot + 1) * all.size() / plots;
      DrawTimes(plots == 1 ? Titled(model, "time")
                           : Titled(model, fmt::format("time, {} of {}", plot + 1, plots)),
                std::span(all).subspan(first, end - first));
    }
  }

  void DrawTimes(const std::string& title, std::span<const Times> rows) {
    std::string data;
    std::size_t longest = 0;
    for (const Times& row : rows) {
      data += fmt::format("{} {} {}\n", GnuplotText(row.label), row.quantize_seconds,
                          row.quantize_seconds + row.evaluate_seconds);
      longest = std::max(longest, row.label.size());
    }
    const auto bar = [](int field, std::string_view labels, std::string_view color,
                        std::string_view name) {
      return fmt::format(
          "$d using (0.5*${0}):(-$0):(0.5*${0}):(0.38){1} with boxxyerror lc rgb \"{2}\" title "
          "\"{3}\"",
          field, labels, color, name);
    };
    // The heights in pixels are the legend's and the axis's.
    const int height = 110 + kBarHeight * static_cast<int>(rows.size());
    const double left = std::min(0.6, (20 + kCharacter * static_cast<double>(longest)) / kWidth);
    const std::string script = fmt::format(
        "$d << EOD\n{}EOD\nset style fill solid 0.85 noborder\nset key above samplen 1\nset grid "
        "x\n"
        "set yrange [{}:1]\nset xrange [0:*]\nset xtics nomirror\nset ytics nomirror scale 0\n"
        "set tmargin at screen {}\nset bmargin at screen {}\nset lmargin at screen {}\n"
        "set rmargin at screen 0.96\nset xlabel \"seconds\"\nplot {}, {}\n",
        data, -static_cast<int>(rows.size()), 1 - 56.0 / height, 55.0 / height, left,
        bar(3, ":ytic(1)", "#9ec5f4", "evaluate"), bar(2, "", "#0550ae", "quantise"));
    Add(title, "Seconds of wall time as the cells were computed.", script, height);
  }

  const Manifest& manifest_;
  const ReportCells& cells_;
  std::vector<ReportPlot> plots_;
};

}  // namespace

std::vector<ReportPlot> MakeReportPlots(const Manifest& manifest, const ReportCells& cells) {
  return Plots(manifest, cells).Draw();
}

}  // namespace daq
