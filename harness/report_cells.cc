#include "harness/report_cells.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

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
constexpr std::array<const char*, 2> kOfEachWindow = {"window_tokens_scored", "window_losses"};

// The names by which `--against` knows a row: by its method, by method and format, and so on.
std::vector<std::string> NamesOf(const Row& row) {
  std::vector<std::string> names = {row.method};
  if (row.full_precision) return names;
  for (const std::string* field : {&row.format, &row.granularity, &row.calibration}) {
    if (!field->empty()) names.push_back(fmt::format("{} {}", names.back(), *field));
  }
  return names;
}

void RequireName(const Manifest& manifest, const std::string& against) {
  std::vector<std::string> names;
  for (const Row& row : manifest.rows) {
    for (std::string& name : NamesOf(row)) names.push_back(std::move(name));
  }
  if (std::find(names.begin(), names.end(), against) != names.end()) return;
  if (names.empty()) names.emplace_back("fp16");  // a table without rows
  const std::vector<std::string_view> views(names.begin(), names.end());
  throw InputError(
      {"--against"}, "value",
      fmt::format("the first fields of a row of the table, such as \"{}\"", names.front()),
      fmt::format("\"{}\"{}", against, DidYouMean(against, views)));
}

void Set(Json* metric, const std::string& name, double value, const Interval& interval) {
  (*metric)[name] = NumberOrNull(value);
  (*metric)[name + "_low"] = NumberOrNull(interval.low);
  (*metric)[name + "_high"] = NumberOrNull(interval.high);
}

// What a cell's recipe says of its format; null for full precision, which has none.
Json FormatPart(const Json& cell, const char* key) {
  const Json& recipe = cell.at("recipe");
  return recipe.contains("format") ? recipe.at("format").at(key) : Json();
}

// Whether two cells store weights in the same code book, shared by as many weights. A zero-point
// more or less makes no other format: DAQ's are asymmetric where its baselines' are not.
bool SameFormat(const Json& a, const Json& b) {
  return FormatPart(a, "codebook") == FormatPart(b, "codebook") &&
         FormatPart(a, "group_size") == FormatPart(b, "group_size");
}

Json PublishedOf(const Row& row, const Manifest::Column& column) {
  Json published = Json::array();
  if (!column.as_published) return published;
  for (const PublishedValue* value : FindPublished(
           PublishedValues(), row.model, row.method, row.full_precision ? "f16" : row.format,
           row.granularity, column.protocol, column.window_tokens)) {
    published.push_back(
        {{"value", value->printed}, {"source", value->source}, {"table", value->table}});
  }
  return published;
}

}  // namespace

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

// The finished cells of one model in one column, on the same draws.
class ReportCells::Comparison {
 public:
  struct Entry {
    const Row* row;
    ReportCell* cell;
    std::vector<double> losses = {};  // of its windows
    std::vector<double> draws = {};   // of its perplexity
    double perplexity = 0;

    bool full_precision() const { return row->full_precision; }
  };

  // The cells are of the experiment in `folder`.
  Comparison(std::vector<Entry> entries, const std::filesystem::path& folder)
      : entries_(std::move(entries)) {
    std::vector<std::vector<double>> losses;
    for (const Entry& entry : entries_) {
      losses.push_back(WindowLossesOf(entry.cell->cell));
      RequireSameWindows(losses.front().size(), losses.back().size(), entry, folder);
    }
    if (losses.empty()) return;
    weights_ = WindowWeightsOf(entries_.front().cell->cell);  // of the windows, so the same for all
    const Index block = UsualBlockWindows(static_cast<Index>(losses.front().size()));
    std::vector<std::vector<double>> draws = BootstrapPerplexities(losses, block, weights_);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
      entries_[i].losses = std::move(losses[i]);
      entries_[i].draws = draws[i];
      entries_[i].cell->draws = std::move(draws[i]);
      entries_[i].perplexity = Perplexity(entries_[i].losses, weights_);
      if (entries_[i].full_precision()) fp_ = i;
    }
    for (const Entry& entry : entries_) {
      entry.cell->metric["block_windows"] = block;
      AddLoss(entry);
      AddReduction(entry);
    }
  }

  void AddDifferences(const std::string& against) {
    for (const Entry& entry : entries_) {
      const Entry* other = Partner(entry, against);
      Json& metric = entry.cell->metric;
      metric["against"] = other == nullptr ? Json() : Json(RowLabel(*other->row));
      const Interval interval =
          other == nullptr ? Interval{} : DifferenceInterval(entry.draws, other->draws);
      Set(&metric, "difference",
          other == nullptr ? std::nan("") : entry.perplexity - other->perplexity, interval);
      metric["significant"] = std::isfinite(interval.low) ? Json(interval.ExcludesZero()) : Json();
    }
  }

 private:
  // Cells of one column are of the same windows, or windows would be compared with others.
  static void RequireSameWindows(std::size_t expected, std::size_t found, const Entry& entry,
                                 const std::filesystem::path& folder) {
    if (found == expected) return;
    const std::string id = entry.cell->cell.at("id");
    throw InputError({(folder / "cells" / (id + ".json")).string()}, "windows",
                     fmt::format("{}, as in the other cells of its column", expected),
                     fmt::format("{}", found));
  }

  void AddLoss(const Entry& entry) const {
    Json& metric = entry.cell->metric;
    PairedDifference loss{.value = std::nan(""), .standard_error = std::nan("")};
    Interval interval;
    if (fp_ && !entry.full_precision()) {
      const Entry& fp = entries_[*fp_];
      loss = PerplexityDifference(entry.losses, fp.losses, weights_);
      interval = DifferenceInterval(entry.draws, fp.draws);
    }
    metric["loss_vs_fp_stderr"] = NumberOrNull(loss.standard_error);
    Set(&metric, "loss_vs_fp", loss.value, interval);
  }

  static bool IsBaseline(const Entry& entry) {
    const std::string method = entry.cell->cell.at("method");
    return std::find(kBaselines.begin(), kBaselines.end(), method) != kBaselines.end();
  }

  const Entry* BestBaseline(const Entry& entry) const {
    const Entry* best = nullptr;
    for (const Entry& other : entries_) {
      if (!IsBaseline(other) || !SameFormat(entry.cell->cell, other.cell->cell)) continue;
      if (best == nullptr || other.perplexity < best->perplexity) best = &other;
    }
    return best;
  }

  void AddReduction(const Entry& entry) const {
    double reduction = std::nan("");
    Interval interval;
    const Entry* best = nullptr;
    if (fp_ && !entry.full_precision() && !IsBaseline(entry)) best = BestBaseline(entry);
    if (best != nullptr) {
      const Entry& fp = entries_[*fp_];
      const auto reduction_of = [](double arm, double baseline, double full_precision) {
        // Nothing is left to reduce where a baseline loses nothing.
        return baseline > full_precision ? 1 - (arm - full_precision) / (baseline - full_precision)
                                         : std::nan("");
      };
      reduction = reduction_of(entry.perplexity, best->perplexity, fp.perplexity);
      std::vector<double> draws;
      for (std::size_t draw = 0; draw < entry.draws.size(); ++draw)
        draws.push_back(reduction_of(entry.draws[draw], best->draws[draw], fp.draws[draw]));
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
        return SameFormat(entry.cell->cell, other.cell->cell);
      case 1:
        return FormatPart(entry.cell->cell, "group_size") ==
               FormatPart(other.cell->cell, "group_size");
      default:
        return true;
    }
  }

  std::vector<Entry> entries_;
  std::vector<double> weights_;  // of the windows
  std::optional<std::size_t> fp_;
};

ReportCells::ReportCells(const Manifest& manifest, const std::filesystem::path& folder,
                         const std::string& against)
    : cells_(manifest.rows.size()) {
  if (!against.empty()) RequireName(manifest, against);
  const CellStore store(folder);
  for (std::size_t row = 0; row < manifest.rows.size(); ++row) {
    for (const std::string& id : manifest.rows[row].cells) {
      std::optional<ReportCell>& cell = cells_[row].emplace_back();
      if (id.empty()) continue;
      std::optional<Json> found = store.Read(id);
      if (!found) continue;
      cell.emplace();
      cell->failed = found->value("status", "") != "done";
      if (!cell->failed) {
        cell->metric = *found->at("metrics").begin();
        for (const char* name : kOfEachWindow) cell->metric.erase(name);  // they come last, below
        cell->metric.erase("published");  // said by this program's table alone
        const Manifest::Column& column = manifest.columns[cells_[row].size() - 1];
        if (Json published = PublishedOf(manifest.rows[row], column); !published.empty())
          cell->metric["published"] = std::move(published);
      }
      cell->cell = std::move(*found);
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
      if (!against.empty()) comparison.AddDifferences(against);
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
