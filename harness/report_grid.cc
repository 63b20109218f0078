#include "harness/report_grid.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "base/bootstrap.h"
#include "base/error.h"
#include "harness/report_config.h"
#include "harness/report_remarks.h"
#include "harness/report_seeds.h"
#include "harness/report_values.h"

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
      return entry.row->codebook;
    case ReportField::kSymmetry:
      return entry.row->symmetry;
    case ReportField::kGranularity:
      return entry.row->full_precision ? "" : entry.row->granularity;
    case ReportField::kCalibration:
      return entry.row->calibration;
    case ReportField::kEvaluation:
      return entry.column->title;
  }
  return {};
}

// The names of the fields in which two entries differ.
std::vector<std::string_view> Differences(const Entry& a, const Entry& b) {
  std::vector<std::string_view> names;
  for (const ReportField field :
       {ReportField::kModel, ReportField::kMethod, ReportField::kFormat, ReportField::kSymmetry,
        ReportField::kGranularity, ReportField::kCalibration, ReportField::kEvaluation}) {
    if (TextOf(a, field) != TextOf(b, field)) names.push_back(NameOf(field));
  }
  return names;
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
  NumberGrid(std::vector<Entry> entries, const ReportLayout& layout, const std::string& against)
      : entries_(std::move(entries)), layout_(layout), against_(against) {
    for (const std::string& name : layout.values) values_.push_back(&FindReportValue(name));
    for (const Entry& entry : entries_) rows_.Add(KeyOf(entry, layout.rows));
    for (const Entry& entry : entries_) {
      if (!entry.row->full_precision) columns_.Add(KeyOf(entry, layout.columns));
    }
    for (const Entry& entry : entries_) Place(entry);
    CheckProtocols();
    for (std::size_t column = 0; column < columns_.keys().size(); ++column) {
      for (const ReportValue* value : values_) MarkBold(column, *value);
    }
  }

  // Of one model, or of all where the name is empty.
  ReportSection ToSection(const std::string& model) const {
    ReportSection section;
    for (const ReportField field : layout_.rows)
      section.table.AddColumn(std::string(NameOf(field)), TextTable::kLeft);
    for (const Key& key : columns_.keys()) {
      for (const std::string& title : TitlesOf(key))
        section.table.AddColumn(title, TextTable::kRight);
    }
    for (std::size_t row = 0; row < rows_.keys().size(); ++row) {
      const Key& key = rows_.keys()[row];
      std::vector<TextCell> line(key.begin(), key.end());
      for (std::size_t column = 0; column < columns_.keys().size(); ++column)
        AppendTexts(row, column, &line);
      section.table.AddRow(std::move(line));
    }
    section.model = model.empty() ? "all models" : model;
    AddRemarks(model, &section);
    return section;
  }

 private:
  // The titles of a key's columns. A number that stands alone needs no name; of several each says
  // what it is of, wherever the eye falls.
  std::vector<std::string> TitlesOf(const Key& key) const {
    const std::string of = fmt::format("{}", fmt::join(key, " "));
    const auto title = [&](const std::string& what) {
      return of.empty() ? what : fmt::format("{}: {}", of, what);
    };
    std::vector<std::string> titles;
    for (const ReportValue* value : values_)
      titles.push_back(values_.size() == 1 ? of : title(std::string(value->title)));
    if (!against_.empty()) titles.push_back(title("vs " + against_));
    return titles;
  }

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
      const std::vector<std::string_view> names = Differences(place->second, entry);
      throw InputError(
          layout_.where, "report",
          fmt::format("fields in rows and columns that tell all results apart{}{}",
                      names.empty() ? "" : ", such as ", fmt::join(names, " or ")),
          fmt::format("two in one place: {} on {} and {} on {}", RowLabel(*place->second.row),
                      place->second.column->title, RowLabel(*entry.row), entry.column->title));
    }
  }

  void CheckProtocols() const {
    std::map<std::size_t, const Entry*> first;
    for (const auto& [place, entry] : cells_) {
      const auto [found, is_new] = first.emplace(place.second, &entry);
      const Manifest::Column& other = *found->second->column;
      const Manifest::Column& own = *entry.column;
      if (other.protocol == own.protocol && other.text == own.text) continue;
      throw InputError(
          layout_.where, "report", "one protocol on the same windows of one text in a column",
          fmt::format("{} ({}) and {} ({}) in \"{}\"", other.protocol, other.text, own.protocol,
                      own.text, fmt::join(columns_.keys()[place.second], " ")));
    }
  }

  // What rows are put in order by: perplexities of different windows say nothing of each other.
  static double OrderOf(const Entry& entry, const ReportValue& value) {
    const Json& metric = entry.cell->metric;
    const bool of_some = metric.contains("windows_of_text") && !metric.at("loss_vs_fp").is_null();
    return value.name == "perplexity" && of_some ? metric.at("loss_vs_fp").get<double>()
                                                 : NumberOf(entry, value).get<double>();
  }
  static Json NumberOf(const Entry& entry, const ReportValue& value) {
    if (!entry.IsKnown()) return {};
    const Json& object = ObjectOf(*entry.cell, value);
    return object.contains(value.name) ? object.at(std::string(value.name)) : Json();
  }
  static const Json& ObjectOf(const ReportCell& cell, const ReportValue& value) {
    return value.name == "bits_per_weight" ? cell.cell : cell.metric;
  }

  // All numbers but bits order arms, and those that follow from the perplexity have a comparison;
  // each model and evaluation by itself.
  void MarkBold(std::size_t column, const ReportValue& value) {
    if (layout_.bold == ReportLayout::Bold::kNone || value.name == "bits_per_weight") return;
    if (layout_.bold == ReportLayout::Bold::kNotWorse && !value.follows_perplexity) return;
    std::map<std::pair<std::string, std::string>, std::vector<std::size_t>> groups;
    for (const auto& [place, entry] : cells_) {
      if (place.second == column && !entry.row->full_precision && !NumberOf(entry, value).is_null())
        groups[{entry.row->model, entry.column->title}].push_back(place.first);
    }
    for (const auto& [group, rows] : groups) {
      const auto is_better = [&](std::size_t a, std::size_t b) {
        const double difference =
            OrderOf(cells_.at({a, column}), value) - OrderOf(cells_.at({b, column}), value);
        return value.higher_is_better ? difference > 0 : difference < 0;
      };
      const std::size_t best = *std::min_element(rows.begin(), rows.end(), is_better);
      for (const std::size_t row : rows) {
        if (row == best || IsNotWorse(cells_.at({row, column}), cells_.at({best, column})))
          bold_.emplace(row, column, &value);
      }
    }
  }

  // The perplexities decide, for the number follows from them.
  bool IsNotWorse(const Entry& entry, const Entry& best) const {
    if (layout_.bold != ReportLayout::Bold::kNotWorse) return false;
    const WindowSeries& own = *entry.cell->series;
    const WindowSeries& other = *best.cell->series;
    const std::vector<Index>& common = CommonWindows(own, other);
    const Interval interval = DifferenceInterval(own.On(common).draws, other.On(common).draws);
    return interval.low <= 0;  // false where there is no interval
  }

  // The texts of one place: of each value, and of the comparison.
  void AppendTexts(std::size_t row, std::size_t column, std::vector<TextCell>* line) const {
    const auto found = cells_.find({row, column});
    for (const ReportValue* value : values_) {
      line->emplace_back(found == cells_.end() ? "" : TextOfValue(found->second, *value),
                         bold_.contains({row, column, value}));
    }
    if (against_.empty()) return;
    const bool known = found != cells_.end() && found->second.IsKnown();
    line->emplace_back(known ? AgainstText(found->second.cell->metric) : "");
  }

  std::string TextOfValue(const Entry& entry, const ReportValue& value) const {
    if (!entry.IsKnown()) {
      if (&value != values_.front()) return "";
      return entry.cell == nullptr ? "to do" : "failed";
    }
    std::string text = ReportText(value, ObjectOf(*entry.cell, value), layout_.error);
    if (IsComparable(entry, value)) {
      const std::string published = PublishedText(entry.cell->metric);
      if (!published.empty()) text += fmt::format(" ({})", published);
    }
    return text;
  }

  // Whether published values are of the number that is shown.
  bool IsComparable(const Entry& entry, const ReportValue& value) const {
    return layout_.published && PublishedMetricOf(entry.cell->metric) == value.name;
  }

  void AddRemarks(const std::string& model, ReportSection* section) const {
    ReportRemarks remarks;
    bool any_known = false;
    for (const Entry& entry : entries_) {
      if (entry.cell != nullptr) remarks.Add(*entry.row, *entry.column, *entry.cell);
      any_known = any_known || (entry.IsKnown() && !entry.row->full_precision);
      for (const ReportValue* value : values_) {
        if (entry.IsKnown() && IsComparable(entry, *value)) remarks.AddSources(*entry.cell);
      }
    }
    section->heading = model.empty() ? "All models" : remarks.Heading(model);
    section->remarks = model.empty() ? remarks.LinesOfModels() : std::vector<std::string>();
    for (std::string& line : remarks.Lines()) section->remarks.push_back(std::move(line));
    for (const ReportValue* value : values_) {
      const bool any = std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
        return !NumberOf(entry, *value).is_null();
      });
      if (any_known && !any)
        section->remarks.push_back(fmt::format("{}: no result has it\n", value->title));
    }
  }

  std::vector<Entry> entries_;
  std::vector<const ReportValue*> values_;
  const ReportLayout& layout_;
  const std::string& against_;  // empty: no comparison
  KeyList rows_;
  KeyList columns_;
  std::map<std::pair<std::size_t, std::size_t>, Entry> cells_;  // row and column of the grid
  std::set<std::tuple<std::size_t, std::size_t, const ReportValue*>> bold_;
};

bool HasModel(const ReportLayout& layout) {
  const auto has = [](const std::vector<ReportField>& fields) {
    return std::find(fields.begin(), fields.end(), ReportField::kModel) != fields.end();
  };
  return has(layout.rows) || has(layout.columns);
}

// What the layout's columns show, a line each.
std::vector<std::string> MeaningsOf(const ReportLayout& layout, const std::string& against) {
  std::vector<std::string> meanings;
  for (const std::string& name : layout.values) {
    const ReportValue& value = FindReportValue(name);
    std::string_view error;
    if (layout.error == ReportLayout::Error::kStandardError && value.has_standard_error)
      error = " ± standard error over windows";
    if (layout.error == ReportLayout::Error::kInterval && value.has_interval)
      error = " [95 % interval of the paired bootstrap]";
    meanings.push_back(fmt::format("{}{}.\n", value.meaning, error));
  }
  if (!against.empty()) meanings.push_back(AgainstMeaning(against));
  return meanings;
}

}  // namespace

ReportTables MakeGridTables(const Manifest& manifest, const ReportCells& cells,
                            const std::string& against, const ReportLayout& layout) {
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
    return NumberGrid(std::move(entries), layout, against).ToSection(model);
  };
  ReportTables tables;
  if (HasModel(layout)) {
    tables.sections.push_back(section_of(""));
  }
  for (const std::string& model : ModelsOf(manifest)) {
    if (!HasModel(layout)) tables.sections.push_back(section_of(model));
    std::optional<ReportSection> seeds = SeedSection(manifest, cells, model);
    if (!seeds) continue;
    if (HasModel(layout)) seeds->caption = fmt::format("{}. {}", model, seeds->caption);
    tables.sections.push_back(std::move(*seeds));
  }
  std::vector<std::string_view> titles;
  for (const std::string& name : layout.values) titles.push_back(FindReportValue(name).title);
  tables.subject = fmt::format("{}", fmt::join(titles, " and "));
  tables.meanings = MeaningsOf(layout, against);
  if (layout.bold == ReportLayout::Bold::kBest)
    tables.meanings.emplace_back("Bold: the best of its column.\n");
  if (layout.bold == ReportLayout::Bold::kNotWorse) {
    tables.meanings.emplace_back(
        "Bold: the best of its column, and those whose perplexity is not significantly above its "
        "(95 %\ninterval of the paired bootstrap); only in columns of perplexities and losses.\n");
  }
  if (layout.published) {
    tables.meanings.emplace_back(
        "In parentheses: published values of the same model, recipe and protocol; ≠ where the "
        "measured one is\nwithin 1 % of none. Of calibrated methods only beside results on their "
        "authors' calibration.\n");
  }
  return tables;
}

}  // namespace daq
