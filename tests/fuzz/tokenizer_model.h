#pragma once
#include <string>

namespace daq {

// The demo's tokenizer.model with its first pieces only, which include every byte: small enough to
// be read thousands of times a second.
std::string SmallTokenizerModel();

// The same with a precompiled character map that makes an "O" an "x".
std::string SmallTokenizerModelWithMap();

}  // namespace daq
