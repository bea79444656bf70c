"""The command line has one file a verb. A verb imports the rooms it needs when it runs, so that `nerfsem --help` stays quick."""
