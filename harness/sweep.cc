#include "harness/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <span>

#include "base/error.h"
#include "harness/config_schema.h"
#include "harness/yaml_value.h"

namespace daq {
namespace {

constexpr std::size_t kMaxPoints = 10'000;
constexpr std::size_t kMaxNodes = 4'000'000;
constexpr std::size_t kBytesPerNode = 64;

// Values; a long text counts as several, for each point keeps a copy.
std::size_t CountNodes(const YamlNode& node) {
  std::size_t count = 1 + (node.text.size() + node.key.size()) / kBytesPerNode;
  for (const YamlNode& child : node.children) count += CountNodes(child);
  return count;
}

std::vector<std::string_view> SplitPath(std::string_view path) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t dot = path.find('.');
    parts.push_back(path.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    path.remove_prefix(dot + 1);
  }
}

// The key that a bare name stands for where a map may stand: `format: nf4` is `format: {codebook:
// nf4}`.
std::string_view ShorthandKey(std::string_view path) {
  if (path == "evaluate") return "protocol";
  if (path == "recipes.format") return "codebook";
  if (path == "recipes.transform" || path == "recipes.range" || path == "recipes.rounding")
    return "name";
  return "";
}

// The text of `item` itself or, of a map, of that key.
std::string_view TextOf(const YamlNode& item, std::string_view key) {
  const YamlNode* node = item.kind == YamlNode::Kind::kMap ? item.Find(key) : &item;
  return node == nullptr ? "" : std::string_view(node->text);
}

bool Takes(std::string_view list, const YamlNode& item, std::string_view key) {
  if (list == "recipes") return TextOf(item, "method") != "fp16";
  return key != "window_tokens" || TextOf(item, "protocol") != "ids";
}

void ExpandShorthand(std::string_view path, YamlNode* node) {
  YamlNode inner = *node;
  inner.key = ShorthandKey(path);
  inner.key_line = node->line;
  node->kind = YamlNode::Kind::kMap;
  node->text.clear();
  node->children = {std::move(inner)};
}

// Writes `value` at `rest` below `node`, which is at `path`. Returns in how many places it did.
std::size_t Write(YamlNode* node, const std::string& path, std::span<const std::string_view> rest,
                  const YamlNode& value) {
  if (rest.empty()) {
    std::string key = std::move(node->key);
    *node = value;
    node->key = std::move(key);
    node->key_line = value.line;
    return 1;
  }
  if (node->kind == YamlNode::Kind::kList) {
    std::size_t places = 0;
    for (YamlNode& item : node->children) {
      if (Takes(path, item, rest.front()) && item.kind != YamlNode::Kind::kList) {
        places += Write(&item, path, rest, value);
      }
    }
    return places;
  }
  if (node->kind == YamlNode::Kind::kScalar && !ShorthandKey(path).empty())
    ExpandShorthand(path, node);
  if (node->kind != YamlNode::Kind::kMap) return 0;
  YamlNode* child = node->Find(rest.front());
  if (child == nullptr) {
    // `calibration.windows`, of the config or of a recipe, sets the windows of a calibration; it
    // does not make one.
    if (rest.size() > 1 && (path.empty() || rest.front() == "calibration")) return 0;
    node->children.push_back(
        {.kind = YamlNode::Kind::kMap, .key = std::string(rest.front()), .key_line = value.line});
    child = &node->children.back();
  }
  const std::string child_path =
      path.empty() ? std::string(rest.front()) : fmt::format("{}.{}", path, rest.front());
  // What the value makes of a whole format or range is reported where the value stands.
  if (rest.size() > 1 && !path.empty() && rest.front() != "calibration") child->line = value.line;
  return Write(child, child_path, rest.subspan(1), value);
}

}  // namespace

Sweep::Sweep(const YamlDocument& document) : document_(&document) {
  const std::optional<YamlValue> value = YamlValue(document).Child("sweep");
  if (!value) return;
  line_ = value->node().key_line;
  const std::vector<std::string> paths = SweepPaths();
  const std::vector<std::string_view> known(paths.begin(), paths.end());
  YamlMap map(*value, "a map of lists such as {recipes.format: [nf4, nf3]}", known);
  if (value->node().children.empty()) value->Refuse("a list of values for one key or more");
  std::size_t nodes = CountNodes(document.root);
  for (const YamlNode& axis : value->node().children) {
    std::set<std::string> seen;
    for (const YamlValue& item : map.Get(axis.key, "").List("a list of values")) {
      if (!seen.insert(FlowText(item.node())).second) item.Refuse("every value once");
    }
    points_ *= axis.children.size();
    nodes *= axis.children.size();
    if (points_ > kMaxPoints) map.Refuse(fmt::format("at most {} points", kMaxPoints), "more");
    if (nodes > kMaxNodes)
      map.Refuse(fmt::format("at most {} values in all points together", kMaxNodes), "more");
    axes_.push_back({.path = axis.key, .values = &axis});
  }
}

const YamlNode& Sweep::ValueAt(std::size_t axis, std::size_t point) const {
  for (std::size_t later = axes_.size() - 1; later > axis; --later)
    point /= axes_[later].values->children.size();
  const std::vector<YamlNode>& values = axes_[axis].values->children;
  return values[point % values.size()];
}

std::vector<std::pair<std::string, std::string>> Sweep::Label(std::size_t point) const {
  std::vector<std::pair<std::string, std::string>> label;
  for (std::size_t axis = 0; axis < axes_.size(); ++axis) {
    label.emplace_back(axes_[axis].path, FlowText(ValueAt(axis, point)));
  }
  return label;
}

YamlDocument Sweep::Document(std::size_t point) const {
  DAQ_CHECK(point < points_, "a point of the sweep");
  YamlDocument document = *document_;
  std::vector<std::size_t> order(axes_.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return SplitPath(axes_[a].path).size() < SplitPath(axes_[b].path).size();
  });
  for (const std::size_t axis : order) {
    const YamlNode& value = ValueAt(axis, point);
    const std::vector<std::string_view> parts = SplitPath(axes_[axis].path);
    if (Write(&document.root, "", parts, value) > 0) continue;
    throw InputError({document.file, value.line}, fmt::format("sweep.{}", axes_[axis].path),
                     fmt::format("something under {} that takes it", parts.front()), "nothing");
  }
  return document;
}

}  // namespace daq
