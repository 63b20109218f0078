#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace daq {

// What the JSON files beside tokenizer.model say, merged as transformers'
// PreTrainedTokenizer._from_pretrained merges them for a slow LlamaTokenizer.
struct TokenizerSettings {
  bool add_bos = true;
  bool add_eos = false;
  bool legacy = true;  // see Tokenizer::Encode; absent or null means true, as in transformers
  bool add_prefix_space = true;  // matters where legacy is false
  std::optional<std::string> bos = "<s>";
  std::optional<std::string> eos = "</s>";
  std::optional<std::string> unk = "<unk>";
  std::vector<std::string>
      other_special;  // padding, separator, ..., additional: in transformers' order
  std::map<std::string, std::int32_t> added_ids;  // tokens whose ids the files state
};

// Reads tokenizer_config.json and, as transformers does only if that has no added_tokens_decoder,
// special_tokens_map.json, added_tokens.json and the added tokens of tokenizer.json. Each may be
// absent. Throws InputError for what is damaged or not supported: another tokenizer class,
// sampling, tokens that strip spaces.
TokenizerSettings ReadTokenizerSettings(const std::filesystem::path& folder);

// Finds added tokens in a text: at each place the longest one, from left to right.
class AddedTokenSplitter {
 public:
  explicit AddedTokenSplitter(const std::map<std::string, std::int32_t>& ids);

  struct Piece {
    std::string_view text;
    std::optional<std::int32_t> id;  // of an added token; none for text between them
  };

  // The pieces of `text`, none empty, which together are `text`.
  std::vector<Piece> Split(std::string_view text) const;

 private:
  struct Token {
    std::string text;
    std::int32_t id;
  };
  std::map<char, std::vector<Token>> by_first_byte_;  // longest first
};

}  // namespace daq
