#include "eval/tokenizer.h"

#include <fmt/format.h>
#include <sentencepiece_processor.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "eval/added_tokens.h"
#include "eval/character_map.h"
#include "eval/json_file.h"
#include "eval/utf8.h"

// The library exports these but installs no header for them.
namespace sentencepiece::logging {
void SetMinLogLevel(int level);
}  // namespace sentencepiece::logging

namespace daq {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSpace = "\u2581";                // how SentencePiece writes a space
constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;  // the library counts in int

// A ModelProto's normalizer_spec.add_dummy_prefix = false: field 3 {field 3: 0}. Protocol buffers
// merge a message that occurs again, so these bytes after a model switch off the space that it puts
// before each text.
constexpr std::string_view kNoDummyPrefix("\x1a\x02\x18\x00", 4);

// The library's own lines on stderr would stand beside the error that says the same.
void SilenceLibrary() {
  static std::once_flag once;
  std::call_once(once, [] { sentencepiece::logging::SetMinLogLevel(4); });  // above ERROR and FATAL
}

std::string ReadModel(const fs::path& folder) {
  const fs::path path = folder / "tokenizer.model";
  std::error_code ignored;
  if (fs::exists(path, ignored)) return ReadFile(path);
  const std::string_view instead = fs::exists(folder / "tokenizer.json", ignored)
                                       ? "only tokenizer.json, which is not read here (use "
                                         "pre-tokenised windows: the protocol `ids`)"
                                       : "no such file";
  throw InputError({path.string()}, "tokenizer", "a SentencePiece model in tokenizer.model",
                   instead);
}

}  // namespace

struct Tokenizer::State {
  TokenizerSettings settings;
  std::string file;  // tokenizer.model, for messages
  std::string sha256;
  sentencepiece::SentencePieceProcessor model;
  std::map<std::string, TokenId> added;  // every token that is split out of a text
  std::set<TokenId> special;  // those of `added` with a role (BOS, ...); the others are plain words
  std::optional<AddedTokenSplitter> splitter;
  std::size_t unk_length = 0;  // pieces that settings.unk becomes when it is tokenised as text

  void LoadModel(const fs::path& folder);
  void AddTokens(const fs::path& folder);
  std::optional<TokenId> FindPiece(const std::string& text) const;
  template <typename Piece>
  std::vector<Piece> EncodeText(std::string_view text) const;
  template <typename Piece>
  std::vector<Piece> EncodePiece(std::string_view text) const;
  void AppendIds(std::string_view text, std::vector<TokenId>* ids) const;
};

void Tokenizer::State::LoadModel(const fs::path& folder) {
  SilenceLibrary();
  std::string bytes = ReadModel(folder);
  sha256 = Sha256Hex(bytes);
  if (!settings.legacy) bytes += kNoDummyPrefix;
  file = (folder / "tokenizer.model").string();
  if (!HasSoundCharacterMaps(bytes) || !model.LoadFromSerializedProto(bytes).ok())
    throw InputError({file}, "expected a SentencePiece model, but it cannot be read");
}

std::optional<TokenId> Tokenizer::State::FindPiece(const std::string& text) const {
  const TokenId id = model.PieceToId(text);  // the unknown token's for what is not a piece
  if (model.IdToPiece(id) != text) return std::nullopt;
  return id;
}

// Special tokens that are neither pieces nor given an id come after all others, in the order of
// their roles.
void Tokenizer::State::AddTokens(const fs::path& folder) {
  added = settings.added_ids;
  auto next_id = static_cast<TokenId>(model.GetPieceSize());
  for (const auto& [token, id] : added) {
    const std::optional<TokenId> piece = FindPiece(token);
    if (piece && *piece != id) {
      throw InputError({folder.string()}, fmt::format("added token \"{}\"", DescribeName(token)),
                       fmt::format("its id {} in tokenizer.model", *piece), std::to_string(id));
    }
    if (!piece) ++next_id;
  }
  std::vector<std::string> roles;
  for (const auto* token : {&settings.bos, &settings.eos, &settings.unk}) {
    if (*token) roles.push_back(**token);
  }
  roles.insert(roles.end(), settings.other_special.begin(), settings.other_special.end());
  for (const std::string& token : roles) {
    if (!added.contains(token)) {
      const std::optional<TokenId> piece = FindPiece(token);
      added.emplace(token, piece ? *piece : next_id++);
    }
    special.insert(added.at(token));
  }
  splitter.emplace(added);
}

template <typename Piece>
std::vector<Piece> Tokenizer::State::EncodeText(std::string_view text) const {
  std::vector<Piece> pieces;
  if (!model.Encode(text, &pieces).ok())
    throw InputError({file}, "the model is damaged: it cannot tokenise a text");
  return pieces;
}

// Without its dummy prefix SentencePiece drops a text's first space, so where legacy is false
// transformers tokenises the unknown token's text before it and takes those pieces away again.
template <typename Piece>
std::vector<Piece> Tokenizer::State::EncodePiece(std::string_view text) const {
  if (settings.legacy || !(text.starts_with(kSpace) || text.starts_with(' ')))
    return EncodeText<Piece>(text);
  std::vector<Piece> pieces = EncodeText<Piece>(*settings.unk + std::string(text));
  if (pieces.size() >= unk_length)
    pieces.erase(pieces.begin(), pieces.begin() + static_cast<std::ptrdiff_t>(unk_length));
  return pieces;
}

void Tokenizer::State::AppendIds(std::string_view text, std::vector<TokenId>* ids) const {
  const std::vector<AddedTokenSplitter::Piece> pieces = splitter->Split(text);
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].id) {
      ids->push_back(*pieces[i].id);
      continue;
    }
    // The space that starts every text is not kept where a special token follows it at once.
    const bool before_special = i == 0 && pieces.size() > 1 && special.contains(*pieces[1].id);
    if (!settings.legacy && before_special &&
        EncodePiece<std::string>(pieces[i].text) == std::vector<std::string>{std::string(kSpace)}) {
      continue;
    }
    const std::vector<int> part = EncodePiece<int>(pieces[i].text);
    ids->insert(ids->end(), part.begin(), part.end());
  }
}

Tokenizer::Tokenizer(const fs::path& folder) : state_(std::make_unique<State>()) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) throw InputError({folder.string()}, "no such folder");
  state_->settings = ReadTokenizerSettings(folder);
  state_->LoadModel(folder);
  state_->AddTokens(folder);
  if (!state_->settings.legacy)
    state_->unk_length = state_->EncodeText<int>(*state_->settings.unk).size();
}

Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

std::vector<TokenId> Tokenizer::Encode(std::string_view text) const {
  const std::size_t invalid = FirstInvalidUtf8(text);
  if (invalid != text.size())
    throw InputError({"text"}, fmt::format("byte {} is not valid UTF-8", invalid));
  if (text.size() > kMaxTextBytes) {
    throw InputError({"text"}, "size", fmt::format("at most {} bytes", kMaxTextBytes),
                     fmt::format("{}", text.size()));
  }
  const TokenizerSettings& settings = state_->settings;
  std::vector<TokenId> ids;
  if (settings.add_bos) ids.push_back(bos_id());
  if (settings.legacy) {
    state_->AppendIds(text, &ids);
  } else if (!text.empty()) {
    std::string spaced(settings.add_prefix_space ? kSpace : "");
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t next = std::min(text.find(kSpace, at), text.size());
      spaced.append(text.substr(at, next - at));
      if (next < text.size()) spaced.push_back(' ');
      at = next + kSpace.size();
    }
    state_->AppendIds(spaced, &ids);
  }
  if (settings.add_eos) ids.push_back(state_->added.at(*settings.eos));
  return ids;
}

Index Tokenizer::vocab_size() const { return state_->model.GetPieceSize(); }
bool Tokenizer::add_bos() const { return state_->settings.add_bos; }
bool Tokenizer::add_eos() const { return state_->settings.add_eos; }
TokenId Tokenizer::bos_id() const {
  return state_->settings.bos ? state_->added.at(*state_->settings.bos) : -1;
}
TokenId Tokenizer::eos_id() const {
  return state_->settings.eos ? state_->added.at(*state_->settings.eos) : -1;
}
const std::string& Tokenizer::model_sha256() const { return state_->sha256; }

}  // namespace daq
