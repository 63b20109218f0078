// The manifest of an experiment, and the reports that follow it.
#include "base/file.h"
#include "harness/manifest.h"
#include "tests/fuzz/experiment_folder.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"

namespace daq {

FuzzTarget ManifestTarget();

namespace {

void ReadAndReport(std::string_view bytes) {
  static const ExperimentResults results(1);
  static const ScratchFile scratch(results.folder() / "manifest.json");
  scratch.Write(bytes);
  const Manifest manifest = ReadManifest(results.experiment(), results.folder());
  ReportSomehow(results, manifest, bytes.size());
}

}  // namespace

FuzzTarget ManifestTarget() {
  const ExperimentResults results(1);
  return {
      .name = "manifest",
      .run = ReadAndReport,
      .seeds = {ReadFile(results.folder() / "manifest.json")},
      .words = {"\"cells\": []", "\"cells\": [\"daq\", \"rtn\"]", "\"\"", "\"rows\": [",
                "\"columns\": []", "\"full_precision\": true", "\"../cells/daq\"",
                "\"as_published\": \"a\"", "\"model\": \"llama-7b\"", "\"window_tokens\": 1.5"}};
}

}  // namespace daq
