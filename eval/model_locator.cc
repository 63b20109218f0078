#include "eval/model_locator.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/name_letters.h"
#include "base/user_folders.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

bool IsFolder(const fs::path& path) {
  std::error_code ignored;  // a name that cannot be looked up is no folder
  return fs::is_directory(path, ignored);
}

fs::path HuggingFaceCache() {
  // The second is the first one's older name, which huggingface_hub still reads.
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const auto folder = FolderVariable(name)) return *folder;
  }
  if (const auto folder = FolderVariable("HF_HOME")) return *folder / "hub";
  return CacheFolder() / "huggingface" / "hub";
}

bool IsNamePart(std::string_view part) {
  return !part.empty() && part.front() != '.' && part.front() != '-' &&
         HasOnlyNameLetters(part, ".");
}

// "owner/name" of the characters that Hugging Face allows; anything else can only be a folder.
bool IsModelId(std::string_view name) {
  const std::size_t slash = name.find('/');
  return slash != std::string_view::npos && IsNamePart(name.substr(0, slash)) &&
         IsNamePart(name.substr(slash + 1));
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpaces = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpaces) + 1 - begin);
}

// The folder that refs/main of a model's cache entry names, if the entry is there.
std::optional<fs::path> MainSnapshot(const fs::path& entry) {
  const fs::path reference = entry / "refs" / "main";
  std::error_code ignored;
  if (!fs::exists(reference, ignored)) return std::nullopt;
  const std::string content = ReadFile(reference);
  const std::string_view revision = Trimmed(content);
  if (!IsNamePart(revision))
    throw InputError({reference.string()}, "expected the name of a snapshot");
  return entry / "snapshots" / revision;
}

}  // namespace

fs::path LocateModel(const std::string& name, const fs::path& base_folder) {
  if (name.empty())
    throw InputError({"model"}, "expected a folder or a Hugging Face id, found an empty name");
  fs::path folder = base_folder / name;
  if (IsFolder(folder)) return folder;
  if (!IsModelId(name)) {
    throw InputError({name}, fmt::format("no such model: there is no folder {}", folder.string()));
  }
  std::string entry_name = "models--" + name;
  entry_name.replace(entry_name.find('/'), 1, "--");
  const fs::path entry = HuggingFaceCache() / entry_name;
  const std::string download =
      // Many repositories hold the weights twice, the second time as pickles.
      fmt::format(
          "download it with: hf download {} --exclude \"*.bin\" (from: pip install "
          "huggingface_hub)",
          name);
  const std::optional<fs::path> snapshot = MainSnapshot(entry);
  if (!snapshot) {
    throw InputError(
        {name}, fmt::format("no such model: there is no folder {} and no {}; {}", folder.string(),
                            (entry / "refs" / "main").string(), download));
  }
  std::error_code ignored;
  if (!fs::exists(*snapshot / "config.json", ignored)) {
    throw InputError({name}, fmt::format("the download is incomplete: there is no {}; {}",
                                         (*snapshot / "config.json").string(), download));
  }
  return *snapshot;
}

}  // namespace daq
