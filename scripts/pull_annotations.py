"""Bring the annotations back from Label Studio."""

from testimonia.cli import main

main("pull-annotations")
