#include "tests/fuzz/tokenizer_model.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace daq {
namespace {

constexpr int kPieces = 320;

// A field with a length of a message of protocol buffers; lengths from 128 to 16383.
std::string FieldOf(unsigned number, std::string_view content) {
  std::string field(1, static_cast<char>(number << 3U | 2U));
  field.push_back(static_cast<char>(content.size() % 128 | 128U));
  field.push_back(static_cast<char>(content.size() / 128));
  return field.append(content);
}

// A variable-length integer of protocol buffers, taken off the front.
std::size_t TakeVarint(std::string_view* rest) {
  std::size_t number = 0;
  for (unsigned shift = 0; !rest->empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest->front());
    rest->remove_prefix(1);
    number |= std::size_t{byte & 0x7FU} << shift;
    if (byte < 0x80U) break;
  }
  return number;
}

}  // namespace

// A ModelProto's fields are all of known length: pieces (field 1) and the specs.
std::string SmallTokenizerModel() {
  const std::string whole =
      ReadFile(std::filesystem::path(DAQ_SOURCE_DIR) / "demo/model/tokenizer.model");
  std::string model;
  int pieces = 0;
  for (std::string_view rest = whole; !rest.empty();) {
    const std::string_view field = rest;
    const std::size_t tag = TakeVarint(&rest);
    DAQ_CHECK((tag & 7U) == 2, "a field with a length");
    const std::size_t length = TakeVarint(&rest);
    rest.remove_prefix(length);
    if (tag >> 3U != 1 || ++pieces <= kPieces)
      model.append(field.substr(0, field.size() - rest.size()));
  }
  return model;
}

// eval/character_map.h says what the map is.
std::string SmallTokenizerModelWithMap() {
  std::array<std::uint32_t, 512> trie = {};
  constexpr std::uint32_t kPlace = 256 ^ 'O';
  trie[0] = 256U << 10U;
  trie[kPlace] = (kPlace ^ 16U) << 10U | 1U << 8U | 'O';
  trie[16] = 1U << 31U;
  const std::uint32_t bytes = sizeof(trie);
  std::string map(reinterpret_cast<const char*>(&bytes), sizeof(bytes));
  map.append(reinterpret_cast<const char*>(trie.data()), sizeof(trie)).append("x\0y", 4);
  return SmallTokenizerModel() + FieldOf(3, FieldOf(2, map));
}

}  // namespace daq
