#include "eval/json_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace daq {
namespace {

using Json = nlohmann::json;

constexpr int kMaxDepth = 64;

// Walks over the text and tells how far the parser has read, which its callback does not.
class CountingIterator {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator() = default;
  CountingIterator(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}

  const char& operator*() const { return *at_; }
  CountingIterator& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  CountingIterator operator++(int) {
    const CountingIterator old = *this;
    ++*this;
    return old;
  }
  bool operator==(const CountingIterator& other) const { return at_ == other.at_; }

 private:
  const char* at_ = nullptr;
  const char** furthest_ = nullptr;
};

int LineAt(std::string_view text, std::size_t position) {
  const auto end = text.begin() + static_cast<std::ptrdiff_t>(std::min(position, text.size()));
  return 1 + static_cast<int>(std::count(text.begin(), end, '\n'));
}

// The library's reason without its prefix "[json.exception...] parse error at line 3, column 5: ".
std::string Reason(const Json::exception& error) {
  const std::string_view what = error.what();
  const std::size_t bracket = what.find("] ");
  const std::size_t begin = bracket == std::string_view::npos ? 0 : bracket + 2;
  const std::size_t colon = what.starts_with("[json.exception.parse_error")
                                ? what.find(": ", begin)
                                : std::string_view::npos;
  return std::string(what.substr(colon == std::string_view::npos ? begin : colon + 2));
}

// The longest part of `text` of at most `bytes` that does not cut a UTF-8 sequence.
std::string_view Cut(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xC0U) == 0x80U) --bytes;
  return text.substr(0, bytes);
}

// Refuses what the library lets pass: a key given twice and unbounded nesting.
template <typename AnyJson>
class Watch {
 public:
  Watch(std::string_view text, const std::string& file, const char* const* furthest)
      : text_(text), file_(file), furthest_(furthest) {}

  bool operator()(int depth, Json::parse_event_t event, const AnyJson& parsed) {
    if (depth > kMaxDepth)
      throw InputError(Here(), fmt::format("values are nested deeper than {}", kMaxDepth));
    if (event == Json::parse_event_t::object_start) {
      keys_.emplace_back();
    } else if (event == Json::parse_event_t::object_end) {
      keys_.pop_back();
    } else if (event == Json::parse_event_t::key) {
      const auto& key = parsed.template get_ref<const std::string&>();
      if (!keys_.back().insert(key).second)
        throw InputError(Here(), DescribeName(key), "a key once", "it twice");
    }
    return true;
  }

 private:
  FileLocation Here() const {
    return {file_, LineAt(text_, static_cast<std::size_t>(*furthest_ - text_.data()))};
  }

  std::string_view text_;
  const std::string& file_;
  const char* const* furthest_;
  std::vector<std::set<std::string>> keys_;  // of the objects that are open
};

template <typename AnyJson>
AnyJson ParseWatched(std::string_view text, const std::string& file) {
  const char* furthest = text.data();
  Watch<AnyJson> watch(text, file, &furthest);
  try {
    return AnyJson::parse(CountingIterator(text.data(), &furthest),
                          CountingIterator(text.data() + text.size(), &furthest),
                          [&watch](int depth, Json::parse_event_t event, const AnyJson& parsed) {
                            return watch(depth, event, parsed);
                          });
  } catch (const Json::exception& error) {
    const auto position = static_cast<std::size_t>(furthest - text.data());
    throw InputError({file, LineAt(text, position == 0 ? 0 : position - 1)},
                     fmt::format("not JSON: {}", Reason(error)));
  }
}

}  // namespace

Json ReadJsonFile(const std::filesystem::path& path) {
  return ParseJson(ReadFile(path), path.string());
}

Json ParseJson(std::string_view text, const std::string& file) {
  return ParseWatched<Json>(text, file);
}

nlohmann::ordered_json ParseOrderedJson(std::string_view text, const std::string& file) {
  return ParseWatched<nlohmann::ordered_json>(text, file);
}

std::string DescribeJson(const Json& value) {
  if (value.is_object() || value.is_array()) {
    // Not dumped: a container read from a file can be as large as the file.
    if (value.empty()) return value.is_object() ? "{}" : "[]";
    if (value.is_object() || value.size() > 8) return value.is_object() ? "an object" : "a list";
    if (std::any_of(value.begin(), value.end(),
                    [](const Json& item) { return item.is_structured(); }))
      return "a list";
  }
  const std::string text = value.dump();
  return text.size() <= 60 ? text : fmt::format("{}...", Cut(text, 60));
}

std::string DescribeName(std::string_view name) {
  const std::string quoted =
      Json(std::string(name)).dump(-1, ' ', false, Json::error_handler_t::replace);
  const std::string_view inner = std::string_view(quoted).substr(1, quoted.size() - 2);
  return inner.size() <= 200 ? std::string(inner) : fmt::format("{}...", Cut(inner, 200));
}

JsonObject::JsonObject(const Json& value, std::string file, std::string key)
    : value_(&value), file_(std::move(file)), key_(std::move(key)) {
  if (value_->is_object()) return;
  if (key_.empty())
    throw InputError({file_}, fmt::format("expected an object, found {}", DescribeJson(value)));
  throw InputError({file_}, key_, "an object", DescribeJson(value));
}

bool JsonObject::Has(const std::string& key) const {
  const auto found = value_->find(key);
  return found != value_->end() && !found->is_null();
}

const Json& JsonObject::Value(const std::string& key, std::string_view expected) const {
  if (!Has(key)) Refuse(key, expected);
  return *value_->find(key);
}

std::int64_t JsonObject::Integer(const std::string& key, std::int64_t low,
                                 std::int64_t high) const {
  const std::string expected = fmt::format("an integer from {} to {}", low, high);
  const Json& value = Value(key, expected);
  if (!value.is_number_integer()) Refuse(key, expected);
  // An unsigned above the signed range would come out negative.
  if (value.is_number_unsigned() &&
      value.get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    Refuse(key, expected);
  }
  const auto number = value.get<std::int64_t>();
  if (number < low || number > high) Refuse(key, expected);
  return number;
}

double JsonObject::Number(const std::string& key, double low, double high) const {
  const std::string expected = high == std::numeric_limits<double>::max()
                                   ? fmt::format("a number of at least {}", low)
                                   : fmt::format("a number from {} to {}", low, high);
  const Json& value = Value(key, expected);
  if (!value.is_number()) Refuse(key, expected);
  const auto number = value.get<double>();
  if (!(number >= low && number <= high)) Refuse(key, expected);
  return number;
}

double JsonObject::NumberAbove(const std::string& key, double low, double high) const {
  const std::string expected = high == std::numeric_limits<double>::max()
                                   ? fmt::format("a number above {}", low)
                                   : fmt::format("a number above {} and at most {}", low, high);
  const Json& value = Value(key, expected);
  if (!value.is_number()) Refuse(key, expected);
  const auto number = value.get<double>();
  if (!(number > low && number <= high)) Refuse(key, expected);
  return number;
}

bool JsonObject::Boolean(const std::string& key) const {
  const Json& value = Value(key, "true or false");
  if (!value.is_boolean()) Refuse(key, "true or false");
  return value.get<bool>();
}

std::string JsonObject::String(const std::string& key) const {
  const Json& value = Value(key, "a string");
  if (!value.is_string()) Refuse(key, "a string");
  return value.get<std::string>();
}

JsonObject JsonObject::Object(const std::string& key) const {
  return JsonObject(Value(key, "an object"), file_, FullKey(key));
}

void JsonObject::Refuse(const std::string& key, std::string_view expected) const {
  throw InputError({file_}, FullKey(key), expected,
                   Has(key) ? DescribeJson(*value_->find(key)) : "nothing");
}

std::string JsonObject::FullKey(const std::string& key) const {
  const std::string name = DescribeName(key);
  return key_.empty() ? name : fmt::format("{}.{}", key_, name);
}

}  // namespace daq
