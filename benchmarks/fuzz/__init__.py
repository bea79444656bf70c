"""Fuzzing of the `.nsem` reader: mutated bundles must decode or be refused by name, in bounded time and memory."""
