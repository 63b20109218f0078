#include "harness/yaml_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <system_error>

#include "harness/byte_size.h"
#include "harness/nearest_name.h"

namespace daq {
namespace {

constexpr std::size_t kShownBytes = 60;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes digits off the front; false if there is none.
bool SkipDigits(std::string_view* text) {
  const std::size_t digits = std::min(text->find_first_not_of("0123456789"), text->size());
  text->remove_prefix(digits);
  return digits > 0;
}

// -?(0|[1-9][0-9]*), taken off the front.
bool SkipInteger(std::string_view* text) {
  if (text->starts_with('-')) text->remove_prefix(1);
  const bool leading_zero = text->size() > 1 && text->front() == '0' && IsDigit((*text)[1]);
  return !leading_zero && SkipDigits(text);
}

bool IsInteger(std::string_view text) { return SkipInteger(&text) && text.empty(); }

// An integer, then perhaps a fraction, then perhaps an exponent.
bool IsNumber(std::string_view text) {
  if (!SkipInteger(&text)) return false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    if (!SkipDigits(&text)) return false;
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
    if (!SkipDigits(&text)) return false;
  }
  return text.empty();
}

template <typename Number>
std::optional<Number> Parse(std::string_view text) {
  Number number{};
  const char* end = text.data() + text.size();
  const std::from_chars_result result = std::from_chars(text.data(), end, number);
  if (result.ec != std::errc() || result.ptr != end) return std::nullopt;
  return number;
}

// Whether a scalar without quotes looks like a number or a truth value of some YAML reader.
bool LooksTyped(std::string_view text) {
  return text == "true" || text == "false" || IsDigit(text.front()) ||
         (text.size() > 1 && (text.front() == '-' || text.front() == '+' || text.front() == '.') &&
          (IsDigit(text[1]) || text[1] == '.'));
}

}  // namespace

std::string ShortText(std::string_view text) {
  if (text.size() <= kShownBytes) return std::string(text);
  std::size_t end = kShownBytes;
  while ((static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U)
    --end;  // a character's later bytes are 10xxxxxx
  return fmt::format("{}...", text.substr(0, end));
}

std::string DescribeScalar(std::string_view text, bool quoted) {
  const bool plain = !quoted && !text.empty() && LooksTyped(text);
  return plain ? ShortText(text) : fmt::format("\"{}\"", ShortText(text));
}

std::string FlowText(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNothing:
      return "null";
    case YamlNode::Kind::kScalar:
      return node.text;
    case YamlNode::Kind::kList:
    case YamlNode::Kind::kMap:
      break;
  }
  const bool is_map = node.kind == YamlNode::Kind::kMap;
  std::string text = is_map ? "{" : "[";
  for (const YamlNode& child : node.children) {
    if (text.size() > 1) text.append(", ");
    if (is_map) text.append(child.key).append(": ");
    text.append(FlowText(child));
  }
  return text.append(is_map ? "}" : "]");
}

YamlValue::YamlValue(const YamlDocument& document) : YamlValue(document.file, document.root, "") {}

std::string YamlValue::Found() const {
  switch (node_->kind) {
    case YamlNode::Kind::kNothing:
      return "nothing";
    case YamlNode::Kind::kScalar:
      return DescribeScalar(node_->text, node_->quoted);
    case YamlNode::Kind::kList:
      return node_->children.empty() ? "an empty list" : "a list";
    case YamlNode::Kind::kMap:
      return node_->children.empty() ? "an empty map" : "a map";
  }
  DAQ_CHECK(false, "every kind has a description");
  return "";
}

void YamlValue::Refuse(std::string_view expected) const {
  if (path_.empty())
    throw InputError(where(), fmt::format("expected {}, found {}", expected, Found()));
  throw InputError(where(), path_, expected, Found());
}

const std::string& YamlValue::Text(std::string_view expected) const {
  const bool is_blank = node_->text.find_first_not_of(" \t\r\n") == std::string::npos;
  if (!IsScalar() || is_blank) Refuse(expected);
  return node_->text;
}

const std::string& YamlValue::FileName(std::string_view expected) const {
  const std::string& text = Text(expected);
  if (!node_->quoted && (IsNumber(text) || text == "true" || text == "false")) Refuse(expected);
  return text;
}

bool YamlValue::Bool() const {
  const bool is_true = node_->text == "true";
  if (!IsScalar() || node_->quoted || (!is_true && node_->text != "false")) Refuse("true or false");
  return is_true;
}

std::int64_t YamlValue::Integer(std::int64_t lowest, std::int64_t highest) const {
  if (IsScalar() && !node_->quoted && IsInteger(node_->text)) {
    const std::optional<std::int64_t> number = Parse<std::int64_t>(node_->text);
    if (number && *number >= lowest && *number <= highest) return *number;
  }
  Refuse(fmt::format("an integer from {} to {}", lowest, highest));
}

double YamlValue::Number(double lowest, double highest) const {
  if (IsScalar() && !node_->quoted && IsNumber(node_->text)) {
    const std::optional<double> number = Parse<double>(node_->text);
    if (number && *number >= lowest && *number <= highest) return *number + 0.0;  // -0 becomes 0
  }
  Refuse(fmt::format("a number from {} to {}", lowest, highest));
}

std::uint64_t YamlValue::Bytes() const {
  if (!IsScalar()) Refuse("a size such as 12GiB");
  return ParseByteSize(node_->text, where(), path_);
}

std::string_view YamlValue::Name(std::span<const std::string_view> names) const {
  if (IsScalar()) {
    const auto found = std::find(names.begin(), names.end(), node_->text);
    if (found != names.end()) return *found;
    throw InputError(where(), path_, OneOf(names), Found() + DidYouMean(node_->text, names));
  }
  Refuse(OneOf(names));
}

std::vector<YamlValue> YamlValue::List(std::string_view expected) const {
  if (!IsList() || node_->children.empty()) Refuse(expected);
  std::vector<YamlValue> items;
  items.reserve(node_->children.size());
  for (const YamlNode& child : node_->children) {
    items.push_back(YamlValue(*file_, child, fmt::format("{}[{}]", path_, items.size())));
  }
  return items;
}

std::string YamlValue::PathOf(std::string_view key) const {
  const std::string shown = ShortText(key);  // a hostile key is not repeated in full
  return path_.empty() ? shown : fmt::format("{}.{}", path_, shown);
}

std::optional<YamlValue> YamlValue::Child(std::string_view key) const {
  const YamlNode* child = node_->Find(key);
  if (child == nullptr) return std::nullopt;
  return YamlValue(*file_, *child, PathOf(key));
}

YamlMap::YamlMap(const YamlValue& value, std::string_view expected,
                 std::span<const std::string_view> known)
    : value_(value), known_(known.begin(), known.end()) {
  if (!value.IsMap()) value.Refuse(expected);
  for (const YamlNode& child : value.node().children) {
    if (std::find(known.begin(), known.end(), child.key) != known.end()) continue;
    throw InputError({*value.file_, child.key_line}, value_.PathOf(child.key), OneOf(known),
                     DescribeScalar(child.key, /*quoted=*/true) + DidYouMean(child.key, known));
  }
}

std::optional<YamlValue> YamlMap::Find(std::string_view key) {
  DAQ_CHECK(std::find(known_.begin(), known_.end(), key) != known_.end(), key);
  std::optional<YamlValue> value = value_.Child(key);
  if (value) used_.emplace(key);
  return value;
}

YamlValue YamlMap::Get(std::string_view key, std::string_view expected) {
  const std::optional<YamlValue> value = Find(key);
  if (!value) throw InputError(value_.where(), value_.PathOf(key), expected, "nothing");
  return *value;
}

void YamlMap::Refuse(std::string_view expected, std::string_view found) const {
  if (!value_.path_.empty()) throw InputError(value_.where(), value_.path_, expected, found);
  throw InputError(value_.where(), fmt::format("expected {}, found {}", expected, found));
}

void YamlMap::Finish(std::string_view why) const {
  for (const YamlNode& child : value_.node().children) {
    if (used_.contains(child.key)) continue;
    const YamlValue value(*value_.file_, child, value_.PathOf(child.key));
    throw InputError({*value_.file_, child.key_line}, value.path(),
                     fmt::format("no such key {}", why), value.Found());
  }
}

}  // namespace daq
