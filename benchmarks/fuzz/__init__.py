"""The fuzzer damages `.nsem` bundles: they must decode or be refused by name, in bounded time and memory."""
