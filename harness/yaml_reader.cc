#include "harness/yaml_reader.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "eval/utf8.h"
#include "harness/yaml_value.h"

namespace daq {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxNodes = 100'000;
constexpr std::size_t kMaxDepth = 32;

bool IsControl(char c) { return (c >= 0 && c < ' ') || c == 0x7F; }

int LineOf(std::string_view text, std::size_t offset) {
  return 1 + static_cast<int>(std::count(text.begin(),
                                         text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
}

// Refuses what yaml-cpp would take in some way of its own before it sees it.
void CheckBytes(std::string_view text, const std::string& file) {
  if (text.size() > kMaxBytes) {
    throw InputError(
        {file}, fmt::format("expected at most {} bytes of YAML, found {}", kMaxBytes, text.size()));
  }
  if (const std::size_t bad = FirstInvalidUtf8(text); bad < text.size()) {
    throw InputError({file, LineOf(text, bad)}, "expected UTF-8 text, found other bytes");
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool line_end =
        text[i] == '\n' || (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
    if (!IsControl(text[i]) || line_end) continue;
    throw InputError({file, LineOf(text, i)}, text[i] == '\t'
                                                  ? "expected spaces, found a tab"
                                                  : "expected text, found a control character");
  }
  // yaml-cpp passes over directives, even unknown ones.
  const std::size_t directive = text.starts_with('%') ? 0 : text.find("\n%");
  if (directive != std::string_view::npos) {
    throw InputError({file, LineOf(text, directive + 1)},
                     "expected YAML without directives, found one (%name)");
  }
}

// Whether the quote that `text` begins with ends on its line. In single quotes '' is a quote; in
// double ones \ escapes. Looks no further than that end: a line may hold many quotes.
bool EndsQuote(std::string_view text) {
  const char quote = text.front();
  for (std::size_t i = 1; i < text.size() && text[i] != '\n'; ++i) {
    if (quote == '"' && text[i] == '\\' && i + 1 < text.size() && text[i + 1] != '\n') {
      ++i;
    } else if (text[i] == quote) {
      if (quote == '"' || i + 1 == text.size() || text[i + 1] != quote) return true;
      ++i;
    }
  }
  return false;
}

// Builds the tree from yaml-cpp's events. Unlike YAML::Node, events still show duplicate keys,
// order, quotes, tags and aliases, and let the build stop at a limit.
class TreeBuilder : public YAML::EventHandler {
 public:
  // `text` is what is parsed.
  TreeBuilder(std::string_view text, std::string file) : text_(text), file_(std::move(file)) {}

  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1)
      throw InputError({file_, mark.line + 1}, "expected one YAML document, found a second one");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    RefuseExtras(mark, "?", anchor);
    // For an empty value the parser stands at the next token already, which may be lines further.
    const bool has_key = !levels_.empty() && levels_.back().has_key;
    Add({.line = has_key ? levels_.back().key_line : LineOfEmptyItem(mark)});
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t /*anchor*/) override {
    Refuse(mark, "an alias (*name)");
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    RefuseExtras(mark, tag, anchor);
    CheckScalar(mark, value);
    Add({.kind = YamlNode::Kind::kScalar,
         .line = mark.line + 1,
         .text = value,
         .quoted = tag == "!"});
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    Open(YamlNode::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    Open(YamlNode::Kind::kMap, mark, tag, anchor);
  }
  void OnMapEnd() override { Close(); }

 private:
  // A list or map whose end has not come yet.
  struct Level {
    YamlNode node;
    std::map<std::string, int> key_lines = {};  // of a map: its keys so far
    bool has_key = false;                       // of a map: the key below has come, its value not
    std::string key = {};
    int key_line = 0;
  };

  // Where the parser is, as a key in full.
  std::string Path() const {
    std::string path;
    for (const Level& level : levels_) {
      if (level.node.kind == YamlNode::Kind::kList) {
        path.append(fmt::format("[{}]", level.node.children.size()));
      } else if (level.has_key) {
        path.append(path.empty() ? "" : ".").append(level.key);
      }
    }
    return path;
  }

  // The line of the dash before `mark` if nothing but comments stands between them, else the
  // mark's. Remembers the last answer, which is the same for all items of a line: many of them
  // behind many comments would take the product of both.
  int LineOfEmptyItem(const YAML::Mark& mark) {
    if (mark.line != empty_mark_line_) {
      empty_mark_line_ = mark.line;
      empty_item_line_ = FindLineOfEmptyItem(mark);
    }
    return empty_item_line_;
  }

  int FindLineOfEmptyItem(const YAML::Mark& mark) const {
    int line = mark.line + 1;
    std::string_view before =
        text_.substr(0, std::min(static_cast<std::size_t>(mark.pos), text_.size()));
    for (; line > 1; --line) {
      const std::size_t end = before.rfind('\n');
      if (end == std::string_view::npos) break;
      before = before.substr(0, end);
      std::string_view content = before.substr(before.rfind('\n') + 1);
      content = content.substr(0, content.find('#'));
      content = content.substr(0, content.find_last_not_of(" \r") + 1);
      if (content.ends_with('-')) return line - 1;
      if (!content.empty()) break;
    }
    return mark.line + 1;
  }

  [[noreturn]] void Refuse(const YAML::Mark& mark, std::string_view found) const {
    const std::string path = Path();
    const FileLocation where{file_, mark.line + 1};
    if (path.empty())
      throw InputError(where, fmt::format("expected a plain value, found {}", found));
    throw InputError(where, path, "a plain value", found);
  }

  // yaml-cpp's own tags are "?" (plain), "!" (in quotes) and none.
  void RefuseExtras(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) const {
    if (anchor != 0) Refuse(mark, "an anchor (&name)");
    if (!tag.empty() && tag != "?" && tag != "!") Refuse(mark, "a tag (!name)");
  }

  // Text in quotes must end on its line, other text must stand there as it was read: yaml-cpp takes
  // a quote that never ends up to the end of the file, and joins lines, so that a forgotten dash or
  // colon would go unnoticed.
  void CheckScalar(const YAML::Mark& mark, const std::string& value) const {
    const std::string_view rest =
        text_.substr(std::min(static_cast<std::size_t>(mark.pos), text_.size()));
    if (rest.starts_with('"') || rest.starts_with('\'')) {
      if (!EndsQuote(rest)) Refuse(mark, "a quote that does not end on its line");
    } else if (rest.starts_with('!')) {
      Refuse(mark, "a tag (!name)");  // a lone "!" looks like quotes in the event
    } else if (!rest.starts_with(value)) {
      Refuse(mark, "text over several lines");
    }
    if (std::any_of(value.begin(), value.end(), IsControl)) Refuse(mark, "a control character");
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor) {
    RefuseExtras(mark, tag, anchor);
    if (!levels_.empty() && levels_.back().node.kind == YamlNode::Kind::kMap &&
        !levels_.back().has_key) {
      throw InputError({file_, mark.line + 1},
                       "expected a name as key, found a list or a map (is a bracket left open?)");
    }
    if (levels_.size() >= kMaxDepth) {
      throw InputError({file_, mark.line + 1},
                       fmt::format("expected at most {} levels, found more", kMaxDepth));
    }
    levels_.push_back({.node = {.kind = kind, .line = mark.line + 1}});
  }

  void Close() {
    YamlNode node = std::move(levels_.back().node);
    levels_.pop_back();
    Add(std::move(node));
  }

  void Add(YamlNode node) {
    if (++nodes_ > kMaxNodes) {
      throw InputError({file_, node.line},
                       fmt::format("expected at most {} values, found more", kMaxNodes));
    }
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (level.node.kind == YamlNode::Kind::kMap) {
      if (!level.has_key) {
        TakeKey(node, &level);
        return;
      }
      node.key = std::move(level.key);
      node.key_line = level.key_line;
      level.has_key = false;
    }
    level.node.children.push_back(std::move(node));
  }

  void TakeKey(const YamlNode& node, Level* level) const {
    const FileLocation where{file_, node.line};
    if (node.kind != YamlNode::Kind::kScalar || node.text.empty()) {
      throw InputError(where, "expected a name as key, found nothing");
    }
    const std::string above = Path();
    const std::string path = above.empty() ? node.text : above + "." + node.text;
    if (node.text == "<<" && !node.quoted)
      throw InputError(where, path, "a name as key", "a merge key");
    const auto [first, is_new] = level->key_lines.emplace(node.text, node.line);
    if (!is_new) {
      throw InputError(where, path, "every key once",
                       fmt::format("it again (first on line {})", first->second));
    }
    level->has_key = true;
    level->key = node.text;
    level->key_line = node.line;
  }

  std::string_view text_;
  std::string file_;
  YamlNode root_;
  std::vector<Level> levels_;
  std::size_t nodes_ = 0;
  int documents_ = 0;
  int empty_mark_line_ = -1;
  int empty_item_line_ = 0;
};

}  // namespace

const YamlNode* YamlNode::Find(std::string_view child_key) const {
  if (kind != Kind::kMap) return nullptr;
  const auto found = std::find_if(children.begin(), children.end(),
                                  [&](const YamlNode& child) { return child.key == child_key; });
  return found == children.end() ? nullptr : &*found;
}

YamlNode* YamlNode::Find(std::string_view child_key) {
  return const_cast<YamlNode*>(std::as_const(*this).Find(child_key));
}

YamlDocument ReadYamlFile(const std::filesystem::path& path) {
  return ParseYaml(ReadFile(path), path.string());
}

YamlDocument ParseYaml(std::string_view text, std::string file) {
  CheckBytes(text, file);
  if (text.starts_with("\xEF\xBB\xBF"))
    text.remove_prefix(3);  // a byte order mark, which some editors write
  std::istringstream stream{std::string(text)};
  TreeBuilder builder(text, file);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    throw InputError({file, error.mark.line + 1},
                     fmt::format("expected YAML, found a mistake: {}", error.msg));
  }
  return {.file = std::move(file), .root = builder.TakeRoot()};
}

}  // namespace daq
