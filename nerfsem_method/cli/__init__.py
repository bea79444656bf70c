"""The command line: one file a verb. Every verb imports its room when it runs, so that `nerfsem --help` stays quick."""
