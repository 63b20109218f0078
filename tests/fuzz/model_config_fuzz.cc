// A checkpoint's config.json.
#include "base/file.h"
#include "eval/model_config.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {

FuzzTarget ModelConfigTarget();

namespace {

void ReadConfigJson(std::string_view bytes) {
  static const TemporaryFolder folder;
  static const ScratchFile scratch(folder.path() / "config.json");
  scratch.Write(bytes);
  ReadModelConfig(scratch.path());
}

std::vector<std::string> Configs() {
  const std::filesystem::path source = DAQ_SOURCE_DIR;
  std::vector<std::string> configs = {TinyConfigJson({}),
                                      ReadFile(source / "demo/model/config.json")};
  for (const char* model : {"head-dim", "rope-linear", "rope-llama3"})
    configs.push_back(ReadFile(source / "tests/golden/models" / model / "config.json"));
  return configs;
}

}  // namespace

FuzzTarget ModelConfigTarget() {
  return {.name = "model_config",
          .run = ReadConfigJson,
          .seeds = Configs(),
          .words = {"\"head_dim\":", "\"rope_scaling\":{", "\"rope_parameters\":{", "\"llama3\"",
                    "\"type\":\"linear\"", "\"factor\":", "\"partial_rotary_factor\":",
                    "\"rope_theta\":", "\"num_key_value_heads\":", "\"attention_bias\":"}};
}

}  // namespace daq
