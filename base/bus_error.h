#pragma once

namespace daq {

// Makes a mapped file whose pages cannot be had end the process with a message and this exit code
// instead of without a word: one that was cut short while in use, or whose disk failed or is full.
// There is nothing to go on with: the memory that was asked for is not there.
void ExplainBusErrors(int exit_code);

}  // namespace daq
