#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/matrix.h"
#include "eval/model_config.h"

namespace daq {

// A Hugging Face LLaMA folder: config.json and memory-mapped safetensors, one or many with an
// index. Read-only and thread-safe. A weight file that changes after it was opened is noticed by
// whatever reads weights next: they throw InputError that names it.
class Checkpoint {
 public:
  // Opens and checks everything that can be checked without reading weights: the config, every
  // header, the presence, type (F32, F16, BF16) and shape of each tensor of each block. Throws
  // InputError that names the file, the tensor, what was expected and what was found; pickle files
  // (.bin, .pth) are refused by name.
  explicit Checkpoint(const std::filesystem::path& folder);
  ~Checkpoint();
  Checkpoint(Checkpoint&&) noexcept;
  Checkpoint& operator=(Checkpoint&&) noexcept;

  const std::filesystem::path& folder() const;
  const ModelConfig& config() const;

  // Bytes of all weight files, and the stored type of the first decoder layer ("F16").
  std::int64_t file_bytes() const;
  const std::string& dtype() const;

  // config.json and the weight files: everything that ContentHash covers.
  std::vector<std::filesystem::path> files() const;

  // Converts rows [first_row, first_row + to.rows()) of the matrix `name` to float32 into `to`,
  // then drops the file's pages from resident memory. Throws InputError, naming the tensor and
  // element, at a NaN or infinity.
  void ReadRows(const std::string& name, Index first_row, MatrixView to) const;

  // Asks the system to bring a tensor's bytes into its page cache, and does not wait for them.
  void ReadAhead(const std::string& name) const;

  // A vector tensor (a norm's weight).
  VectorF ReadVector(const std::string& name) const;

  // "lm_head.weight", or the embedding's name if the embeddings are tied.
  const std::string& head_name() const;

  // SHA-256 of what `sha256sum config.json *.safetensors` prints in the folder (the weight files
  // that are in use, sorted by name): names the model by content. Reads every byte; call once and
  // keep. ThrowIfInterrupted inside.
  std::string ContentHash() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

inline constexpr const char* kEmbeddingName = "model.embed_tokens.weight";
inline constexpr const char* kFinalNormName = "model.norm.weight";

}  // namespace daq
