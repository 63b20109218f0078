#include "harness/report_grid.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/bootstrap.h"
#include "base/error.h"
#include "harness/report_config.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;
using Row = Manifest::Row;

// A number's row and column in the grid: the texts of the fields that make them.
using Key = std::vector<std::string>;

// One computed cell with its place in the manifest.
struct Entry {
  const Row* row;
  const Manifest::Column* column;
  const ReportCell* cell;  // null if it is not computed

  bool IsKnown() const { return cell != nullptr && !cell->failed; }
};

std::string TextOf(const Entry& entry, ReportField field) {
  switch (field) {
    case ReportField::kModel:
      return entry.row->model;
    case ReportField::kMethod:
      return entry.row->method;
    case ReportField::kFormat:
      return entry.row->format;
    case ReportField::kGranularity:
      return entry.row->full_precision ? "" : entry.row->granularity;
    case ReportField::kCalibration:
      return entry.row->calibration;
    case ReportField::kEvaluation:
      return entry.column->title;
  }
  return {};
}

Key KeyOf(const Entry& entry, const std::vector<ReportField>& fields) {
  Key key;
  for (const ReportField field : fields) key.push_back(TextOf(entry, field));
  return key;
}

// Keys in the order in which they come first, each once.
class KeyList {
 public:
  std::size_t Add(const Key& key) {
    const auto [place, is_new] = places_.emplace(key, keys_.size());
    if (is_new) keys_.push_back(key);
    return place->second;
  }
  std::size_t PlaceOf(const Key& key) const { return places_.at(key); }
  const std::vector<Key>& keys() const { return keys_; }

 private:
  std::vector<Key> keys_;
  std::map<Key, std::size_t> places_;
};

class NumberGrid {
 public:
  NumberGrid(const std::vector<Entry>& entries, const ReportLayout& layout) : layout_(layout) {
    for (const Entry& entry : entries) rows_.Add(KeyOf(entry, layout.rows));
    for (const Entry& entry : entries) {
      if (!entry.row->full_precision) columns_.Add(KeyOf(entry, layout.columns));
    }
    for (const Entry& entry : entries) Place(entry);
    CheckProtocols();
    for (std::size_t column = 0; column < columns_.keys().size(); ++column) MarkBold(column);
  }

  ReportSection ToSection(const std::string& heading) const {
    ReportSection section{.heading = heading};
    for (const ReportField field : layout_.rows)
      section.table.AddColumn(std::string(NameOf(field)), TextTable::kLeft);
    for (const Key& key : columns_.keys())
      section.table.AddColumn(fmt::format("{}", fmt::join(key, " ")), TextTable::kRight);
    for (std::size_t row = 0; row < rows_.keys().size(); ++row) {
      const Key& key = rows_.keys()[row];
      std::vector<TextCell> line(key.begin(), key.end());
      for (std::size_t column = 0; column < columns_.keys().size(); ++column)
        line.push_back(TextAt(row, column));
      section.table.AddRow(std::move(line));
    }
    AddSources(&section);
    return section;
  }

 private:
  // The columns that an entry belongs to: full precision's, all that differ in a recipe's fields
  // alone.
  std::vector<std::size_t> ColumnsOf(const Entry& entry) {
    const Key own = KeyOf(entry, layout_.columns);
    if (!entry.row->full_precision) return {columns_.PlaceOf(own)};
    std::vector<std::size_t> places;
    for (std::size_t column = 0; column < columns_.keys().size(); ++column) {
      bool matches = true;
      for (std::size_t i = 0; i < layout_.columns.size(); ++i) {
        const ReportField field = layout_.columns[i];
        if (field == ReportField::kModel || field == ReportField::kEvaluation ||
            field == ReportField::kMethod)
          matches = matches && columns_.keys()[column][i] == own[i];
      }
      if (matches) places.push_back(column);
    }
    if (places.empty()) places.push_back(columns_.Add(own));
    return places;
  }

  void Place(const Entry& entry) {
    const std::size_t row = rows_.PlaceOf(KeyOf(entry, layout_.rows));
    for (const std::size_t column : ColumnsOf(entry)) {
      const auto [place, is_new] = cells_.emplace(std::pair(row, column), entry);
      if (is_new) continue;
      throw InputError(
          layout_.where, "report", "fields in rows and columns that tell all results apart",
          fmt::format("two in one place: {} on {} and {} on {}", RowLabel(*place->second.row),
                      place->second.column->title, RowLabel(*entry.row), entry.column->title));
    }
  }

  void CheckProtocols() const {
    std::map<std::size_t, const Entry*> first;
    for (const auto& [place, entry] : cells_) {
      const auto [found, is_new] = first.emplace(place.second, &entry);
      const Manifest::Column& other = *found->second->column;
      if (other.protocol == entry.column->protocol) continue;
      throw InputError(layout_.where, "report", "one protocol in a column",
                       fmt::format("{} and {} in \"{}\"", other.protocol, entry.column->protocol,
                                   fmt::join(columns_.keys()[place.second], " ")));
    }
  }

  double ValueOf(const Entry& entry) const { return NumberOf(entry).get<double>(); }
  // What rows are put in order by: perplexities of different windows say nothing of each other.
  double OrderOf(const Entry& entry) const {
    const Json& metric = entry.cell->metric;
    const bool of_some = metric.contains("windows_of_text") && !metric.at("loss_vs_fp").is_null();
    return layout_.value == "perplexity" && of_some ? metric.at("loss_vs_fp").get<double>()
                                                    : ValueOf(entry);
  }
  Json NumberOf(const Entry& entry) const {
    if (!entry.IsKnown()) return {};
    if (layout_.value == "bits_per_weight") return entry.cell->cell.at(layout_.value);
    return entry.cell->metric.contains(layout_.value) ? entry.cell->metric.at(layout_.value)
                                                      : Json();
  }

  // Whether more is better.
  bool IsHigherBetter() const {
    return layout_.value == "loss_reduction" || layout_.value == "top1_agreement";
  }

  // All numbers but bits order arms; each model and evaluation by itself.
  void MarkBold(std::size_t column) {
    if (layout_.bold == ReportLayout::Bold::kNone || layout_.value == "bits_per_weight") return;
    std::map<std::pair<std::string, std::string>, std::vector<std::size_t>> groups;
    for (const auto& [place, entry] : cells_) {
      if (place.second == column && !entry.row->full_precision && !NumberOf(entry).is_null())
        groups[{entry.row->model, entry.column->title}].push_back(place.first);
    }
    for (const auto& [group, rows] : groups) {
      const auto is_better = [&](std::size_t a, std::size_t b) {
        const double difference = OrderOf(cells_.at({a, column})) - OrderOf(cells_.at({b, column}));
        return IsHigherBetter() ? difference > 0 : difference < 0;
      };
      const std::size_t best = *std::min_element(rows.begin(), rows.end(), is_better);
      for (const std::size_t row : rows) {
        if (row == best || IsNotWorse(cells_.at({row, column}), cells_.at({best, column})))
          bold_.emplace(row, column);
      }
    }
  }

  // The perplexities decide, whatever is shown: every number here orders arms by what they lose.
  bool IsNotWorse(const Entry& entry, const Entry& best) const {
    if (layout_.bold != ReportLayout::Bold::kNotWorse) return false;
    const WindowSeries& own = *entry.cell->series;
    const WindowSeries& other = *best.cell->series;
    const std::vector<Index>& common = CommonWindows(own, other);
    const Interval interval = DifferenceInterval(own.On(common).draws, other.On(common).draws);
    return interval.low <= 0;  // false where there is no interval
  }

  TextCell TextAt(std::size_t row, std::size_t column) const {
    const auto found = cells_.find({row, column});
    if (found == cells_.end()) return {""};
    const Entry& entry = found->second;
    if (entry.cell == nullptr) return {"to do"};
    if (entry.cell->failed) return {"failed"};
    const Json number = NumberOf(entry);
    if (number.is_null()) return {""};
    std::string text;
    if (layout_.value == "loss_vs_fp")
      text = fmt::format("{:+.3f}", number.get<double>());
    else if (layout_.value == "loss_reduction" || layout_.value == "top1_agreement")
      text = fmt::format("{:.1f} %", 100 * number.get<double>());
    else if (layout_.value.starts_with("kl_"))
      text = fmt::format("{:.4f}", number.get<double>());
    else
      text = fmt::format("{:.3f}", number.get<double>());
    if (IsComparable(entry)) {
      const std::string published = PublishedText(entry.cell->metric);
      if (!published.empty()) text += fmt::format(" ({})", published);
    }
    return {text, bold_.contains({row, column})};
  }

  // Whether published values are of the number that is shown.
  bool IsComparable(const Entry& entry) const {
    return layout_.published && PublishedMetricOf(entry.cell->metric) == layout_.value;
  }

  void AddSources(ReportSection* section) const {
    if (!layout_.published) return;
    std::set<std::string> sources;
    for (const auto& [place, entry] : cells_) {
      if (!entry.IsKnown() || !IsComparable(entry)) continue;
      for (const std::string& source : PublishedSources(entry.cell->metric)) sources.insert(source);
    }
    if (!sources.empty())
      section->remarks.push_back(fmt::format("published: {}\n", fmt::join(sources, "; ")));
  }

  const ReportLayout& layout_;
  KeyList rows_;
  KeyList columns_;
  std::map<std::pair<std::size_t, std::size_t>, Entry> cells_;  // row and column of the grid
  std::set<std::pair<std::size_t, std::size_t>> bold_;
};

bool HasModel(const ReportLayout& layout) {
  const auto has = [](const std::vector<ReportField>& fields) {
    return std::find(fields.begin(), fields.end(), ReportField::kModel) != fields.end();
  };
  return has(layout.rows) || has(layout.columns);
}

std::string MeaningOfValue(const std::string& value) {
  static const std::map<std::string, std::string> meanings = {
      {"perplexity", "Perplexity = exp(mean loss of the windows)"},
      {"loss_vs_fp", "Perplexity minus the unquantised model's on the same windows"},
      {"loss_reduction",
       "1 - loss / loss of the best of rtn, gptq and awq in the same code book and granularity"},
      {"kl_mean", "Mean over tokens of KL(full precision || quantised), in nats"},
      {"kl_p50", "Median over tokens of KL(full precision || quantised), in nats"},
      {"kl_p99", "99th percentile over tokens of KL(full precision || quantised), in nats"},
      {"top1_agreement",
       "Share of tokens for which both models have the same most probable next "
       "token"},
      {"word_perplexity", "Word perplexity = exp(loss of all tokens / words of the text)"},
      {"byte_perplexity", "Byte perplexity = exp(loss of all tokens / bytes of the text)"},
      {"bits_per_byte", "Loss of all tokens in bits / bytes of the text"},
      {"bits_per_weight",
       "Bits stored for a weight of the linear layers, scales and zero-points "
       "included"}};
  return meanings.at(value) + ".\n";
}

}  // namespace

ReportTables MakeGridTables(const Manifest& manifest, const ReportCells& cells,
                            const ReportLayout& layout) {
  const auto section_of = [&](const std::string& model) {  // empty: of all models
    std::vector<Entry> entries;
    for (std::size_t row = 0; row < manifest.rows.size(); ++row) {
      if (!model.empty() && manifest.rows[row].model != model) continue;
      for (std::size_t column = 0; column < manifest.columns.size(); ++column) {
        if (!manifest.rows[row].cells[column].empty())
          entries.push_back(
              {&manifest.rows[row], &manifest.columns[column], cells.Find(row, column)});
      }
    }
    return NumberGrid(entries, layout).ToSection(model.empty() ? "All models" : model);
  };
  ReportTables tables;
  if (HasModel(layout)) {
    tables.sections.push_back(section_of(""));
  } else {
    for (const std::string& model : ModelsOf(manifest))
      tables.sections.push_back(section_of(model));
  }
  tables.meanings.push_back(MeaningOfValue(layout.value));
  if (layout.bold == ReportLayout::Bold::kBest)
    tables.meanings.emplace_back("Bold: the best of its column.\n");
  if (layout.bold == ReportLayout::Bold::kNotWorse) {
    tables.meanings.emplace_back(
        "Bold: the best of its column, and those whose perplexity is not significantly above its "
        "(95 %\ninterval of the paired bootstrap).\n");
  }
  if (layout.published) {
    tables.meanings.emplace_back(
        "In parentheses: published values of the same model, recipe and protocol; ≠ where the "
        "measured one lies\nmore than 1 % outside.\n");
  }
  return tables;
}

}  // namespace daq
