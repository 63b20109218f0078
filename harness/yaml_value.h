#pragma once
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "harness/config_place.h"
#include "harness/yaml_reader.h"

namespace daq {

// A value of a YAML file, its place, and its key in full ("recipes[2].format.group"), read strictly
// as one type: every getter throws InputError "file:line: key: expected ..., found ..." for
// anything else. Refers to the document, which must outlive it.
class YamlValue {
 public:
  // The whole document.
  explicit YamlValue(const YamlDocument& document);

  const YamlNode& node() const { return *node_; }
  const std::string& path() const { return path_; }  // empty for the whole document
  FileLocation where() const { return {*file_, node_->line}; }
  ConfigPlace place() const { return {.where = where(), .path = path_}; }
  bool IsScalar() const { return node_->kind == YamlNode::Kind::kScalar; }
  bool IsList() const { return node_->kind == YamlNode::Kind::kList; }
  bool IsMap() const { return node_->kind == YamlNode::Kind::kMap; }

  // A scalar that is not blank; `expected` says what it should be ("a title").
  const std::string& Text(std::string_view expected) const;

  // The same for a file or folder: no number or truth value, unless in quotes.
  const std::string& FileName(std::string_view expected) const;

  // `true` or `false`: not yes, no, on, off, True, 1.
  bool Bool() const;

  // A decimal integer in [lowest, highest]: no plus sign, leading zero, underscore, fraction or
  // exponent, no quotes.
  std::int64_t Integer(std::int64_t lowest, std::int64_t highest) const;

  // A finite decimal number in [lowest, highest], such as 2, -0.5 or 1e-3; -0 reads as 0. No other
  // notation.
  double Number(double lowest, double highest) const;

  // A size such as 12GiB, in bytes (harness/byte_size.h).
  std::uint64_t Bytes() const;

  // A name of `names`; refused with the nearest one.
  std::string_view Name(std::span<const std::string_view> names) const;

  // The items of a list of at least one; `expected` says what it should be ("a list of recipes").
  std::vector<YamlValue> List(std::string_view expected) const;

  // The value of that key, if this is a map that has it: a look ahead, without the checks of
  // YamlMap.
  std::optional<YamlValue> Child(std::string_view key) const;

  // Throws for this value: "expected <expected>, found <this>".
  [[noreturn]] void Refuse(std::string_view expected) const;

  // This value as messages show it: 12, "text", nothing, a list, a map.
  std::string Found() const;

 private:
  friend class YamlMap;
  YamlValue(const std::string& file, const YamlNode& node, std::string path)
      : file_(&file), node_(&node), path_(std::move(path)) {}

  // The full key of a child.
  std::string PathOf(std::string_view key) const;

  const std::string* file_;
  const YamlNode* node_;
  std::string path_;
};

// A map read key by key, each of which must be known and must be used.
class YamlMap {
 public:
  // Throws InputError if `value` is no map (`expected` says what it should be) or holds a key that
  // is not in `known`; the message names the nearest known one. Unknown keys come first, so that a
  // misspelt key is not called missing.
  YamlMap(const YamlValue& value, std::string_view expected,
          std::span<const std::string_view> known);

  // The value of `key`, one of `known`, if present; it then counts as used.
  std::optional<YamlValue> Find(std::string_view key);

  // The same for a required key; throws InputError "expected <expected>, found nothing".
  YamlValue Get(std::string_view key, std::string_view expected);

  // Whether `key` is present; does not count as a use.
  bool Has(std::string_view key) const { return value_.node().Find(key) != nullptr; }

  // Throws InputError for the map itself: "expected <expected>, found <found>".
  [[noreturn]] void Refuse(std::string_view expected, std::string_view found) const;

  // To be called when all is read. Throws InputError for a key that was not asked for: "expected no
  // such key <why>".
  void Finish(std::string_view why) const;

 private:
  YamlValue value_;
  std::vector<std::string_view> known_;
  std::set<std::string, std::less<>> used_;
};

// The text, cut after 60 bytes (never inside a character) with "..." for the rest.
std::string ShortText(std::string_view text);

// A scalar as messages show it: numbers and booleans plain, other text in quotes; a ShortText.
std::string DescribeScalar(std::string_view text, bool quoted);

// The node on one line, as YAML's flow style writes it: {codebook: int4, group: 64}.
std::string FlowText(const YamlNode& node);

}  // namespace daq
