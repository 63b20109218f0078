#pragma once
#include <filesystem>
#include <optional>

#include "eval/token_windows.h"

namespace daq {

// Windows that were tokenised before: a JSON file {"windows": [[id, ...], ...]} with one or more
// windows of one equal length of two ids or more. Keeps the first max_windows. The text hash is of
// the file's bytes. Throws InputError for anything else: another key, a key given twice, a number
// that is no integer or lies outside [0, vocab_size), windows of unequal lengths, bad JSON (with
// its line).
TokenWindows ReadIdWindows(const std::filesystem::path& path, std::optional<Index> max_windows,
                           Index vocab_size);

}  // namespace daq
