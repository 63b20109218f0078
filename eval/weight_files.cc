#include "eval/weight_files.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <system_error>

#include "base/error.h"
#include "eval/json_file.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSingleFile = "model.safetensors";

bool Exists(const fs::path& path) {
  std::error_code ignored;  // what cannot be looked up cannot be read
  return fs::exists(path, ignored);
}

bool IsForeignWeightFile(const std::string& name) {
  const auto ends = [&](std::string_view end) { return name.ends_with(end); };
  return ends(".bin") || ends(".pth") || ends(".pt") || ends(".gguf") || ends(".ggml") ||
         (name.starts_with("consolidated") && !ends(".safetensors"));
}

// There is no file to read: says what is there instead.
[[noreturn]] void ThrowNoWeights(const fs::path& folder) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (IsForeignWeightFile(name) || name.ends_with(".safetensors")) found.push_back(name);
  }
  std::sort(found.begin(), found.end());
  const std::string expected = fmt::format("{} or {}", kSingleFile, kWeightIndexName);
  if (found.empty()) throw InputError({folder.string()}, "weights", expected, "neither");
  const std::string& first = found.front();
  if (first.ends_with(".safetensors")) {
    throw InputError({folder.string()}, "weights", expected,
                     fmt::format("{} without an index", first));
  }
  const bool gguf = first.ends_with(".gguf") || first.ends_with(".ggml");
  throw InputError({folder.string()}, "weights", expected,
                   fmt::format("{} ({}; convert with transformers: "
                               "AutoModelForCausalLM.from_pretrained(...).save_pretrained(folder))",
                               first,
                               gguf ? "llama.cpp's format, not read here"
                                    : "a pickle, not read because it can run code"));
}

// A shard's name comes from a file: it must stay inside the folder, and be one that sha256sum
// prints as it is.
bool IsPlainFileName(std::string_view name) {
  return name.ends_with(".safetensors") && std::all_of(name.begin(), name.end(), [](char letter) {
           return letter > ' ' && letter < '\x7f' && letter != '/' && letter != '\\';
         });
}

// Tensor name -> name of the file that holds it, as the index states.
std::map<std::string, std::string> ReadIndex(const fs::path& index) {
  const nlohmann::json json = ReadJsonFile(index);
  const JsonObject object(json, index.string());
  const JsonObject weight_map = object.Object("weight_map");
  std::map<std::string, std::string> shard_of;
  for (const auto& [name, value] : weight_map.value().items()) {
    if (!value.is_string() || !IsPlainFileName(value.get_ref<const std::string&>())) {
      weight_map.Refuse(name, "the name of a .safetensors file beside the index");
    }
    shard_of.emplace(name, value.get<std::string>());
  }
  return shard_of;
}

std::vector<SafetensorsFile> OpenShards(const fs::path& index) {
  const std::map<std::string, std::string> shard_of = ReadIndex(index);
  std::map<std::string, std::size_t> position;  // of a shard in `files`
  for (const auto& [name, shard] : shard_of) position.emplace(shard, 0);
  std::vector<SafetensorsFile> files;
  for (auto& [shard, place] : position) {
    const fs::path path = index.parent_path() / shard;
    if (!Exists(path)) {
      throw InputError({index.string()}, "weight_map", fmt::format("the file {} beside it", shard),
                       "no such file");
    }
    place = files.size();
    files.emplace_back(path);
  }
  for (const auto& [name, shard] : shard_of) {
    const SafetensorsFile& file = files[position.at(shard)];
    if (!file.tensors().contains(name)) {
      throw InputError({file.path().string()}, DescribeName(name),
                       fmt::format("the tensor that {} says is here", kWeightIndexName), "nothing");
    }
  }
  return files;
}

}  // namespace

std::vector<SafetensorsFile> OpenWeightFiles(const fs::path& folder) {
  const fs::path index = folder / kWeightIndexName;
  if (Exists(folder / kSingleFile)) {
    std::vector<SafetensorsFile> files;
    files.emplace_back(folder / kSingleFile);
    return files;
  }
  if (!Exists(index)) ThrowNoWeights(folder);
  return OpenShards(index);
}

}  // namespace daq
