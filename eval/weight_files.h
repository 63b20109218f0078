#pragma once
#include <filesystem>
#include <string_view>
#include <vector>

#include "eval/safetensors.h"

namespace daq {

inline constexpr std::string_view kWeightIndexName = "model.safetensors.index.json";

// Opens the weight files of a Hugging Face folder, in the order of their names: model.safetensors
// if there is one (as transformers prefers it), else every file that the index names. Throws
// InputError for no such file (saying what is there instead: a pickle, GGUF), a missing shard, a
// tensor that is not in the shard that the index names.
std::vector<SafetensorsFile> OpenWeightFiles(const std::filesystem::path& folder);

}  // namespace daq
