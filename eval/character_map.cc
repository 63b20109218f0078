#include "eval/character_map.h"

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

namespace daq {
namespace {

constexpr std::uint64_t kNormalizerSpec = 3;    // of a ModelProto
constexpr std::uint64_t kDenormalizerSpec = 5;  // likewise
constexpr std::uint64_t kCharacterMap = 2;      // of a NormalizerSpec

// One field of a message of protocol buffers.
struct Field {
  std::uint64_t number = 0;
  std::string_view content;  // of a field with a length
};

// Takes fields off a message, one after the other.
class FieldReader {
 public:
  explicit FieldReader(std::string_view message) : rest_(message) {}

  bool AtEnd() const { return rest_.empty(); }

  // Nothing if the message is damaged.
  std::optional<Field> Next() {
    const std::optional<std::uint64_t> tag = TakeVarint();
    if (!tag) return std::nullopt;
    Field field{.number = *tag >> 3U, .content = {}};
    std::optional<std::uint64_t> length = 0;
    switch (*tag & 7U) {
      case 0:
        if (!TakeVarint()) return std::nullopt;
        break;
      case 1:
        length = 8;
        break;
      case 2:
        length = TakeVarint();
        break;
      case 5:
        length = 4;
        break;
      default:  // groups, which no version of the format has
        return std::nullopt;
    }
    if (!length || *length > rest_.size()) return std::nullopt;
    field.content = rest_.substr(0, *length);
    rest_.remove_prefix(*length);
    return field;
  }

 private:
  std::optional<std::uint64_t> TakeVarint() {
    std::uint64_t number = 0;
    for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      number |= std::uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80U) return number;
    }
    return std::nullopt;
  }

  std::string_view rest_;
};

// A unit of the trie: the byte that leads to it, or a value, and the way to what follows it.
struct Unit {
  std::uint32_t bits = 0;

  bool HasLeaf() const { return (bits >> 8U & 1U) != 0; }
  std::uint32_t value() const { return bits & 0x7FFFFFFFU; }
  std::uint32_t label() const { return bits & 0x800000FFU; }
  std::uint32_t offset() const { return bits >> 10U << ((bits & 0x200U) >> 6U); }
};

std::vector<Unit> UnitsOf(std::string_view trie) {
  std::vector<Unit> units(trie.size() / sizeof(Unit));
  if (!units.empty()) std::memcpy(units.data(), trie.data(), units.size() * sizeof(Unit));
  return units;
}

// Follows every way from the root. Any byte may come next, so all its 256 places must be there.
bool IsSoundTrie(const std::vector<Unit>& units, std::size_t texts_size) {
  if (units.empty()) return false;
  std::vector<bool> seen(units.size(), false);
  std::vector<std::uint32_t> open = {0};
  seen[0] = true;
  while (!open.empty()) {
    const std::uint32_t place = open.back();
    open.pop_back();
    const Unit unit = units[place];
    const std::uint32_t next = place ^ unit.offset();
    if ((next | 0xFFU) >= units.size()) return false;
    if (place != 0 && unit.HasLeaf() && units[next].value() >= texts_size) return false;
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t child = next ^ byte;
      if (units[child].label() != byte || seen[child]) continue;
      seen[child] = true;
      open.push_back(child);
    }
  }
  return true;
}

// The size of the trie in 4 bytes, the trie, the texts.
bool IsSoundMap(std::string_view map) {
  std::uint32_t trie_size = 0;
  if (map.empty()) return true;
  if (map.size() <= sizeof(trie_size)) return false;
  std::memcpy(&trie_size, map.data(), sizeof(trie_size));
  map.remove_prefix(sizeof(trie_size));
  if (trie_size >= map.size() || map.back() != '\0') return false;
  return IsSoundTrie(UnitsOf(map.substr(0, trie_size)), map.size() - trie_size);
}

}  // namespace

bool HasSoundCharacterMaps(std::string_view model) {
  for (FieldReader fields(model); !fields.AtEnd();) {
    const std::optional<Field> field = fields.Next();
    if (!field) return false;
    if (field->number != kNormalizerSpec && field->number != kDenormalizerSpec) continue;
    for (FieldReader spec(field->content); !spec.AtEnd();) {
      const std::optional<Field> part = spec.Next();
      if (!part || (part->number == kCharacterMap && !IsSoundMap(part->content))) return false;
    }
  }
  return true;
}

}  // namespace daq
