#include "harness/content_hashes.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "eval/json_file.h"

namespace daq {
namespace {

// Names, sizes and nanosecond times of everything the content hash covers.
std::string FilesKey(const Checkpoint& checkpoint) {
  std::string description;
  for (const std::filesystem::path& file : checkpoint.files()) {
    struct stat status = {};
    if (::stat(file.c_str(), &status) != 0) throw InputError({file.string()}, "the file is gone");
    description.append(fmt::format("{} {} {}.{:09}\n", std::filesystem::canonical(file).string(),
                                   status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec));
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
