#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace daq {

// One value of a YAML file: a scalar, a list or a map, with the line it stands on and the order of
// the file kept. Scalars are the text as written; harness/yaml_value.h reads them as numbers and so
// on.
struct YamlNode {
  enum class Kind {
    kNothing,  // an empty value, `~` or `null`
    kScalar,
    kList,
    kMap,
  };

  Kind kind = Kind::kNothing;
  int line = 0;                         // 1-based
  std::string text = {};                // of a scalar
  bool quoted = false;                  // a scalar in quotes is text, whatever it looks like
  std::string key = {};                 // of a child of a map
  int key_line = 0;                     // of a child of a map: the key's own line
  std::vector<YamlNode> children = {};  // of a list or map; keys are unique

  // The child of that key, or nullptr (also where this is no map).
  const YamlNode* Find(std::string_view child_key) const;
  YamlNode* Find(std::string_view child_key);
};

// A YAML file of one document.
struct YamlDocument {
  std::string file;  // as messages name it
  YamlNode root;
};

// Reads a YAML file of what configs need and nothing that surprises: scalars, lists and maps with
// plain keys. Throws InputError with file, line and (where there is one) key for wrong syntax, a
// key given twice, anchors, aliases, tags, merge keys, maps or lists as keys, a second document,
// tabs, other control characters, text over several lines, bytes that are not UTF-8, more than 1
// MiB, 100,000 values or 32 levels.
YamlDocument ReadYamlFile(const std::filesystem::path& path);

// The same from memory; `file` names the source in messages.
YamlDocument ParseYaml(std::string_view text, std::string file);

}  // namespace daq
