#pragma once
#include <string_view>

namespace daq {

// Whether the precompiled character maps in a tokenizer.model can be followed for any text without
// leaving them. SentencePiece follows them unchecked: it walks a double-array trie of 32-bit units
// (https://github.com/s-yata/darts-clone), takes the value it ends at as the place of a text ended
// by a zero byte, and copies that. LLaMA's own models have no such map. False too where the file's
// protocol buffers are damaged.
bool HasSoundCharacterMaps(std::string_view model);

}  // namespace daq
