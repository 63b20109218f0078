#include <fmt/format.h>

#include <limits>
#include <vector>

#include "base/name_letters.h"
#include "harness/config_schema.h"
#include "harness/nearest_name.h"
#include "harness/recipe_config.h"

namespace daq {
namespace {

constexpr std::int64_t kMaxGroup = 1'000'000;
constexpr std::size_t kMaxLabel = 64;

std::vector<std::string_view> CodebookNames() {
  std::vector<std::string_view> names;
  for (const CodebookInfo& info : Codebooks()) names.push_back(info.name);
  return names;
}

// {name: my3, values: [-1, 0, 1]}
Codebook ReadCustomCodebook(const YamlValue& value) {
  YamlMap map(value, "a code book", KeysBelow("recipes.format.codebook"));
  const YamlValue name = map.Get("name", "a name for the code book");
  const std::string label = ReadLabel(name);
  // "int4-sym" is what tables call a symmetric int4.
  if (label.ends_with("-sym") || label.ends_with("-asym"))
    name.Refuse("a name that does not end in -sym or -asym");
  if (FindCodebook(label, false)) name.Refuse("a name that no built-in code book has");
  const YamlValue list = map.Get("values", "a list of 2 to 256 numbers");
  std::vector<double> values;
  constexpr double kLargest = std::numeric_limits<double>::max();
  for (const YamlValue& item : list.List("a list of 2 to 256 numbers"))
    values.push_back(item.Number(-kLargest, kLargest));
  map.Finish("in a code book");
  return CustomCodebook(label, values, list.where(), list.path());
}

Index ReadGroup(const YamlValue& value) {
  if (value.IsScalar() && value.node().text == "channel") return 0;
  try {
    return value.Integer(1, kMaxGroup);
  } catch (const InputError&) {
    value.Refuse(fmt::format("channel or an integer from 1 to {}", kMaxGroup));
  }
}

}  // namespace

bool SymmetricByDefault(std::string_view codebook) {
  for (const CodebookInfo& info : Codebooks()) {
    if (info.name == codebook) return info.symmetric_by_default;
  }
  return true;  // its values say where zero is
}

std::string ReadLabel(const YamlValue& value) {
  constexpr std::string_view kExpected = "a name of 1 to 64 letters, digits and . _ + -";
  const std::string& text = value.Text(kExpected);
  if (!HasOnlyNameLetters(text, ".+") || text.size() > kMaxLabel) value.Refuse(kExpected);
  return text;
}

Format ReadFormat(const YamlValue& value, std::optional<bool> usually_symmetric) {
  Format format;
  if (value.IsScalar()) {
    const std::string_view name = value.Name(CodebookNames());
    format.symmetric = usually_symmetric.value_or(SymmetricByDefault(name));
    format.codebook = *FindCodebook(name, format.symmetric);
    return format;
  }
  if (value.IsList()) value.Refuse("one format (several go under sweep: recipes.format)");
  YamlMap map(value, "a code book's name or a map with codebook, group, symmetric",
              KeysBelow("recipes.format"));
  const YamlValue codebook = map.Get("codebook", OneOf(CodebookNames()));
  const std::optional<YamlValue> symmetric = map.Find("symmetric");
  const std::optional<YamlValue> group = map.Find("group");
  if (group) format.group_size = ReadGroup(*group);
  if (codebook.IsMap()) {
    format.codebook = ReadCustomCodebook(codebook);
    format.symmetric = symmetric
                           ? symmetric->Bool()
                           : usually_symmetric.value_or(SymmetricByDefault(format.codebook.name));
  } else {
    const std::string_view name = codebook.Name(CodebookNames());
    format.symmetric =
        symmetric ? symmetric->Bool() : usually_symmetric.value_or(SymmetricByDefault(name));
    format.codebook = *FindCodebook(name, format.symmetric);
  }
  map.Finish("in a format");
  return format;
}

}  // namespace daq
