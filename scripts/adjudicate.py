"""The project in which a curator decides where annotators differ."""

from testimonia.cli import main

main("adjudicate")
