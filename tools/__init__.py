"""Commands for developers of the engine; nothing here is installed with it."""
