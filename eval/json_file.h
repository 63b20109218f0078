#pragma once
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace daq {

// A JSON file. Throws InputError with file and line for a syntax error, a key given twice in one
// object, nesting deeper than 64, text that is not UTF-8, or a number too large for a double.
nlohmann::json ReadJsonFile(const std::filesystem::path& path);

// The same from memory; `file` names the source in messages.
nlohmann::json ParseJson(std::string_view text, const std::string& file);

// The same with keys in the order of the file, as result files have them.
nlohmann::ordered_json ParseOrderedJson(std::string_view text, const std::string& file);

// A value as messages show it: JSON, cut after 60 bytes.
std::string DescribeJson(const nlohmann::json& value);

// A name from a file as messages show it: without quotes, control characters escaped, cut after 200
// bytes.
std::string DescribeName(std::string_view name);

// One object of a JSON file, read key by key. A key that holds null counts as absent, as in
// transformers. Every getter throws InputError "file: key: expected ..., found ..."; a nested key
// is written "outer.inner". Refers to `value`, which must outlive it.
class JsonObject {
 public:
  // Throws InputError if `value` is not an object. `key` is what the object is called in the file;
  // empty for the whole file.
  JsonObject(const nlohmann::json& value, std::string file, std::string key = "");

  bool Has(const std::string& key) const;

  // The member as it is; throws if absent. `expected` completes "expected ..., found nothing".
  const nlohmann::json& Value(const std::string& key, std::string_view expected) const;

  // An integer in [low, high]. A number with a fraction or exponent, such as 4.0, is refused.
  std::int64_t Integer(const std::string& key, std::int64_t low, std::int64_t high) const;

  // A finite number, integer or not, in [low, high] or, with `above`, in (low, high].
  double Number(const std::string& key, double low,
                double high = std::numeric_limits<double>::max()) const;
  double NumberAbove(const std::string& key, double low,
                     double high = std::numeric_limits<double>::max()) const;

  bool Boolean(const std::string& key) const;
  std::string String(const std::string& key) const;
  JsonObject Object(const std::string& key) const;

  // Throws InputError for `key`, whose value is what was found ("nothing" if absent).
  [[noreturn]] void Refuse(const std::string& key, std::string_view expected) const;

  const nlohmann::json& value() const { return *value_; }
  const std::string& file() const { return file_; }

 private:
  std::string FullKey(const std::string& key) const;

  const nlohmann::json* value_;
  std::string file_;
  std::string key_;
};

}  // namespace daq
