#include "eval/added_tokens.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "eval/json_file.h"

namespace daq {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxId = std::numeric_limits<std::int32_t>::max();
constexpr std::array<const char*, 4> kOtherRoles = {"sep_token", "pad_token", "cls_token",
                                                    "mask_token"};

bool Exists(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// The text of a token written as an object {content, lstrip, ...}. None of LLaMA's tokens swallows
// the spaces around it or insists on being a word, so that is refused rather than half supported.
std::string ReadTokenObject(const JsonObject& token) {
  for (const char* key : {"lstrip", "rstrip", "single_word"}) {
    if (token.Has(key) && token.Boolean(key)) token.Refuse(key, "false (not supported)");
  }
  std::string content = token.String("content");
  if (content.empty()) token.Refuse("content", "a token that is not empty");
  return content;
}

// A special token: an object or its text.
std::string ReadToken(const JsonObject& object, const std::string& key) {
  const nlohmann::json& value = object.Value(key, "a token");
  if (value.is_object()) return ReadTokenObject(object.Object(key));
  if (!value.is_string() || value.get_ref<const std::string&>().empty())
    object.Refuse(key, "a token that is not empty");
  return value.get<std::string>();
}

// What one file says of the special tokens. A key that is there with null takes the token away.
void ReadSpecialTokens(const JsonObject& object,
                       std::map<std::string, std::optional<std::string>>* roles,
                       std::vector<std::string>* additional) {
  for (auto& [role, token] : *roles) {
    if (!object.value().contains(role)) continue;
    token = object.Has(role) ? std::optional(ReadToken(object, role)) : std::nullopt;
  }
  const char* key = "additional_special_tokens";
  if (!object.Has(key)) return;
  const nlohmann::json& list = object.Value(key, "a list");
  if (!list.is_array()) object.Refuse(key, "a list of tokens");
  for (const nlohmann::json& item : list) {
    // Read as a member of an object of its own, so that a message names the key.
    const nlohmann::json holder = {{key, item}};
    const std::string token = ReadToken(JsonObject(holder, object.file()), key);
    if (std::find(additional->begin(), additional->end(), token) == additional->end())
      additional->push_back(token);
  }
}

void AddId(const JsonObject& object, const std::string& key, const std::string& token,
           std::int64_t id, std::map<std::string, std::int32_t>* ids) {
  const auto [place, added] = ids->emplace(token, static_cast<std::int32_t>(id));
  if (!added && place->second != id) {
    object.Refuse(key,
                  fmt::format("the id {} of \"{}\" again", place->second, DescribeName(token)));
  }
}

// {"32000": {"content": "<pad>", ...}, ...}
void ReadAddedTokensDecoder(const JsonObject& decoder, std::map<std::string, std::int32_t>* ids) {
  for (const auto& [key, value] : decoder.value().items()) {
    std::int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0) {
      decoder.Refuse(key, "token ids as keys");
    }
    AddId(decoder, key, ReadTokenObject(decoder.Object(key)), id, ids);
  }
}

// Older folders, whose tokenizer_config.json has no added_tokens_decoder.
void ReadOlderFiles(const fs::path& folder,
                    std::map<std::string, std::optional<std::string>>* roles,
                    std::vector<std::string>* additional,
                    std::map<std::string, std::int32_t>* ids) {
  if (const fs::path path = folder / "special_tokens_map.json"; Exists(path)) {
    const nlohmann::json json = ReadJsonFile(path);
    ReadSpecialTokens(JsonObject(json, path.string()), roles, additional);
  }
  if (const fs::path path = folder / "added_tokens.json"; Exists(path)) {
    const nlohmann::json json = ReadJsonFile(path);
    const JsonObject object(json, path.string());
    for (const auto& [token, value] : json.items()) {
      if (token.empty()) object.Refuse(token, "a token that is not empty");
      AddId(object, token, token, object.Integer(token, 0, kMaxId), ids);
    }
  }
  if (const fs::path path = folder / "tokenizer.json"; Exists(path)) {
    const nlohmann::json json = ReadJsonFile(path);
    const JsonObject object(json, path.string());
    const nlohmann::json& list = object.Value("added_tokens", "a list of tokens");
    if (!list.is_array()) object.Refuse("added_tokens", "a list of tokens");
    for (const nlohmann::json& item : list) {
      const JsonObject token(item, path.string(), "added_tokens");
      AddId(token, "id", ReadTokenObject(token), token.Integer("id", 0, kMaxId), ids);
    }
  }
}

void RefuseUnsupported(const JsonObject& config) {
  if (config.Has("tokenizer_class")) {
    const std::string name = config.String("tokenizer_class");
    if (name != "LlamaTokenizer" && name != "LlamaTokenizerFast")
      config.Refuse("tokenizer_class", "\"LlamaTokenizer\"");
  }
  if (config.Has("split_special_tokens") && config.Boolean("split_special_tokens")) {
    config.Refuse("split_special_tokens", "false (not supported)");
  }
  for (const char* key : {"sp_model_kwargs", "extra_special_tokens"}) {
    if (config.Has(key) && !config.Value(key, "{}").empty())
      config.Refuse(key, "{} (not supported)");
  }
}

}  // namespace

TokenizerSettings ReadTokenizerSettings(const fs::path& folder) {
  const fs::path path = folder / "tokenizer_config.json";
  const nlohmann::json json = Exists(path) ? ReadJsonFile(path) : nlohmann::json::object();
  const JsonObject config(json, path.string());
  RefuseUnsupported(config);
  TokenizerSettings settings;
  std::map<std::string, std::optional<std::string>> roles = {
      {"bos_token", settings.bos}, {"eos_token", settings.eos}, {"unk_token", settings.unk}};
  for (const char* role : kOtherRoles) roles.emplace(role, std::nullopt);
  std::vector<std::string> additional;
  ReadSpecialTokens(config, &roles, &additional);
  if (config.Has("added_tokens_decoder")) {
    ReadAddedTokensDecoder(config.Object("added_tokens_decoder"), &settings.added_ids);
  } else {
    ReadOlderFiles(folder, &roles, &additional, &settings.added_ids);
  }
  // transformers takes null for false here, but for true at `legacy`: not a thing to guess.
  for (auto [key, value] : {std::pair("add_bos_token", &settings.add_bos),
                            std::pair("add_eos_token", &settings.add_eos),
                            std::pair("add_prefix_space", &settings.add_prefix_space)}) {
    if (json.contains(key)) *value = config.Boolean(key);
  }
  if (config.Has("legacy")) settings.legacy = config.Boolean("legacy");
  settings.bos = roles.at("bos_token");
  settings.eos = roles.at("eos_token");
  settings.unk = roles.at("unk_token");
  if (settings.add_bos && !settings.bos)
    config.Refuse("bos_token", "a token, as add_bos_token is true");
  if (settings.add_eos && !settings.eos)
    config.Refuse("eos_token", "a token, as add_eos_token is true");
  if (!settings.legacy && !settings.unk) config.Refuse("unk_token", "a token, as legacy is false");
  for (const char* role : kOtherRoles) {
    if (const auto& token = roles.at(role)) settings.other_special.push_back(*token);
  }
  settings.other_special.insert(settings.other_special.end(), additional.begin(), additional.end());
  return settings;
}

AddedTokenSplitter::AddedTokenSplitter(const std::map<std::string, std::int32_t>& ids) {
  for (const auto& [text, id] : ids) {
    DAQ_CHECK(!text.empty(), "an empty token would be found everywhere");
    by_first_byte_[text.front()].push_back({text, id});
  }
  for (auto& [first, tokens] : by_first_byte_) {
    std::sort(tokens.begin(), tokens.end(), [](const Token& left, const Token& right) {
      return left.text.size() > right.text.size();
    });
  }
}

std::vector<AddedTokenSplitter::Piece> AddedTokenSplitter::Split(std::string_view text) const {
  std::vector<Piece> pieces;
  std::size_t begin = 0;  // of the text that is in no piece yet
  for (std::size_t at = 0; at < text.size();) {
    const auto tokens = by_first_byte_.find(text[at]);
    const Token* match = nullptr;
    if (tokens != by_first_byte_.end()) {
      const auto found =
          std::find_if(tokens->second.begin(), tokens->second.end(),
                       [&](const Token& token) { return text.substr(at).starts_with(token.text); });
      if (found != tokens->second.end()) match = &*found;
    }
    if (match == nullptr) {
      ++at;
      continue;
    }
    if (begin < at) pieces.push_back({text.substr(begin, at - begin), std::nullopt});
    pieces.push_back({text.substr(at, match->text.size()), match->id});
    at += match->text.size();
    begin = at;
  }
  if (begin < text.size()) pieces.push_back({text.substr(begin), std::nullopt});
  return pieces;
}

}  // namespace daq
