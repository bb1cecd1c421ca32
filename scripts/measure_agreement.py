"""How far annotators agree."""

from testimonia.cli import main

main("measure-agreement")
