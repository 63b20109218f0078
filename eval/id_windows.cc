#include "eval/id_windows.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "eval/json_file.h"
#include "eval/window_cutting.h"

namespace daq {
namespace {

using Json = nlohmann::json;

TokenId CheckedId(const Json& value, const std::string& key, Index vocab_size,
                  const std::string& file) {
  const bool fits = value.is_number_integer() && value >= 0 && value < vocab_size;
  if (!fits)
    throw InputError({file}, key, fmt::format("an id in 0..{}", vocab_size - 1),
                     DescribeJson(value));
  return value.get<TokenId>();
}

void AppendWindow(const Json& window, std::size_t index, Index vocab_size, TokenWindows& windows) {
  const std::string key = fmt::format("windows[{}]", index);
  if (!window.is_array())
    throw InputError({windows.source}, key, "a list of ids", DescribeJson(window));
  const auto size = static_cast<Index>(window.size());
  if (index == 0 && size < 2)
    throw InputError({windows.source}, key, "2 ids or more", fmt::format("{}", size));
  if (index == 0) windows.window_tokens = size;
  if (size != windows.window_tokens) {
    throw InputError({windows.source}, key,
                     fmt::format("{} ids as in windows[0]", windows.window_tokens),
                     fmt::format("{}", size));
  }
  for (std::size_t at = 0; at < window.size(); ++at) {
    windows.ids.push_back(
        CheckedId(window[at], fmt::format("{}[{}]", key, at), vocab_size, windows.source));
  }
}

}  // namespace

TokenWindows ReadIdWindows(const std::filesystem::path& path, std::optional<Index> max_windows,
                           Index vocab_size) {
  const std::string content = ReadFile(path);
  TokenWindows windows;
  windows.source = path.string();
  const Json root = ParseJson(content, windows.source);
  const JsonObject object(root, windows.source);
  for (const auto& [key, value] : root.items()) {
    if (key != "windows")
      throw InputError({windows.source}, DescribeName(key), "no key but windows",
                       DescribeJson(value));
  }
  const Json& list = object.Value("windows", "a list of one window or more");
  if (!list.is_array() || list.empty()) object.Refuse("windows", "a list of one window or more");
  const auto count = std::min(static_cast<Index>(list.size()),
                              max_windows.value_or(static_cast<Index>(list.size())));
  // Windows past max_windows are checked too, so that a file is good or bad whatever is asked of
  // it.
  for (std::size_t index = 0; index < list.size(); ++index)
    AppendWindow(list[index], index, vocab_size, windows);
  windows.ids.resize(static_cast<std::size_t>(count * windows.window_tokens));
  windows.text_sha256 = Sha256Hex(content);
  HashIds(windows);
  return windows;
}

}  // namespace daq
