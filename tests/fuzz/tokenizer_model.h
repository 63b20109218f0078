#pragma once
#include <string>

namespace daq {

// The demo's tokenizer.model with its first pieces only, which include every byte: small enough to
// be read thousands of times a second.
std::string SmallTokenizerModel();

}  // namespace daq
