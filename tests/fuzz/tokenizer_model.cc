#include "tests/fuzz/tokenizer_model.h"

#include <cstddef>
#include <filesystem>
#include <string_view>

#include "base/error.h"
#include "base/file.h"

namespace daq {
namespace {

constexpr int kPieces = 320;

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

}  // namespace daq
