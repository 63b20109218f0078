// A checkpoint's folder, read to its last weight. An input's first letter says which of the files
// it is, beside others that are good: config.json (c), weights (w) or the index of shards (i).
#include "base/file.h"
#include "base/thread_pool.h"
#include "eval/block_weights.h"
#include "eval/checkpoint.h"
#include "tests/fuzz/fuzz_target.h"
#include "tests/fuzz/scratch_file.h"
#include "tests/support/temporary_folder.h"
#include "tests/support/tiny_checkpoint.h"

namespace daq {

FuzzTarget CheckpointTarget();

namespace {

// As small as the architecture allows, so that most changes hit something that matters.
TinyCheckpointSpec Smallest(int shards, const std::string& dtype = "F16") {
  return {.hidden_size = 4,
          .intermediate_size = 2,
          .num_layers = 1,
          .num_heads = 2,
          .num_kv_heads = 1,
          .head_dim = 2,
          .vocab_size = 3,
          .dtype = dtype,
          .shards = shards};
}

// A folder of which one file is rewritten.
class Model {
 public:
  Model(const std::string& file, int shards) : folder_(), scratch_(Prepare(file, shards)) {}

  void Read(std::string_view content) const {
    scratch_.Write(content);
    const Checkpoint checkpoint(folder_.path());
    static ThreadPool pool(1);
    const ModelConfig& config = checkpoint.config();
    BlockWeights weights(config);
    for (Index block = 0; block < config.num_layers; ++block) {
      ReadNorms(checkpoint, block, &weights);
      ReadLinearLayers(checkpoint, block, &pool, &weights);
    }
    MatrixF head(config.vocab_size, config.hidden_size);
    checkpoint.ReadRows(checkpoint.head_name(), 0, head);
    checkpoint.ReadVector(kFinalNormName);
  }

 private:
  std::filesystem::path Prepare(const std::string& file, int shards) const {
    WriteTinyCheckpoint(folder_.path(), Smallest(shards));
    return folder_.path() / file;
  }

  TemporaryFolder folder_;
  ScratchFile scratch_;
};

void ReadCheckpoint(std::string_view bytes) {
  static const Model config("config.json", 1);
  static const Model weights("model.safetensors", 1);
  static const Model index("model.safetensors.index.json", 2);
  const char kind = bytes.empty() ? 'w' : bytes.front();
  const Model& model = kind == 'c' ? config : kind == 'i' ? index : weights;
  model.Read(bytes.substr(bytes.empty() ? 0 : 1));
}

std::vector<std::string> Files() {
  const TemporaryFolder folder;
  WriteTinyCheckpoint(folder.path(), Smallest(1));
  std::vector<std::string> files = {"c" + ReadFile(folder.path() / "config.json"),
                                    "w" + ReadFile(folder.path() / "model.safetensors")};
  for (const char* dtype : {"F32", "BF16"}) {
    WriteTinyCheckpoint(folder.path(), Smallest(1, dtype));
    files.push_back("w" + ReadFile(folder.path() / "model.safetensors"));
  }
  WriteTinyCheckpoint(folder.path(), Smallest(2));
  files.push_back("i" + ReadFile(folder.path() / "model.safetensors.index.json"));
  return files;
}

}  // namespace

FuzzTarget CheckpointTarget() {
  return {.name = "checkpoint",
          .run = ReadCheckpoint,
          .seeds = Files(),
          .words = {"model.layers.0.", "model-00001-of-00002.safetensors", "\"F32\"", "\"BF16\"",
                    "\"weight_map\":{", "\"tie_word_embeddings\":true,", "..", "\"shape\":[3,4]"}};
}

}  // namespace daq
