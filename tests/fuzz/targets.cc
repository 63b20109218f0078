#include <array>

#include "tests/fuzz/fuzz_target.h"

namespace daq {

FuzzTarget BlockTarget();
FuzzTarget CellTarget();
FuzzTarget CellPartsTarget();
FuzzTarget CheckpointTarget();
FuzzTarget ConfigTarget();
FuzzTarget IdWindowsTarget();
FuzzTarget ManifestTarget();
FuzzTarget MatrixTarget();
FuzzTarget ModelConfigTarget();
FuzzTarget PublishedTarget();
FuzzTarget SafetensorsTarget();
FuzzTarget TextRowsTarget();
FuzzTarget TokenizerTarget();
FuzzTarget TokenizerSettingsTarget();

std::span<const FuzzTargetEntry> FuzzTargets() {
  static constexpr std::array kTargets = {
      FuzzTargetEntry{"block", BlockTarget},
      FuzzTargetEntry{"cell", CellTarget},
      FuzzTargetEntry{"cell_parts", CellPartsTarget},
      FuzzTargetEntry{"checkpoint", CheckpointTarget},
      FuzzTargetEntry{"config", ConfigTarget},
      FuzzTargetEntry{"id_windows", IdWindowsTarget},
      FuzzTargetEntry{"manifest", ManifestTarget},
      FuzzTargetEntry{"matrix", MatrixTarget},
      FuzzTargetEntry{"model_config", ModelConfigTarget},
      FuzzTargetEntry{"published", PublishedTarget},
      FuzzTargetEntry{"safetensors", SafetensorsTarget},
      FuzzTargetEntry{"text_rows", TextRowsTarget},
      FuzzTargetEntry{"tokenizer", TokenizerTarget},
      FuzzTargetEntry{"tokenizer_settings", TokenizerSettingsTarget}};
  return kTargets;
}

}  // namespace daq
