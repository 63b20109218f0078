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

constexpr int kWidth = 760;
constexpr int kHeight = 440;
constexpr int kBarHeight = 19;
constexpr std::size_t kMostBars = 40;  // of one plot: about a page of paper
constexpr double kCharacter = 7.6;     // of a label, roughly: fonts differ

// Colours that differ in lightness as well as in hue. Beyond them lines are dashed too, and points
// have other shapes.
constexpr std::array<std::string_view, 8> kColors = {"#0550ae", "#bc4c00", "#1a7f37", "#8250df",
                                                     "#cf222e", "#57606a", "#bf8700", "#1b7c83"};

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
      DrawResources(model);
    }
    return std::move(plots_);
  }

 private:
  // Of a method: the same in all plots.
  std::size_t NumberOf(const std::string& method) const {
    std::vector<std::string> methods;
    for (const Row& row : manifest_.rows) {
      if (row.full_precision) continue;
      if (std::find(methods.begin(), methods.end(), row.method) == methods.end())
        methods.push_back(row.method);
    }
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
  std::size_t PointOf(const std::string& method) const { return 4 + NumberOf(method) % 10; }

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
                         "set xlabel \"calibration windows\"\nset logscale x 2\nset grid\n"
                         "set key outside right top\nplot ";
    for (std::size_t i = 0; i < all.size(); ++i) {
      script += fmt::format(
          "{0}$d{1} using 1:3:4 with filledcurves fs transparent solid 0.15 noborder lc rgb "
          "\"{2}\" notitle, $d{1} using 1:2 with linespoints pt {4} ps 0.7 lw 2 dt {5} "
          "lc rgb \"{2}\" title {3}",
          i == 0 ? "" : ", ", i, ColorOf(all[i].title), GnuplotText(all[i].title),
          PointOf(all[i].title), DashOf(all[i].title));
    }
    Add(Titled(model, fmt::format("loss against calibration size: {}, {}", group,
                                  manifest_.columns[column].title)),
        fmt::format("Band: {}.{}",
                    has_seeds ? "mean ± standard deviation over calibration seeds"
                              : "95 % interval of the paired bootstrap over windows",
                    axis.note()),
        script + "\n");
  }

  static Series::Point MeanOf(double windows, const std::vector<const ReportCell*>& cells) {
    std::vector<double> losses;
    for (const ReportCell* cell : cells) losses.push_back(cell->metric.at("loss_vs_fp"));
    const double mean = Mean(losses);
    if (losses.size() > 1) {
      const double spread = StandardError(losses) * std::sqrt(static_cast<double>(losses.size()));
      return {windows, mean, mean - spread, mean + spread};
    }
    const Json& metric = cells.front()->metric;
    return {
        windows, mean,
        metric.at("loss_vs_fp_low").is_null() ? mean : metric.at("loss_vs_fp_low").get<double>(),
        metric.at("loss_vs_fp_high").is_null() ? mean : metric.at("loss_vs_fp_high").get<double>()};
  }

  void DrawBits(const std::string& model, std::size_t column) {
    std::vector<Series> all;
    for (const std::size_t row : RowsOf(model)) {
      const ReportCell* cell = Loss(row, column);
      if (cell == nullptr) continue;
      const std::string& method = manifest_.rows[row].method;
      auto found = std::find_if(all.begin(), all.end(),
                                [&](const Series& other) { return other.title == method; });
      if (found == all.end()) found = all.insert(all.end(), {.title = method});
      const double loss = cell->metric.at("loss_vs_fp");
      found->points.push_back({cell->cell.at("bits_per_weight"), loss, loss, loss});
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
    std::string script =
        DataBlocks(all) + axis.Script() +
        "set xlabel \"bits per weight, everything stored counted\"\nset grid\n"
        "set key outside right top\nset autoscale xfix\nset offsets graph 0.05, graph 0.05\nplot ";
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
      script +=
          fmt::format("$d{} using 1:2 with points pt {} ps 0.9 lw 1.5 lc rgb \"{}\" title {}, ", i,
                      PointOf(all[i].title), ColorOf(all[i].title), GnuplotText(all[i].title));
    }
    script += fmt::format(
        "$d{} using 1:2 with steps dt 2 lw 1.5 lc rgb \"#57606a\" title \"Pareto front\"\n",
        all.size() - 1);
    Add(Titled(model, fmt::format("loss against size: {}", manifest_.columns[column].title)),
        fmt::format("The front joins arms that no other beats in both.{}", axis.note()), script);
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
                         "set ylabel \"squared output error over RTN's\"\n"
                         "set key outside right top\nset yrange [0:*]\nplot ";
    if (all.front().points.size() <= 20) script.insert(0, "set xtics 1\n");
    for (std::size_t i = 0; i < all.size(); ++i) {
      script += fmt::format(
          "{}$d{} using 1:2 with linespoints pt {} ps 0.7 lw 2 dt {} lc rgb \"{}\" title {}",
          i == 0 ? "" : ", ", i, PointOf(all[i].title), DashOf(all[i].title), ColorOf(all[i].title),
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
  struct Resources {
    std::string label;
    double quantize_seconds = 0;
    double evaluate_seconds = 0;
    double peak_bytes = 0;
  };

  void DrawResources(const std::string& model) {
    const std::vector<std::size_t> rows = RowsOf(model);
    std::set<std::string> calibrations;
    for (const std::size_t row : rows) calibrations.insert(manifest_.rows[row].calibration);
    calibrations.erase("");
    std::vector<Resources> all;
    for (const std::size_t row : rows) {
      Resources own;
      for (std::size_t column = 0; column < manifest_.columns.size(); ++column) {
        const ReportCell* cell = cells_.Find(row, column);
        if (cell == nullptr || cell->failed) continue;
        own.evaluate_seconds += cell->cell.at("seconds").at("evaluate").get<double>();
        own.quantize_seconds = cell->cell.at("seconds").at("quantize");
        own.peak_bytes = std::max(own.peak_bytes, cell->cell.at("peak_rss_bytes").get<double>());
      }
      if (own.peak_bytes == 0) continue;
      Row named = manifest_.rows[row];
      if (calibrations.size() == 1) named.calibration.clear();  // tells none from another
      own.label = RowLabel(named);
      all.push_back(std::move(own));
    }
    const std::size_t plots = (all.size() + kMostBars - 1) / kMostBars;
    for (std::size_t plot = 0; plot < plots; ++plot) {
      const std::size_t first = plot * all.size() / plots;
      const std::size_t end = (plot + 1) * all.size() / plots;
      DrawResources(plots == 1
                        ? Titled(model, "time and memory")
                        : Titled(model, fmt::format("time and memory, {} of {}", plot + 1, plots)),
                    std::span(all).subspan(first, end - first));
    }
  }

  void DrawResources(const std::string& title, std::span<const Resources> rows) {
    std::string data;
    std::size_t longest = 0;
    for (const Resources& row : rows) {
      data +=
          fmt::format("{} {} {} {}\n", GnuplotText(row.label), row.quantize_seconds,
                      row.quantize_seconds + row.evaluate_seconds, row.peak_bytes / (1024 * 1024));
      longest = std::max(longest, row.label.size());
    }
    const auto bar = [](int field, std::string_view labels, std::string_view color,
                        std::string_view name) {
      return fmt::format(
          "$d using (0.5*${0}):(-$0):(0.5*${0}):(0.38){1} with boxxyerror lc rgb \"{2}\" title "
          "\"{3}\"",
          field, labels, color, name);
    };
    // Labels, seconds and MiB beside each other; the heights in pixels are the legend's and the
    // axis's.
    const int height = 110 + kBarHeight * static_cast<int>(rows.size());
    const double left = std::min(0.6, (20 + kCharacter * static_cast<double>(longest)) / kWidth);
    const double middle = left + 0.57 * (0.98 - left);
    const std::string script = fmt::format(
        "$d << EOD\n{}EOD\nset style fill solid 0.85 noborder\nset key above samplen 1\nset grid x\n"
        "set yrange [{}:1]\nset xrange [0:*]\nset xtics nomirror\nset ytics nomirror scale 0\n"
        "set multiplot layout 1,2\nset tmargin at screen {}\nset bmargin at screen {}\n"
        "set lmargin at screen {}\nset rmargin at screen {}\nset xlabel \"seconds\"\n"
        "plot {}, {}\n"
        "set lmargin at screen {}\nset rmargin at screen 0.98\nset xlabel \"MiB\"\n"
        "set format y \"\"\nplot {}\nunset multiplot\n",
        data, -static_cast<int>(rows.size()), 1 - 56.0 / height, 55.0 / height, left, middle - 0.01,
        bar(3, ":ytic(1)", "#9ec5f4", "evaluate"), bar(2, "", "#0550ae", "quantise"), middle + 0.01,
        bar(4, "", "#8250df", "peak memory"));
    Add(title,
        "Seconds of wall time as the cells were computed, and the process's peak resident memory "
        "by then.",
        script, height);
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
