#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/matrix.h"

namespace daq {

using TokenId = std::int32_t;

// A model's SentencePiece tokenizer with the rules of transformers' slow LlamaTokenizer (4.49).
// Thread-safe.
class Tokenizer {
 public:
  // Reads tokenizer.model and, where present, tokenizer_config.json (add_bos_token, legacy, ...)
  // and the older files of added tokens from a folder. Throws InputError for missing or damaged
  // files, and names what is not supported (tokenizer.json alone).
  explicit Tokenizer(const std::filesystem::path& folder);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;

  // The ids of `text` as AutoTokenizer(use_fast=False)(text).input_ids: one BOS at the start if
  // add_bos(), one EOS at the end if tokenizer_config.json asks for it. Special tokens written out
  // in the text ("<s>") become their id; the text between them is tokenised piece by piece, as if
  // each piece began a text where `legacy` is true (the default), without a space before it where
  // it is false. Throws InputError for text that is not UTF-8.
  std::vector<TokenId> Encode(std::string_view text) const;

  Index vocab_size() const;  // pieces in the model file; added tokens have larger ids
  bool add_bos() const;
  bool add_eos() const;
  TokenId bos_id() const;  // -1 if there is no such token (then add_bos() is false)
  TokenId eos_id() const;  // likewise
  // SHA-256 of tokenizer.model.
  const std::string& model_sha256() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace daq
