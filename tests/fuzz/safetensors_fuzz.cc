// Safetensors headers. checkpoint_fuzz.cc reads the numbers too.
#include "base/error.h"
#include "base/file.h"
#include "eval/safetensors.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {

FuzzTarget SafetensorsTarget();

namespace {

void ReadSafetensors(std::string_view bytes) {
  static const TemporaryFolder folder;
  static const ScratchFile scratch(folder.path() / "model.safetensors");
  scratch.Write(bytes);
  const SafetensorsFile file(scratch.path());
  // A place outside the file would be a crash here.
  std::size_t sum = 0;
  for (const auto& [name, tensor] : file.tensors()) {
    for (const std::byte byte : file.bytes().subspan(tensor.begin, tensor.end - tensor.begin))
      sum += std::to_integer<std::size_t>(byte);
    file.Prefetch(file.bytes().subspan(tensor.begin, tensor.end - tensor.begin));
    file.Release(file.bytes().subspan(tensor.begin, tensor.end - tensor.begin));
  }
  DAQ_CHECK(sum <= 255 * file.bytes().size(), "no byte belongs to two tensors");
}

std::vector<std::string> Files() {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder.path() / "model.safetensors";
  std::vector<std::string> files;
  WriteSafetensors(path, {{"a", {2, 3}, std::vector<float>(6)}, {"b", {}, {1}}, {"c", {0}, {}}},
                   "F32");
  files.push_back(ReadFile(path));
  WriteSafetensors(path, {{"model.norm.weight", {4}, std::vector<float>(4)}}, "BF16");
  files.push_back(ReadFile(path));
  WriteRawSafetensors(path,
                      R"({"i":{"dtype":"I64","shape":[1,2],"data_offsets":[0,16]},)"
                      R"("f":{"dtype":"F4","shape":[4],"data_offsets":[16,18]}})",
                      std::string(18, 'x'));
  files.push_back(ReadFile(path));
  return files;
}

}  // namespace

FuzzTarget SafetensorsTarget() {
  return {.name = "safetensors",
          .run = ReadSafetensors,
          .seeds = Files(),
          .words = {"\"shape\":[", "\"data_offsets\":[0,", "\"dtype\":\"F32\"", "\"F6_E2M3\"",
                    "\"C64\"", "__metadata__", "\"a\":{", "[4294967296,4294967296]", "[0,0]"}};
}

}  // namespace daq
