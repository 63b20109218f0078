#pragma once
#include <filesystem>
#include <string>

namespace daq {

// The folder of a model named by folder (used as it is, relative to `base_folder`, if it exists
// there) or by Hugging Face id "owner/name". An id is looked up in the Hugging Face cache as
// huggingface_hub does: HF_HUB_CACHE, else HF_HOME/hub, else XDG_CACHE_HOME/huggingface/hub, else
// ~/.cache/huggingface/hub; the snapshot that refs/main names. Throws InputError with the places
// looked at and the exact download command if absent.
std::filesystem::path LocateModel(const std::string& name,
                                  const std::filesystem::path& base_folder);

}  // namespace daq
