"""Bring the articles to Label Studio."""

from testimonia.cli import main

main("load-seeds")
