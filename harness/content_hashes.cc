#include "harness/content_hashes.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "eval/json_file.h"

namespace daq {
namespace {

// Names and stamps of everything the content hash covers.
std::string FilesKey(const Checkpoint& checkpoint) {
  std::string description;
  for (const std::filesystem::path& file : checkpoint.files()) {
    const FileStamp stamp = StampOf(file);
    description.append(fmt::format("{} {} {} {} {}\n", std::filesystem::canonical(file).string(),
                                   stamp.inode, stamp.size, stamp.modified_ns, stamp.changed_ns));
  }
  return Sha256Hex(description);
}

}  // namespace

std::string ContentHashOf(const Checkpoint& checkpoint, const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "content-hashes.json";
  const std::string key = FilesKey(checkpoint);
  nlohmann::json known = nlohmann::json::object();
  if (std::filesystem::exists(file)) {
    // Only a memory of what can be computed again: a damaged one is made anew.
    try {
      nlohmann::json read = ReadJsonFile(file);
      if (read.is_object()) known = std::move(read);
    } catch (const InputError&) {
    }
  }
  const auto found = known.find(key);
  if (found != known.end() && found->is_string() &&
      found->get_ref<const std::string&>().size() == 64) {
    return found->get<std::string>();
  }
  std::string hash = checkpoint.ContentHash();
  known[key] = hash;
  WriteFileAtomically(file, known.dump(1) + "\n");
  return hash;
}

}  // namespace daq
