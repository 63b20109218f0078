#pragma once

namespace daq {

// Makes SIGINT and SIGTERM ask for a clean stop. A second signal ends the process at once.
void CatchInterrupts();

// True once a stop was asked for.
bool InterruptRequested();

// Throws Interrupted once a stop was asked for. Cheap: long loops call it between pieces of work.
void ThrowIfInterrupted();

// For tests: asks for a stop, or takes the request back.
void RequestInterrupt(bool requested);

}  // namespace daq
