"""This room makes web pages of bundles; its viewer.js is built from web/ of the repository."""
