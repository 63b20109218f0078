#include "harness/report_cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/bootstrap.h"
#include "base/error.h"
#include "base/statistics.h"
#include "harness/cell_store.h"
#include "harness/nearest_name.h"
#include "harness/number_or_null.h"
#include "harness/published.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;
using Row = Manifest::Row;

// What the paper's headline compares a method with.
constexpr std::array<std::string_view, 3> kBaselines = {"rtn", "gptq", "awq"};

// The long fields of a metric.
constexpr std::array<const char*, 3> kOfEachWindow = {"window_indices", "window_tokens_scored",
                                                      "window_losses"};

// The names by which `--against` knows a row: by its method, by method and format, and so on.
std::vector<std::string> NamesOf(const Row& row) {
  std::vector<std::string> names = {row.method};
  if (row.full_precision) return names;
  for (const std::string* field : {&row.format, &row.granularity, &row.calibration}) {
    if (!field->empty()) names.push_back(fmt::format("{} {}", names.back(), *field));
  }
  return names;
}

// The name of rows that is meant by `against`: itself, or the one that it is with the code book
// alone in place of the format, "daq nf3" for "daq nf3-asym". Throws InputError if there is none.
std::string NameOf(const Manifest& manifest, const std::string& against) {
  std::vector<std::string> names;
  std::set<std::string> meant;
  for (const Row& row : manifest.rows) {
    Row with_book = row;
    with_book.format = row.codebook;
    const std::vector<std::string> of_row = NamesOf(row);
    const std::vector<std::string> of_book = NamesOf(with_book);
    for (std::size_t i = 0; i < of_row.size(); ++i) {
      if (of_book[i] == against) meant.insert(of_row[i]);
      names.push_back(of_row[i]);
    }
  }
  if (std::find(names.begin(), names.end(), against) != names.end()) return against;
  if (meant.size() == 1) return *meant.begin();
  if (names.empty()) names.emplace_back("fp16");  // a table without rows
  const std::vector<std::string_view> views(names.begin(), names.end());
  throw InputError(
      {}, "--against",
      fmt::format("the first fields of a row of the table, such as \"{}\"", names.front()),
      fmt::format("\"{}\"{}", against, DidYouMean(against, views)));
}

void Set(Json* metric, const std::string& name, double value, const Interval& interval) {
  (*metric)[name] = NumberOrNull(value);
  (*metric)[name + "_low"] = NumberOrNull(interval.low);
  (*metric)[name + "_high"] = NumberOrNull(interval.high);
}

// Of an evaluation of the whole text.
Json PublishedOf(const Row& row, const Manifest::Column& column, const Json& metric) {
  Json published = Json::array();
  if (!column.as_published || !row.as_authors) return published;
  if (metric.contains("windows_of_text") && metric.at("windows_of_text") != metric.at("windows"))
    return published;
  for (const PublishedValue* value : FindPublished(
           PublishedValues(), row.model, row.method, row.full_precision ? "f16" : row.format,
           row.granularity, column.protocol, column.window_tokens)) {
    published.push_back({{"value", value->printed},
                         {"calibration", value->calibration},
                         {"source", value->source},
                         {"table", value->table}});
  }
  return published;
}

// As it was computed; the long fields of its metric are left for the end.
ReportCell CellOf(Json found, const Row& row, const Manifest::Column& column) {
  ReportCell cell;
  cell.failed = found.value("status", "") != "done";
  if (!cell.failed) {
    cell.metric = *found.at("metrics").begin();
    for (const char* name : kOfEachWindow) cell.metric.erase(name);
    cell.metric.erase("published");  // said by this program's table alone
    if (Json published = PublishedOf(row, column, cell.metric); !published.empty())
      cell.metric["published"] = std::move(published);
    cell.series = std::make_shared<WindowSeries>(found);
  }
  cell.cell = std::move(found);
  return cell;
}

}  // namespace

bool IsBaseline(const std::string& method) {
  return std::find(kBaselines.begin(), kBaselines.end(), method) != kBaselines.end();
}

std::string RowLabel(const Row& row) { return NamesOf(row).back(); }

double ErrorRatio(const Json& layer, const char* field) {
  const auto found = layer.find(field);
  return found == layer.end() || found->is_null() ? 0 : found->get<double>();
}

Json MeanErrorRatio(const Json& cell, const char* field) {
  double logarithms = 0;
  for (const Json& layer : cell.at("layers")) {
    const double ratio = ErrorRatio(layer, field);
    if (!(ratio > 0)) return {};
    logarithms += std::log(ratio);
  }
  if (cell.at("layers").empty()) return {};
  return std::exp(logarithms / static_cast<double>(cell.at("layers").size()));
}

// The finished cells of one model in one column, each two on the windows that both have.
class ReportCells::Comparison {
 public:
  struct Entry {
    const Row* row;
    ReportCell* cell;

    bool full_precision() const { return row->full_precision; }
    const WindowSeries& series() const { return *cell->series; }
    const WindowSeries::Sample& On(const std::vector<Index>& windows) const {
      return series().On(windows);
    }
  };

  // The cells are of the experiment in `folder`.
  Comparison(std::vector<Entry> entries, const std::filesystem::path& folder)
      : entries_(std::move(entries)) {
    RequireSameWindows(folder);
    for (const Entry& entry : entries_) {
      if (entry.full_precision()) fp_ = &entry;
    }
    for (const Entry& entry : entries_) {
      entry.cell->metric["block_windows"] = UsualBlockWindows(entry.series().count());
      AddLoss(entry);
      AddReduction(entry);
    }
  }

  // Whether there is any.
  bool AddDifferences(const std::string& against) {
    bool any = false;
    for (const Entry& entry : entries_) {
      const Entry* other = Partner(entry, against);
      Json& metric = entry.cell->metric;
      metric["against"] = other == nullptr ? Json() : Json(RowLabel(*other->row));
      any |= other != nullptr;
      double difference = std::nan("");
      Interval interval;
      if (other != nullptr) {
        const std::vector<Index>& common = CommonWindows(entry.series(), other->series());
        difference = entry.On(common).perplexity - other->On(common).perplexity;
        interval = DifferenceInterval(entry.On(common).draws, other->On(common).draws);
      }
      Set(&metric, "difference", difference, interval);
      metric["significant"] = std::isfinite(interval.low) ? Json(interval.ExcludesZero()) : Json();
    }
    return any;
  }

 private:
  // Cells of one column are of the same windows, or windows would be compared with others. Where
  // they may have stopped early, those of one that did are among those of the longer ones.
  void RequireSameWindows(const std::filesystem::path& folder) const {
    std::vector<const WindowSeries*> series;
    for (const Entry& entry : entries_) {
      const WindowSeries& own = entry.series();
      const auto fits = [&](const WindowSeries* other) {
        const WindowSeries& longer = own.count() < other->count() ? *other : own;
        const std::vector<Index>& common = CommonWindows(own, *other);
        return std::includes(longer.windows().begin(), longer.windows().end(), common.begin(),
                             common.end()) &&
               (own.may_have_stopped() || own.count() == other->count());
      };
      if (!std::all_of(series.begin(), series.end(), fits)) {
        const std::string id = entry.cell->cell.at("id");
        throw InputError(
            {(folder / "cells" / (id + ".json")).string()}, "windows",
            own.may_have_stopped()
                ? "the first ones of the other cells of its column"
                : fmt::format("{}, as in the other cells of its column", series.front()->count()),
            own.may_have_stopped() ? "others" : fmt::format("{}", own.count()));
      }
      series.push_back(&own);
    }
  }

  void AddLoss(const Entry& entry) const {
    Json& metric = entry.cell->metric;
    PairedDifference loss{.value = std::nan(""), .standard_error = std::nan("")};
    Interval interval;
    if (fp_ != nullptr && !entry.full_precision()) {
      const std::vector<Index>& common = CommonWindows(entry.series(), fp_->series());
      const WindowSeries::Sample& own = entry.On(common);
      const WindowSeries::Sample& fp = fp_->On(common);
      loss = PerplexityDifference(own.losses, fp.losses, own.weights);
      interval = DifferenceInterval(own.draws, fp.draws);
    }
    metric["loss_vs_fp_stderr"] = NumberOrNull(loss.standard_error);
    Set(&metric, "loss_vs_fp", loss.value, interval);
  }

  static std::string MethodOf(const Entry& entry) { return entry.cell->cell.at("method"); }
  static bool IsBaseline(const Entry& entry) { return daq::IsBaseline(MethodOf(entry)); }

  // The baselines in the entry's code book and granularity. Of a method that is there with the
  // entry's own calibration, no other: the best of many calibrations is no measure for one.
  std::vector<const Entry*> BaselinesOf(const Entry& entry) const {
    std::vector<const Entry*> baselines;
    std::set<std::string> methods_on_its_own;
    for (const Entry& other : entries_) {
      if (!IsBaseline(other) || FormatGroup(*entry.row) != FormatGroup(*other.row)) continue;
      baselines.push_back(&other);
      if (IsCalibratedAs(entry, other)) methods_on_its_own.insert(MethodOf(other));
    }
    std::erase_if(baselines, [&](const Entry* other) {
      return methods_on_its_own.contains(MethodOf(*other)) && !IsCalibratedAs(entry, *other);
    });
    return baselines;
  }

  static bool IsCalibratedAs(const Entry& entry, const Entry& other) {
    return entry.row->calibration == other.row->calibration;
  }

  // 1 - loss / the baseline's loss; NaN where a baseline loses nothing, which leaves nothing to
  // reduce.
  static double Reduction(double arm, double baseline, double full_precision) {
    return baseline > full_precision ? 1 - (arm - full_precision) / (baseline - full_precision)
                                     : std::nan("");
  }

  // On the windows that the entry, full precision and all baselines have.
  void AddReduction(const Entry& entry) const {
    double reduction = std::nan("");
    Interval interval;
    const Entry* best = nullptr;
    std::vector<const Entry*> baselines;
    if (fp_ != nullptr && !entry.full_precision() && !IsBaseline(entry))
      baselines = BaselinesOf(entry);
    if (!baselines.empty()) {
      const WindowSeries* shortest = &entry.series();
      for (const Entry* baseline : baselines) {
        if (baseline->series().count() < shortest->count()) shortest = &baseline->series();
      }
      const std::vector<Index>& common = CommonWindows(*shortest, fp_->series());
      best = *std::min_element(baselines.begin(), baselines.end(),
                               [&](const Entry* a, const Entry* b) {
                                 return a->On(common).perplexity < b->On(common).perplexity;
                               });
      const WindowSeries::Sample& own = entry.On(common);
      const WindowSeries::Sample& baseline = best->On(common);
      const WindowSeries::Sample& fp = fp_->On(common);
      reduction = Reduction(own.perplexity, baseline.perplexity, fp.perplexity);
      std::vector<double> draws;
      for (std::size_t draw = 0; draw < own.draws.size(); ++draw)
        draws.push_back(Reduction(own.draws[draw], baseline.draws[draw], fp.draws[draw]));
      const bool defined = std::isfinite(reduction) &&
                           std::all_of(draws.begin(), draws.end(),
                                       [](double value) { return std::isfinite(value); });
      if (defined) interval = PercentileInterval(std::move(draws));
    }
    Json& metric = entry.cell->metric;
    Set(&metric, "loss_reduction", reduction, interval);
    metric["best_baseline"] = best == nullptr ? Json() : Json(RowLabel(*best->row));
  }

  // The row that `entry` is compared with; null if there is none or more than one.
  const Entry* Partner(const Entry& entry, const std::string& against) const {
    std::vector<const Entry*> found;
    for (const Entry& other : entries_) {
      if (&other != &entry && IsMeant(entry, other, against)) found.push_back(&other);
    }
    // Of several, those with the same symmetry, then those with the same calibration, if there are
    // such.
    for (std::string Row::*field : {&Row::format, &Row::calibration}) {
      const auto differs = [&](const Entry* other) {
        return other->row->*field != entry.row->*field;
      };
      if (!std::all_of(found.begin(), found.end(), differs)) std::erase_if(found, differs);
    }
    return found.size() == 1 ? found.front() : nullptr;
  }

  static bool IsMeant(const Entry& entry, const Entry& other, const std::string& against) {
    const std::vector<std::string> names = NamesOf(*other.row);
    const auto name = std::find(names.begin(), names.end(), against);
    if (name == names.end()) return false;
    if (other.full_precision()) return true;
    if (entry.full_precision()) return name - names.begin() >= 2;  // it has no format to share
    switch (name - names.begin()) {
      case 0:
        return FormatGroup(*entry.row) == FormatGroup(*other.row);
      case 1:
        return entry.row->granularity == other.row->granularity;
      default:
        return true;
    }
  }

  std::vector<Entry> entries_;
  const Entry* fp_ = nullptr;
};

ReportCells::ReportCells(const Manifest& manifest, const std::filesystem::path& folder,
                         const std::string& against)
    : cells_(manifest.rows.size()) {
  const std::string meant = against.empty() ? "" : NameOf(manifest, against);
  const CellStore store(folder);
  for (std::size_t row = 0; row < manifest.rows.size(); ++row) {
    for (const std::string& id : manifest.rows[row].cells) {
      std::optional<ReportCell>& cell = cells_[row].emplace_back();
      if (id.empty()) continue;
      if (std::optional<Json> found = store.Read(id))
        cell =
            CellOf(std::move(*found), manifest.rows[row], manifest.columns[cells_[row].size() - 1]);
    }
  }
  for (std::size_t column = 0; column < manifest.columns.size(); ++column) {
    for (const std::string& model : ModelsOf(manifest)) {
      std::vector<Comparison::Entry> entries;
      for (std::size_t row = 0; row < manifest.rows.size(); ++row) {
        std::optional<ReportCell>& cell = cells_[row][column];
        if (manifest.rows[row].model == model && cell && !cell->failed)
          entries.push_back({.row = &manifest.rows[row], .cell = &*cell});
      }
      Comparison comparison(std::move(entries), folder);
      if (!meant.empty() && comparison.AddDifferences(meant)) compared_ = true;
    }
  }
  for (std::vector<std::optional<ReportCell>>& row : cells_) {
    for (std::optional<ReportCell>& cell : row) {
      if (!cell || cell->failed) continue;
      const Json& metric = *cell->cell.at("metrics").begin();
      for (const char* name : kOfEachWindow) {
        if (metric.contains(name)) cell->metric[name] = metric.at(name);
      }
    }
  }
}

const ReportCell* ReportCells::Find(std::size_t row, std::size_t column) const {
  const std::optional<ReportCell>& cell = cells_[row][column];
  return cell ? &*cell : nullptr;
}

}  // namespace daq
