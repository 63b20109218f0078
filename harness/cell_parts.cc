#include "harness/cell_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/file.h"

namespace daq {
namespace {

using Json = nlohmann::ordered_json;

std::size_t Size(Index count) { return static_cast<std::size_t>(count); }

Json ToJson(const CellPart& part) {
  return {{"first", part.range.first},
          {"windows", part.range.count},
          {"scored_tokens", part.scores.scored_tokens},
          {"losses", part.scores.losses},
          {"token_losses", part.scores.token_losses},
          {"token_kl", part.scores.token_kl},
          {"top1_agreements", part.scores.top1_agreements},
          {"seconds", part.seconds},
          {"peak_rss_bytes", part.peak_rss_bytes}};
}

// How many tokens of a part's windows come before window `window` of them.
std::size_t TokensBefore(const CellPart& part, Index window) {
  const std::vector<Index>& scored = part.scores.scored_tokens;
  return Size(std::accumulate(scored.begin(), scored.begin() + window, Index{0}));
}

// Whether an array may hold an entry for each scored token of a part, or none.
bool AreOfTokens(std::size_t entries, const CellPart& part) {
  if (entries == 0) return true;
  // Each first, for their sum could be beyond any number.
  const std::vector<Index>& scored = part.scores.scored_tokens;
  const bool are_counts = std::all_of(scored.begin(), scored.end(),
                                      [&](Index tokens) { return Size(tokens) <= entries; });
  return are_counts && entries == TokensBefore(part, part.range.count);
}

// Whole numbers of 0 or more; get<Index> would cast any other number. Sums of two fit.
Index CountOf(const Json& value) {
  const auto count = value.get_ref<const Json::number_unsigned_t&>();
  if (count > std::uint64_t{1} << 62U) throw InputError("a number is too large");
  return static_cast<Index>(count);
}

// Stops where values are nested deeper than a part's, because the library reads CBOR level by level
// on the stack, which a damaged file can exhaust.
class DepthWatch : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return true; }
  bool boolean(bool /*value*/) override { return true; }
  bool number_integer(Json::number_integer_t /*value*/) override { return true; }
  bool number_unsigned(Json::number_unsigned_t /*value*/) override { return true; }
  bool number_float(Json::number_float_t /*value*/, const std::string& /*text*/) override {
    return true;
  }
  bool string(std::string& /*value*/) override { return true; }
  bool binary(Json::binary_t& /*value*/) override { return true; }
  bool start_object(std::size_t /*members*/) override { return ++depth_ <= kMaxDepth; }
  bool key(std::string& /*value*/) override { return true; }
  bool end_object() override { return --depth_ >= 0; }
  bool start_array(std::size_t /*items*/) override { return ++depth_ <= kMaxDepth; }
  bool end_array() override { return --depth_ >= 0; }
  bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& error) override {
    throw InputError(error.what());
  }

 private:
  static constexpr int kMaxDepth = 2;  // an object of arrays
  int depth_ = 0;
};

Json ParseCbor(const std::string& bytes) {
  DepthWatch watch;
  if (!Json::sax_parse(bytes, &watch, Json::input_format_t::cbor))
    throw InputError("values are nested too deep");
  return Json::from_cbor(bytes);
}

CellPart FromJson(const Json& json) {
  CellPart part;
  part.range = {.first = CountOf(json.at("first")), .count = CountOf(json.at("windows"))};
  for (const Json& tokens : json.at("scored_tokens")) {
    part.scores.scored_tokens.push_back(CountOf(tokens));
    // No window is as long, and sums over any number of them fit.
    if (part.scores.scored_tokens.back() > Index{1} << 32U)
      throw InputError("a number is too large");
  }
  part.scores.losses = json.at("losses").get<std::vector<double>>();
  part.scores.token_losses = json.at("token_losses").get<std::vector<float>>();
  part.scores.token_kl = json.at("token_kl").get<std::vector<float>>();
  for (const Json& agreements : json.at("top1_agreements"))
    part.scores.top1_agreements.push_back(CountOf(agreements));
  part.seconds = json.at("seconds");
  part.peak_rss_bytes = json.at("peak_rss_bytes").get_ref<const Json::number_unsigned_t&>();
  const std::size_t agreements = part.scores.top1_agreements.size();
  if (part.range.count < 1 || part.scores.losses.size() != Size(part.range.count) ||
      part.scores.scored_tokens.size() != Size(part.range.count) ||
      !AreOfTokens(part.scores.token_losses.size(), part) ||
      !AreOfTokens(part.scores.token_kl.size(), part) ||
      (agreements != 0 && agreements != Size(part.range.count)))
    throw InputError("lengths do not agree");
  return part;
}

CellPart ReadPart(const std::filesystem::path& file) {
  try {
    return FromJson(ParseCbor(ReadFile(file)));
  } catch (const std::exception& error) {
    throw InputError({file.string()},
                     fmt::format("this part of a cell is damaged ({}): delete it and run its shard "
                                 "again",
                                 error.what()));
  }
}

// The entry of one window, if there are any.
template <typename Number>
void AppendWindow(const std::vector<Number>& from, const CellPart& part, Index window,
                  std::vector<Number>* to) {
  if (!from.empty()) to->push_back(from[Size(window - part.range.first)]);
}

// The entries of one window's tokens.
void AppendTokens(const std::vector<float>& from, const CellPart& part, Index window,
                  std::vector<float>* to) {
  if (from.empty()) return;
  const Index own = window - part.range.first;
  const auto place = [&](Index of) {
    return from.begin() + static_cast<std::ptrdiff_t>(TokensBefore(part, of));
  };
  to->insert(to->end(), place(own), place(own + 1));
}

// The part that has a window; null if none has.
const CellPart* PartWith(const std::vector<CellPart>& parts, Index window) {
  const auto found = std::find_if(parts.begin(), parts.end(), [&](const CellPart& part) {
    return part.range.first <= window && window < part.range.end();
  });
  return found == parts.end() ? nullptr : &*found;
}

}  // namespace

void CellParts::Write(const std::string& cell, const CellPart& part) const {
  const std::vector<std::uint8_t> bytes = Json::to_cbor(ToJson(part));
  WriteFileAtomically(
      folder_ / cell / fmt::format("{}-{}.part", part.range.first, part.range.end()),
      {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::vector<CellPart> CellParts::Read(const std::string& cell) const {
  std::vector<CellPart> parts;
  std::error_code none;  // no folder: no parts
  for (const auto& entry : std::filesystem::directory_iterator(folder_ / cell, none)) {
    if (entry.path().extension() == ".part") parts.push_back(ReadPart(entry.path()));
  }
  std::sort(parts.begin(), parts.end(), [](const CellPart& a, const CellPart& b) {
    return a.range.first != b.range.first ? a.range.first < b.range.first
                                          : a.range.count < b.range.count;
  });
  return parts;
}

void CellParts::Remove(const std::string& cell) const { RemoveFolder(folder_ / cell); }

std::vector<WindowRange> MissingWindows(const std::vector<CellPart>& parts, WindowRange wanted) {
  std::vector<WindowRange> missing;
  for (Index window = wanted.first; window < wanted.end(); ++window) {
    if (PartWith(parts, window) != nullptr) continue;
    if (!missing.empty() && missing.back().end() == window)
      ++missing.back().count;
    else
      missing.push_back({.first = window, .count = 1});
  }
  return missing;
}

std::optional<CellPart> JoinParts(const std::vector<CellPart>& parts, Index windows) {
  std::vector<Index> first(Size(windows));
  std::iota(first.begin(), first.end(), Index{0});
  return JoinParts(parts, first);
}

std::optional<CellPart> JoinParts(const std::vector<CellPart>& parts,
                                  std::span<const Index> windows) {
  CellPart whole;
  whole.range = {.first = 0, .count = static_cast<Index>(windows.size())};
  for (const CellPart& part : parts) {
    whole.seconds += part.seconds;
    whole.peak_rss_bytes = std::max(whole.peak_rss_bytes, part.peak_rss_bytes);
  }
  for (const Index window : windows) {
    const CellPart* part = PartWith(parts, window);
    if (part == nullptr) return std::nullopt;
    const WindowScores& from = part->scores;
    AppendWindow(from.scored_tokens, *part, window, &whole.scores.scored_tokens);
    AppendWindow(from.losses, *part, window, &whole.scores.losses);
    AppendTokens(from.token_losses, *part, window, &whole.scores.token_losses);
    AppendTokens(from.token_kl, *part, window, &whole.scores.token_kl);
    AppendWindow(from.top1_agreements, *part, window, &whole.scores.top1_agreements);
  }
  return whole;
}

}  // namespace daq
