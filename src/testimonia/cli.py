"""The command line: a command per verb. Exit code 0: fine; 1: a check found something; 2: could not run.

A command parses options, makes one library call, prints, and sets the exit code. Heavy imports stay inside.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from testimonia import __version__
from testimonia.errors import Finding, FindingsError, InputError, TestimoniaError, plain

if TYPE_CHECKING:
    from testimonia.studio import Studio

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Annotated news data: from Label Studio to a Hugging Face dataset.",
)
MIN_RESAMPLES = 100
BASELINES = "testimonia.baselines"  # group of entry points, one for each scheme
MOST_OF_A_KIND = 30  # findings of one id that are printed
ANNOTATE, BUILD, EVALUATE, RELEASE = "annotate", "build", "evaluate", "release"

CorpusOption = Annotated[Path, typer.Option("--corpus", help="Folder with seeds/, labeling/ and dataset/.")]
DatabaseOption = Annotated[
    str,
    typer.Option(
        envvar="TESTIMONIA_DATABASE", help="postgresql://user@host:port/name instead of sqlite.", show_default=False
    ),
]
RoundOption = Annotated[
    str | None, typer.Option("--round", help="Round of labeling/rounds.toml; the last annotation round if not given.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print records for machines.")]


def main(command: str | None = None) -> NoReturn:
    """Runs the app; with `command`, as if the command line began with it. A user's mistake shows no traceback."""
    arguments = [command, *sys.argv[1:]] if command else sys.argv[1:]
    try:
        app(args=arguments, prog_name="testimonia")
    except FindingsError as error:
        _print_findings(error.findings, err="--json" in arguments)
        typer.echo(f"error: {error}", err=True)
    except TestimoniaError as error:
        typer.echo("\n".join(map(plain, f"error: {error}".split("\n"))), err=True)
    except PermissionError as error:
        typer.echo(f"error: {error.filename}: {error.strerror}; is it yours to write?", err=True)
    except OSError as error:
        where = error.filename or "the output or a temporary file"
        typer.echo(f"error: {where}: {error.strerror or error}; mend that and run this again", err=True)
    except Exception as error:
        if os.environ.get("TESTIMONIA_DEBUG"):
            raise
        message = f"error: {type(error).__name__}: {error}; this is a fault of testimonia"
        typer.echo(f"{message}: TESTIMONIA_DEBUG=1 shows where", err=True)
    sys.exit(2)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    for stream in (sys.stdout, sys.stderr):  # what is no UTF-8, as JSON writes it
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@app.command(rich_help_panel=ANNOTATE)
def init(
    folder: Annotated[Path, typer.Argument(help="A folder that is empty or not there.")],
    name: Annotated[str, typer.Option(prompt=True, help="Of the corpus: lower-case words joined by hyphens.")],
    languages: Annotated[str, typer.Option(prompt="Languages (codes, by commas)", help="Such as en,he,zh.")],
    labels: Annotated[str, typer.Option(prompt="Labels (by commas)", help="Such as PERSON,PLACE.")],
    purpose: Annotated[str, typer.Option(prompt="What it is, in a sentence", help="For README and card.")] = "",
) -> None:
    """Start a new corpus of this shape: scheme, guidelines, card, languages. Asks for what is not given."""
    from testimonia import starter

    paths = starter.start_corpus(folder, name, purpose, _listed([languages]), _listed([labels]))
    for path in paths:
        typer.echo(f"wrote {path}")
    typer.echo(f"next: edit {folder / 'labeling/scheme.toml'}, then testimonia add-document FILE --corpus {folder}")


@app.command(rich_help_panel=ANNOTATE)
def add_document(
    file: Annotated[Path, typer.Argument(help="A text in UTF-8.")],
    doc_id: Annotated[str, typer.Option("--id", help="Lower-case words joined by hyphens, such as en-1.")],
    language: Annotated[str, typer.Option(help="A code with a file under labeling/languages/.")],
    title: Annotated[str, typer.Option(help="The headline.")] = "",
    translation: Annotated[str, typer.Option(help="human, machine or unknown.")] = "unknown",
    corpus: CorpusOption = Path(),
) -> None:
    """Put an article into seeds/, verbatim, with its entry in sources.toml."""
    from testimonia import starter

    typer.echo(f"{starter.add_document(corpus, file, doc_id, language, title, translation)} is in the corpus")


@app.command(rich_help_panel=ANNOTATE)
def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    show_password: Annotated[bool, typer.Option("--show-password", help="Print the password too.")] = False,
    database: DatabaseOption = "",
) -> None:
    """Start the embedded Label Studio and keep it up until Ctrl+C."""
    from testimonia import server

    _stop_on_sigterm()
    _check_database(database)
    folder = server.home()
    typer.echo(f"starting Label Studio (data in {folder}); the first start takes up to two minutes")
    try:
        with server.running(folder, port, database) as one:
            secrets = server.read_secrets(folder)
            password = secrets["password"] if show_password else f"in {folder / 'secrets.json'}"
            typer.echo(
                f"ready: {one.address.url}\n  log-in:   {secrets['email']}\n  password: {password}\nCtrl+C stops it"
            )
            one.wait()
    except KeyboardInterrupt:
        typer.echo("stopped")


@app.command(rich_help_panel=ANNOTATE)
def backup(
    file: Annotated[Path, typer.Argument(help="Such as studio.zip; an older backup there is replaced.")],
    as_json: JsonOption = False,
) -> None:
    """Back the embedded Label Studio up to one file, while annotators work. It holds passwords and addresses."""
    from testimonia import backups, server

    elsewhere = os.environ.get("LABEL_STUDIO_URL") or os.environ.get("TESTIMONIA_DATABASE") or ""
    made = backups.make_backup(server.home(), file, elsewhere)
    if as_json:
        typer.echo(json.dumps(asdict(made), ensure_ascii=False))
        return
    typer.echo(f"{file}: {backups.backup_text(made)}\nit holds passwords and e-mail addresses: keep it from others")
    for name in made.missing:
        typer.echo(f"warning: {name}: is not in the backup: not there any more, or of a name that is none", err=True)


@app.command(rich_help_panel=ANNOTATE)
def restore(
    file: Annotated[Path, typer.Argument(help="A file that `testimonia backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Move what is there aside, and put the backup in its place.")
    ] = False,
) -> None:
    """Put a backup of the embedded Label Studio into a folder without one. No server may run there."""
    from testimonia import backups, server

    folder = server.home()
    done = backups.restore_backup(file, folder, replace)
    typer.echo(f"{folder}: {backups.backup_text(done.backup)}\nstart it with `testimonia serve`")
    if done.aside:
        typer.echo(f"what was there is in {done.aside}; delete it when you do not need it")
    if os.environ.get("TESTIMONIA_DATABASE"):
        typer.echo(
            "warning: TESTIMONIA_DATABASE is set: `testimonia serve` takes that database, not this one", err=True
        )


@app.command(rich_help_panel=ANNOTATE)
def label(corpus: CorpusOption = Path(), round_: RoundOption = None, database: DatabaseOption = "") -> None:
    """Start Label Studio with the articles and their annotations loaded, and keep it up for annotators until Ctrl+C."""
    from testimonia import corpus as corpora
    from testimonia import server, transfer
    from testimonia.studio import Studio

    _stop_on_sigterm()
    _check_database(database)
    read = corpora.read_corpus(corpus)
    one = read.round(round_)
    folder = server.home()
    typer.echo(f"starting Label Studio (data in {folder}); the first start takes up to two minutes")
    try:
        with server.running(folder, database=database) as up, Studio(up.address) as studio:
            with _loading():
                transfer.load_seeds(read, studio, one, True, _progress("loading"), home=folder)
            project = studio.project(transfer.project_title(read, one))
            typer.echo(
                f"ready: {up.address.url}/projects/{project}/data\n  log-in:   {server.OWNER}\n"
                f"  password: in {folder / 'secrets.json'}\nCtrl+C stops it; bring the work home with "
                "`testimonia pull-annotations` in another terminal first"
            )
            up.wait()
    except KeyboardInterrupt:
        typer.echo("stopped")


@app.command(rich_help_panel=ANNOTATE)
def load_seeds(
    corpus: CorpusOption = Path(),
    round_: RoundOption = None,
    with_annotations: Annotated[
        bool, typer.Option("--with-annotations", help="Also load the committed annotations of the round.")
    ] = False,
    predictions: Annotated[
        Path | None,
        typer.Option("--predictions", exists=True, help="Predictions of a model that annotators start from."),
    ] = None,
) -> None:
    """Bring label config, guidelines and one task per article to Label Studio. Run it as often as you like."""
    from testimonia import corpus as corpora
    from testimonia import server, transfer
    from testimonia.suggestions import read_suggestions

    read = corpora.read_corpus(corpus)
    one = read.round(round_)
    suggestions = read_suggestions(predictions, read.by_id, read.scheme) if predictions else None
    with _loading(), _studio("projects.create", "projects.change", "tasks.create", "annotations.create") as studio:
        home = server.home()
        loaded = transfer.load_seeds(read, studio, one, with_annotations, _progress("loading"), suggestions, home)
    typer.echo(
        f"{transfer.project_title(read, one)}: {loaded.new} articles loaded, {loaded.present} were there, "
        f"{loaded.annotations} annotations added"
    )
    if suggestions:
        typer.echo(f"annotators start from what {suggestions.model} predicts; {len(loaded.renewed)} tasks got it anew")
    if loaded.drafts_left_out:
        typer.echo(f"{loaded.drafts_left_out} drafts stay in the exports: Label Studio cannot import them")


@app.command(rich_help_panel=ANNOTATE)
def add_annotator(
    email: Annotated[str, typer.Argument(help="Address with which the annotator will log in.")],
) -> None:
    """Make an account for an annotator; its password is printed once and kept nowhere."""
    from testimonia import server
    from testimonia.studio import Pseudonyms

    with _studio("organizations.view") as studio:
        pseudonym = Pseudonyms(server.home() / server.PSEUDONYMS).of(email)  # may fail; a password is shown only once
        password = studio.add_annotator(email)
        typer.echo(
            f"{email} can log in at {studio.address.url}\n  password: {password} (shown this once; "
            f"docs/security.md says how to set another)\n  in exports and in the dataset: {pseudonym}"
        )


@app.command(rich_help_panel=ANNOTATE)
def status(corpus: CorpusOption = Path(), round_: RoundOption = None, as_json: JsonOption = False) -> None:
    """How far a round is in Label Studio: per annotator, language and label; what became of suggestions."""
    from testimonia import corpus as corpora
    from testimonia import server, transfer
    from testimonia.errors import errors_among
    from testimonia.status import status_of, status_text
    from testimonia.tasks import parse_tasks

    read = corpora.read_corpus(corpus)
    one = read.round(round_)
    with _studio("tasks.view") as studio:
        tasks, accounts = transfer.exported(read, studio, one, server.home(), _progress("reading"))
    annotations, findings = parse_tasks(tasks, read.by_id, read.scheme, one.id)
    labels = read.scheme.label_names
    found = status_of(read.documents, annotations, tasks, labels, accounts)
    if as_json:
        typer.echo(json.dumps(found | {"findings": [finding.as_json() for finding in findings]}, ensure_ascii=False))
    else:
        _print_findings(findings)
        typer.echo(status_text(found, labels), nl=False)
    raise typer.Exit(1 if errors_among(findings) else 0)


@app.command(rich_help_panel=ANNOTATE)
def pull_annotations(
    corpus: CorpusOption = Path(),
    round_: RoundOption = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Also take what is less or older in Label Studio; the history keeps the exports."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring what is in Label Studio to labeling/exports/<round>/, annotators as pseudonyms, and check it."""
    from testimonia import corpus as corpora
    from testimonia import server, transfer
    from testimonia.errors import errors_among

    read = corpora.read_corpus(corpus)
    one = read.round(round_)
    with _studio("tasks.view") as studio:
        pulled = transfer.pull_annotations(read, studio, one, server.home(), _progress("pulling"), replace)
    kinds: dict[str, tuple[str, ...]] = {name: found for name, found in asdict(pulled).items() if name != "findings"}
    findings = [*pulled.findings, *transfer.check_passes(read, one)]
    if as_json:
        found = [finding.as_json() for finding in findings]
        typer.echo(json.dumps(kinds | {"findings": found}, ensure_ascii=False))
        raise typer.Exit(1 if errors_among(findings) or pulled.kept else 0)
    notes = {
        "kept": " (more or newer here than in Label Studio, see below, so that nothing new of them was brought; "
        f"what Label Studio has is in {read.exports / one.id / 'history'})",
        "gone": " (not in Label Studio any more; the export is left as it is)",
    }
    for kind, doc_ids in kinds.items():
        note = notes.get(kind, "") if doc_ids else ""
        typer.echo(f"{kind:8} {len(doc_ids):6}  {' '.join(doc_ids[:12])}{' ...' if len(doc_ids) > 12 else ''}{note}")
    _print_findings(findings)
    if errors_among(findings) or pulled.kept:
        raise typer.Exit(1)


@app.command(rich_help_panel=ANNOTATE)
def put_back(
    files: Annotated[
        list[Path],
        typer.Argument(exists=True, help="Exports, or versions of them: labeling/exports/<round>/history/..."),
    ],
    annotators: Annotated[
        list[str] | None, typer.Option("--annotator", help="Pseudonyms; all in the file if not given.")
    ] = None,
    corpus: CorpusOption = Path(),
    round_: Annotated[
        str | None, typer.Option("--round", help="If the file is not in the folder of its round.")
    ] = None,
) -> None:
    """Put pulled annotations back into Label Studio, in place of their annotators' there; those go to the history."""
    from testimonia import corpus as corpora
    from testimonia import server, transfer

    read = corpora.read_corpus(corpus)
    exports = read.exports.resolve()
    with _studio("tasks.view", "annotations.create", "annotations.change") as studio:
        for file in files:
            path = file.resolve()
            if round_ is None and exports not in path.parents:
                raise InputError(f"{file}: is not in {read.exports}/<round>/; say --round")
            one = read.round(round_ or path.relative_to(exports).parts[0])
            done = transfer.put_back(read, studio, one, server.home(), path, _listed(annotators))
            said = [f"{k} {' '.join(sorted(v)) or '-'}" for k, v in asdict(done).items() if isinstance(v, tuple)]
            left = f"; {done.drafts_left_out} drafts cannot be loaded" if done.drafts_left_out else ""
            typer.echo(f"{done.doc_id}: {', '.join(said)}{left}")


@app.command(rich_help_panel=ANNOTATE)
def adjudicate(
    corpus: CorpusOption = Path(),
    round_: Annotated[
        str | None, typer.Option("--round", help="Round of kind adjudication; the last one if not given.")
    ] = None,
    with_annotations: Annotated[
        bool, typer.Option("--with-annotations", help="Also load the committed decisions of the round.")
    ] = False,
) -> None:
    """Make or renew the project in which a curator decides where annotators differ. Run it as often as you like."""
    from testimonia import corpus as corpora
    from testimonia import server, transfer

    read = corpora.read_corpus(corpus)
    one = read.round(round_, "adjudication")
    with _loading(), _studio("projects.create", "projects.change", "tasks.create", "annotations.create") as studio:
        done = transfer.adjudicate(read, studio, one, with_annotations, _progress("loading"), server.home())
        project = studio.project(transfer.project_title(read, one))
        address = studio.address.url
    typer.echo(
        f"{transfer.project_title(read, one)}: {done.loaded.new} articles loaded, {done.loaded.present} were there, "
        f"{len(done.loaded.renewed)} of them renewed, {done.loaded.annotations} decisions added"
    )
    for doc_id in done.loaded.renewed:
        typer.echo(f"{doc_id}: annotations changed; a decision that was submitted stays, look at it again")
    if done.waiting:
        typer.echo(f"waiting for a second annotator: {' '.join(done.waiting)}")
    typer.echo(f"decide at {address}/projects/{project}/data, then `testimonia pull-annotations --round {one.id}`")


@app.command(rich_help_panel=ANNOTATE)
def label_config(corpus: CorpusOption = Path()) -> None:
    """Write labeling/label_config.xml from the scheme."""
    from testimonia.files import write_atomic
    from testimonia.label_config import render_label_config
    from testimonia.scheme import read_scheme

    path = corpus / "labeling" / "label_config.xml"
    write_atomic(path, render_label_config(read_scheme(corpus / "labeling" / "scheme.toml")), within=corpus)
    typer.echo(f"wrote {path}")


@app.command(rich_help_panel=BUILD)
def export_gold(corpus: CorpusOption = Path(), as_json: JsonOption = False) -> None:
    """Build dataset/ from seeds/ and labeling/. With an error in the exports nothing is written."""
    from testimonia import corpus as corpora
    from testimonia import release

    read = corpora.read_corpus(corpus)
    made = release.export_gold(read)
    if as_json:
        typer.echo(json.dumps(made.manifest, ensure_ascii=False))
        return
    _print_findings(made.findings)
    counts = made.manifest["counts"]
    typer.echo(
        f"{read.dataset}: version {read.version}, {counts['documents']} documents, "
        f"{sum(counts['spans'].values())} spans, {sum(counts['relations'].values())} relations, "
        f"content {made.manifest['content_sha256'][:16]}"
    )


@app.command(rich_help_panel=RELEASE)
def verify_release(corpus: CorpusOption = Path(), as_json: JsonOption = False) -> None:
    """Check the sums of dataset/, build it again from seeds/ and labeling/, and say what differs."""
    from testimonia import rebuild
    from testimonia.corpus import read_corpus

    found = rebuild.verify_release(read_corpus(corpus))
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False))
    else:
        _print_findings(found.findings)
        typer.echo(rebuild.verification_text(found), nl=False)
    if found.findings:
        raise typer.Exit(1)


@app.command(rich_help_panel=RELEASE)
def diff_releases(
    old: Annotated[str, typer.Argument(help="A dataset folder, or a git revision, such as v0.2.3.")],
    new: Annotated[str, typer.Argument(help="Another; dataset/ of the corpus if not given.")] = "",
    every: Annotated[bool, typer.Option("--all", help="List every change, not the first ones of each kind.")] = False,
    corpus: CorpusOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Say what changed between two releases: documents, spans, attributes, relations, claims, schema."""
    from testimonia import changes

    with changes.release_folder(corpus, old) as left:
        with changes.release_folder(corpus, new or str(corpus / "dataset")) as right:
            found = changes.compare(changes.read_snapshot(left), changes.read_snapshot(right))
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False, default=str))
    else:
        typer.echo(changes.changes_text(found, None if every else changes.TOLD), nl=False)


@app.command(rich_help_panel=RELEASE)
def publish(
    repository: Annotated[str, typer.Argument(help="A dataset of the Hugging Face Hub: owner/name.")],
    revision: Annotated[str, typer.Option(help="The tag: v and the version of dataset/.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and send nothing.")] = False,
    corpus: CorpusOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Put the release on the Hugging Face Hub: one commit and a tag. The token is in HF_TOKEN."""
    from testimonia import hub
    from testimonia.corpus import read_corpus

    plan = hub.publish(read_corpus(corpus), repository, revision, dry_run)
    if as_json:
        typer.echo(json.dumps(asdict(plan), ensure_ascii=False))
    else:
        typer.echo(hub.plan_text(plan, dry_run), nl=False)


@app.command(rich_help_panel=RELEASE)
def strip_text(
    out: Annotated[Path, typer.Argument(help="Folder for the stand-off release.")],
    dataset: Annotated[Path, typer.Option(help="A release.")] = Path("dataset"),
) -> None:
    """Make a stand-off release: offsets, labels and hashes, without the texts, which are their publishers'."""
    from testimonia import standoff

    manifest = standoff.strip_text(dataset, out)
    typer.echo(f"{out}: version {manifest['version']} without its texts, content {manifest['content_sha256'][:16]}")


@app.command(rich_help_panel=RELEASE)
def rehydrate(
    folder: Annotated[Path, typer.Argument(help="A stand-off release.")],
    texts: Annotated[Path, typer.Option(help="Folder with the articles, byte for byte, under any names.")],
    out: Annotated[Path, typer.Option(help="Folder for the full release.")],
) -> None:
    """Put the texts back into a stand-off release, after every hash is checked."""
    from testimonia import standoff

    manifest, same = standoff.rehydrate(folder, texts, out)
    how = "the same bytes" if same else "the same rows, other bytes (another pyarrow)"
    typer.echo(f"{out}: version {manifest['version']}, {how}, content {manifest['content_sha256'][:16]}")


@app.command(rich_help_panel=RELEASE)
def release(
    since: Annotated[str, typer.Option(help="The release before: a folder or git revision; else the tag below.")] = "",
    corpus: CorpusOption = Path(),
) -> None:
    """Make a release: build, validate, compare, changelog, citation, tag. Refuses where something is off."""
    from testimonia import versions
    from testimonia.corpus import read_corpus

    made = versions.make_release(read_corpus(corpus), since)
    _print_findings(made.warnings)
    typer.echo(versions.made_text(made), nl=False)
    if not made.tagged:
        raise typer.Exit(1)


@app.command(rich_help_panel=BUILD)
def validate_dataset(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="A dataset folder, or Parquet files of its documents; the corpus's own if not given."),
    ] = None,
    corpus: CorpusOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Check a dataset: schema, spans, attributes, relations, boundaries, configs, manifest and card."""
    from testimonia import corpus as corpora
    from testimonia import release
    from testimonia.errors import errors_among

    read = corpora.read_corpus(corpus)
    targets = paths or [read.dataset]
    if targets[0].is_file():
        findings = release.validate_files(targets, read)
    else:
        findings = [finding for target in targets for finding in release.validate_dataset(target, read)]
    if not paths:
        findings += release.check_label_config(read)
    errors = errors_among(findings)
    if as_json:
        typer.echo(json.dumps({"findings": [finding.as_json() for finding in findings]}, ensure_ascii=False))
    else:
        _print_findings(findings)
        typer.echo(f"{' '.join(map(str, targets))}: {len(errors)} errors, {len(findings) - len(errors)} warnings")
    if errors:
        raise typer.Exit(1)


class Drawn(StrEnum):
    """What a bootstrap draws."""

    AUTO = "auto"
    DOCUMENTS = "documents"
    SENTENCES = "sentences"


@app.command(rich_help_panel=EVALUATE)
def measure_agreement(
    exports: Annotated[
        list[Path] | None,
        typer.Argument(
            help="JSON exports of any Label Studio project, or folders of them; else a round of the corpus."
        ),
    ] = None,
    corpus: CorpusOption = Path(),
    round_: RoundOption = None,
    scheme: Annotated[
        Path | None,
        typer.Option("--scheme", exists=True, dir_okay=False, help="scheme.toml of the labels; else those found."),
    ] = None,
    label_config: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="XML of the project: says its labels and where its texts are."),
    ] = None,
    annotator: Annotated[
        list[str] | None, typer.Option("--annotator", help="Compare these annotators only; give it once for each.")
    ] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write one self-contained page here.")] = None,
    gamma: Annotated[bool, typer.Option("--gamma", help="Also gamma (Mathet et al. 2015); slow.")] = False,
    resample: Annotated[
        Drawn, typer.Option(help="What the bootstrap draws; auto: documents where enough.")
    ] = Drawn.AUTO,
    resamples: Annotated[int, typer.Option(min=0, max=100_000, help="Draws of the bootstrap.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """How far annotators agree: span F1, alpha_U, kappa, relation F1, each with its 95% interval."""
    from testimonia import agreement, report
    from testimonia import corpus as corpora
    from testimonia import exports as sources
    from testimonia.errors import errors_among
    from testimonia.files import write_atomic
    from testimonia.label_config import read_label_config
    from testimonia.resampling import Resampling
    from testimonia.scheme import read_scheme

    languages = {}
    if exports and round_:
        raise InputError("--round: names a round of the corpus; leave out either it or the files")
    if (scheme or label_config) and not exports:
        option = "--scheme" if scheme else "--label-config"
        raise InputError(f"{option}: belongs to exports given by file; a corpus has its own")
    _check_resamples(resamples)
    if exports:
        config = read_label_config(label_config) if label_config else None
        source = sources.read_exports(exports, read_scheme(scheme) if scheme else None, config)
        title = ", ".join(path.name for path in exports)
    else:
        read = corpora.read_corpus(corpus)
        one = read.round(round_)
        source, languages = sources.read_corpus_round(read, one), dict(read.languages)
        title = f"{read.scheme.name}: {one.id}"
    source = source.of(annotator or [])
    measured = agreement.measure_agreement(
        source, languages, Resampling(resamples, seed), blocks=resample.value, with_gamma=gamma
    )
    if html:
        write_atomic(html, report.agreement_html(measured, f"Agreement · {title}", source.scheme, languages))
    if as_json:
        typer.echo(json.dumps(measured.as_json(), ensure_ascii=False))
    else:
        _print_findings(measured.findings)
        typer.echo(report.agreement_text(measured), nl=False)
        if html:
            typer.echo(f"wrote {html}")
    if errors_among(measured.findings):
        raise typer.Exit(1)


@app.command(rich_help_panel=BUILD)
def plant_errors(
    out: Annotated[Path, typer.Argument(help="Folder for one readable file per article.")],
    key: Annotated[Path, typer.Option(help="Where the planted errors are listed; keep it from the auditor.")],
    corpus: CorpusOption = Path(),
    count: Annotated[int, typer.Option(min=1, help="How many errors.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the draws.")] = 1,
) -> None:
    """Write a copy of the gold with planted errors, for an auditor whose recall is to be known."""
    from testimonia import audit, release
    from testimonia.corpus import read_corpus
    from testimonia.errors import FindingsError, errors_among
    from testimonia.files import check_target, replaced_folder, write_atomic, write_json

    read = read_corpus(corpus)
    golds, _, findings = release.build_gold(read)
    if errors_among(findings):
        raise FindingsError(f"{corpus}: errors in the exports; nothing was written", findings)
    spoilt, places = audit.plant(golds, count, seed, read.scheme, read.languages)
    pages = {gold.document.doc_id: audit.notated(gold) for gold in spoilt}
    held = [read.folder / name for name in ("seeds", "labeling", "dataset")]
    with replaced_folder(check_target(out, held, f"{min(pages)}.md")) as folder:
        for doc_id, page in pages.items():
            write_atomic(folder / f"{doc_id}.md", page)
        write_json(key, audit.planted_json(places, seed))
    typer.echo(f"wrote {out} with {len(places)} planted errors, listed in {key}")


@app.command(rich_help_panel=EVALUATE)
def estimate_errors(
    folder: Annotated[Path, typer.Argument(help="An audit: finds, planted errors, decisions (docs/audit.md).")],
    corpus: CorpusOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """How many errors are left in the gold after an audit: a lower bound, with its interval."""
    from testimonia import audit
    from testimonia.corpus import read_corpus

    found = audit.read_audit(folder, read_corpus(corpus).by_id)
    if as_json:
        typer.echo(json.dumps(audit.summary(found), ensure_ascii=False))
    else:
        typer.echo(audit.summary_text(found), nl=False)
    undecided = found.undecided()
    for auditor, place in undecided:
        where = f"{auditor}: {place.doc_id}:{place.start}-{place.end}:{place.label}"
        typer.echo(f"{where}: {place.problem}, without a decision", err=True)
    if undecided:
        raise typer.Exit(1)


class Pairing(StrEnum):
    """How predictions are paired with gold spans."""

    BEST = "best"
    NERVALUATE = "nervaluate"
    HIPE = "hipe"


class OffsetUnit(StrEnum):
    """What offsets count."""

    CODE_POINTS = "code-points"
    UTF16 = "utf-16"
    BYTES = "bytes"


class SpanEnds(StrEnum):
    """Whether the end belongs to the span."""

    EXCLUSIVE = "exclusive"
    INCLUSIVE = "inclusive"


GoldArgument = Annotated[Path, typer.Argument(help="A dataset folder, or Parquet or JSONL of documents with spans.")]
LabelsOption = Annotated[
    list[str] | None, typer.Option("--labels", help="Score this label only; again, or with commas, for more.")
]
LanguageOption = Annotated[
    list[str] | None, typer.Option("--language", help="Score documents in this language only; again for more.")
]
MapOption = Annotated[
    list[str] | None, typer.Option("--map", metavar="OLD=NEW", help="What a predicted label is called in the gold.")
]
ResamplesOption = Annotated[int, typer.Option(min=0, max=100_000, help="Draws of the bootstrap.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of the draws.")]
MatchingOption = Annotated[Pairing, typer.Option(help="How predictions are paired with gold spans.")]
UnitOption = Annotated[OffsetUnit, typer.Option("--unit", help="What the predicted offsets count.")]
EndsOption = Annotated[SpanEnds, typer.Option("--ends", help="Whether a predicted end belongs to its span.")]
SchemeOption = Annotated[
    Path | None, typer.Option("--scheme", exists=True, dir_okay=False, help="scheme.toml: the labels there may be.")
]
DrawnOption = Annotated[
    Drawn, typer.Option("--resample", help="What the bootstrap draws; auto: documents where enough.")
]


@app.command(rich_help_panel=EVALUATE)
def score_predictions(
    gold: GoldArgument,
    predictions: Annotated[
        Path, typer.Argument(help="What a model predicted, in any of the forms of docs/scoring.md.")
    ],
    matching: MatchingOption = Pairing.BEST,
    labels: LabelsOption = None,
    language: LanguageOption = None,
    map_: MapOption = None,
    scheme: SchemeOption = None,
    unit: UnitOption = OffsetUnit.CODE_POINTS,
    ends: EndsOption = SpanEnds.EXCLUSIVE,
    model: Annotated[str | None, typer.Option(help="Of several models in Label Studio tasks, this one.")] = None,
    claims: Annotated[Path | None, typer.Option(help="Predicted claims: JSONL or a dataset folder.")] = None,
    gold_claims: Annotated[Path | None, typer.Option(help="Claims of the gold, where GOLD has none.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Also write one page with every error.")] = None,
    markdown: Annotated[Path | None, typer.Option("--markdown", help="Also write tables for a paper or card.")] = None,
    resample: DrawnOption = Drawn.AUTO,
    resamples: ResamplesOption = 1000,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Score a model's predictions: strict, exact, partial, type, each F1 with its 95% interval."""
    from testimonia import scoreboard, scoring
    from testimonia.errors import errors_among
    from testimonia.files import write_atomic
    from testimonia.scheme import read_scheme

    _check_resamples(resamples)
    read = read_scheme(scheme) if scheme else None
    found = scoring.score(
        gold,
        predictions,
        matching=matching.value,
        labels=_listed(labels),
        languages=_listed(language),
        mapping=_mapping(map_),
        scheme=read,
        unit=unit.value,
        ends=ends.value,
        model=model,
        claims=claims,
        gold_claims=gold_claims,
        drawn=resample.value,
        resamples=resamples,
        seed=seed,
    )
    title = f"Scores · {predictions.name} · gold {gold.name}"
    if html:
        write_atomic(html, scoreboard.scores_html(found, title, read))
    if markdown:
        write_atomic(markdown, scoreboard.scores_markdown(found, title))
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
    else:
        _print_findings(found.findings)
        typer.echo(scoreboard.scores_text(found), nl=False)
        for path in (html, markdown):
            if path:
                typer.echo(f"wrote {path}")
    if errors_among(found.findings):
        raise typer.Exit(1)


@app.command(rich_help_panel=EVALUATE)
def compare_predictions(
    gold: GoldArgument,
    a: Annotated[Path, typer.Argument(help="Predictions of one model.")],
    b: Annotated[Path, typer.Argument(help="Predictions of another.")],
    matching: MatchingOption = Pairing.BEST,
    labels: LabelsOption = None,
    language: LanguageOption = None,
    map_: MapOption = None,
    scheme: SchemeOption = None,
    model_a: Annotated[str | None, typer.Option(help="Of several models in A (Label Studio tasks), this one.")] = None,
    model_b: Annotated[str | None, typer.Option(help="Of several models in B, this one.")] = None,
    unit: UnitOption = OffsetUnit.CODE_POINTS,
    ends: EndsOption = SpanEnds.EXCLUSIVE,
    resample: DrawnOption = Drawn.AUTO,
    resamples: ResamplesOption = 10_000,
    seed: SeedOption = 1,
    as_json: JsonOption = False,
) -> None:
    """Whether model B is better than A: the difference of F1 with its interval and p values."""
    from testimonia import comparison, scoreboard
    from testimonia.errors import errors_among
    from testimonia.scheme import read_scheme

    _check_resamples(resamples)
    found = comparison.compare(
        gold,
        a,
        b,
        matching=matching.value,
        labels=_listed(labels),
        languages=_listed(language),
        mapping=_mapping(map_),
        scheme=read_scheme(scheme) if scheme else None,
        model_a=model_a,
        model_b=model_b,
        unit=unit.value,
        ends=ends.value,
        drawn=resample.value,
        resamples=resamples,
        seed=seed,
    )
    if as_json:
        typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
    else:
        _print_findings(found.findings)
        typer.echo(scoreboard.comparison_text(found), nl=False)
    if errors_among(found.findings):
        raise typer.Exit(1)


@app.command(rich_help_panel=EVALUATE)
def predict_baseline(
    source: Annotated[
        Path | None,
        typer.Argument(help="Texts: a dataset folder, Parquet, or JSONL with doc_id, language, text; else the corpus."),
    ] = None,
    corpus: CorpusOption = Path(),
    out: Annotated[Path | None, typer.Option("--out", help="JSONL to write; else standard output.")] = None,
) -> None:
    """Predict with rules and lexica: the floor for models, and suggestions for annotators."""
    from importlib.metadata import entry_points

    from testimonia import corpus as corpora
    from testimonia import formats
    from testimonia.files import write_atomic

    read = corpora.read_corpus(corpus)
    found = entry_points(group=BASELINES, name=read.scheme.name)
    if not found:
        raise InputError(
            f"{corpus / 'labeling/scheme.toml'}: no baseline for the scheme {read.scheme.name!r} is installed; "
            f"a package gives one as an entry point of that name in the group {BASELINES}"
        )
    baseline = next(iter(found)).load()
    documents = formats.read_documents(source) if source else read.documents
    lines = [
        json.dumps(formats.record_of(document, baseline.MODEL, *predicted), ensure_ascii=False) + "\n"
        for document, predicted in baseline.predictions(documents, read)
    ]
    if out:
        write_atomic(out, "".join(lines))
        typer.echo(f"{len(lines)} documents predicted by {baseline.MODEL}; wrote {out}")
    else:
        typer.echo("".join(lines), nl=False)


@app.command(rich_help_panel=RELEASE)
def browse(
    source: Annotated[
        Path | None,
        typer.Argument(help="A dataset folder, or predictions with their texts; the corpus's own if not given."),
    ] = None,
    corpus: CorpusOption = Path(),
    out: Annotated[Path, typer.Option("--out", help="HTML file to write.")] = Path("build/browse.html"),
    most: Annotated[int, typer.Option(min=1, help="Documents on the page at most, the first.")] = 200,
    title: Annotated[str, typer.Option(help="Title of the page; the name of the source if not given.")] = "",
) -> None:
    """Write one self-contained page on which anybody can read the texts with their spans; it works offline."""
    from testimonia import viewer
    from testimonia.files import write_atomic
    from testimonia.scheme import read_scheme

    path = corpus / "labeling" / "scheme.toml"
    scheme = read_scheme(path) if path.is_file() else None
    source = source or corpus / "dataset"
    page, hidden = viewer.browse_html(
        source, title or f"{scheme.name if scheme else source.name}: the texts", scheme, most
    )
    write_atomic(out, page)
    typer.echo(
        f"wrote {out}" + (f"; {hidden:,} documents are not on it, --most says how many may be" if hidden else "")
    )


class EngineName(StrEnum):
    """What runs the work on shards."""

    PROCESSES = "processes"
    RAY = "ray"


@app.command(rich_help_panel=BUILD)
def convert_export(
    exports: Annotated[
        list[Path], typer.Argument(help="JSON exports of any project: arrays or one task a line, .gz too, or folders.")
    ],
    out: Annotated[
        str,
        typer.Argument(help="Folder, or URL such as s3://bucket/prefix, for documents/, annotations/ and findings/."),
    ],
    scheme: Annotated[Path | None, typer.Option(help="scheme.toml that says the labels; else those found.")] = None,
    label_config: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="XML of the project: says its labels and where its texts are."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that convert.")] = 1,
    engine: Annotated[
        EngineName, typer.Option(help="What runs them; ray needs testimonia[ray].")
    ] = EngineName.PROCESSES,
    address: Annotated[
        str, typer.Option(help="Cluster of Ray, such as ray://host:10001; else one of this machine.")
    ] = "",
    work: Annotated[
        Path | None, typer.Option(help="Where a URL is made ready, and goes on after an interruption; a folder here.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn exports of any size into sharded Parquet; run again after an interruption, it goes on."""
    from testimonia import engine as engines
    from testimonia import shards, stores
    from testimonia.errors import errors_among
    from testimonia.label_config import read_label_config
    from testimonia.scheme import read_scheme

    if address and engine is not EngineName.RAY:
        raise InputError("--address: is where a cluster of Ray is; give --engine ray too, or leave it out")
    given = read_scheme(scheme) if scheme else None
    config = read_label_config(label_config) if label_config else None
    remote = stores.is_url(out)
    if work and not remote:
        raise InputError(f"--work: is for a URL; {out} is a folder, which holds its own work")
    folder = (work or Path(".converting-" + re.sub(r"\W+", "-", out).strip("-"))) if remote else Path(out)
    with contextlib.ExitStack() as stack:
        run = None
        if engine is EngineName.RAY:
            run = stack.enter_context(engines.ray_tasks(workers, address))
        elif workers > 1:
            run = stack.enter_context(engines.processes(workers))
        totals, told = shards.convert_exports(exports, folder, given, config, run, _counting("tasks"), keep=remote)
    if remote:
        stores.put(folder, out, shards.MANIFEST)
        shutil.rmtree(folder)
    if as_json:
        typer.echo(json.dumps(totals, ensure_ascii=False))
    else:
        _print_findings(told)
        left = ", ".join(f"{reason} {number:,}" for reason, number in totals["left_out"].items())
        found = ", ".join(f"{name} {number:,}" for name, number in totals["findings"].items())
        counts = ", ".join(f"{totals[name]:,} {name}" for name in ("tasks", "annotations", "spans", "relations"))
        typer.echo(f"{out}: {counts}")
        typer.echo(f"regions left out: {left or 'none'}\nfindings, in findings/: {found or 'none'}")
    raise typer.Exit(1 if errors_among(told) else 0)


@app.command(rich_help_panel=EVALUATE)
def ground_quotes(
    texts: Annotated[Path, typer.Argument(help="Where to look: a dataset folder, Parquet, or JSONL with texts.")],
    quotes: Annotated[Path, typer.Argument(help='JSONL: {"doc_id", "quotes": [{"quote", "label"}]}.')],
    out: Annotated[Path, typer.Option("--out", help="JSONL of spans to write.")],
    corpus: CorpusOption = Path(),
    as_json: JsonOption = False,
) -> None:
    """Find the places of quotes that a language model gave without offsets; what is doubtful is left out and told."""
    from testimonia import formats
    from testimonia.files import write_atomic
    from testimonia.language import read_languages
    from testimonia.quotes import ground_records

    documents = {document.doc_id: document for document in formats.read_documents(texts)}
    folder = corpus / "labeling" / "languages"
    found = ground_records(formats.read_records(quotes), documents, read_languages(folder) if folder.is_dir() else {})
    write_atomic(out, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in found.records))
    placed = sum(found.tiers.values())
    left_out = sum(len(record["ungrounded"]) for record in found.records)
    if as_json:
        findings = [finding.as_json() for finding in found.findings]
        counts = {"placed": placed, "left_out": left_out, "tiers": dict(found.tiers), "findings": findings}
        typer.echo(json.dumps(counts, ensure_ascii=False))
        return
    _print_findings(found.findings)
    tiers = ", ".join(f"{count} {tier}" for tier, count in found.tiers.items())
    typer.echo(f"{placed} quotes placed ({tiers or 'none'}), {left_out} left out; wrote {out}")


def _check_resamples(resamples: int) -> None:
    if 0 < resamples < MIN_RESAMPLES:
        raise InputError(
            f"--resamples: {resamples} draws make no interval; give 0 for none, or {MIN_RESAMPLES} or more"
        )


def _listed(values: list[str] | None) -> list[str]:
    return [name.strip() for value in values or [] for name in value.split(",") if name.strip()]


def _mapping(values: list[str] | None) -> dict[str, str]:
    mapping = {}
    for value in _listed(values):
        old, equals, new = value.partition("=")
        if not (old and equals and new):
            raise InputError(f"--map {value}: is not OLD=NEW; write for instance --map PER=ACTOR")
        mapping[old] = new
    return mapping


@app.command(rich_help_panel=RELEASE)
def demo(
    corpus: CorpusOption = Path(),
    work: Annotated[Path, typer.Option(help="Folder for the server and the copies.")] = Path("build/demo"),
) -> None:
    """The main job on a server of its own: load, pull, export, validate, compare with dataset/, show spans."""
    from testimonia.demo import run_demo

    _stop_on_sigterm()
    run_demo(corpus, work, typer.echo)


def _check_database(database: str) -> None:
    """Raises InputError where a password stands on the command line, for everybody on this machine to see."""
    if re.match(r"[^/]+://[^/@]*:[^/@]+@", database) and database in " ".join(sys.argv):
        raise InputError(
            "--database: holds a password, which every process of this machine can see; set TESTIMONIA_DATABASE, or "
            "leave the password to PGPASSWORD or ~/.pgpass"
        )


def _studio(*rights: str) -> Studio:
    """The server in use, known to be new enough and to grant these rights."""
    from testimonia import server
    from testimonia.studio import Studio

    studio = Studio(server.address(server.home()))
    studio.check(rights)
    return studio


def _loading() -> contextlib.AbstractContextManager[None]:
    """Held while tasks are loaded: of two that load at once, each would find none there and bring all."""
    from testimonia import server
    from testimonia.files import locked

    return locked(server.home() / "loading")


def _print_findings(findings: Iterable[Finding], err: bool = False) -> None:
    """Prints findings, of many of one kind the first, so that none hides the others."""
    counts: Counter[str] = Counter()
    for finding in findings:
        counts[finding.id] += 1
        if counts[finding.id] <= MOST_OF_A_KIND:
            typer.echo(str(finding), err=err)
    for name, count in counts.items():
        if count > MOST_OF_A_KIND:
            typer.echo(f"... and {count - MOST_OF_A_KIND:,} more [{name}]", err=err)


def _progress(what: str) -> Callable[[int, int], None]:
    """A bar on a terminal, plain lines elsewhere."""

    def show(done: int, total: int) -> None:
        if sys.stderr.isatty():
            filled = 30 * done // total if total else 30
            typer.echo(f"\r{what} [{'#' * filled}{'.' * (30 - filled)}] {done}/{total}", err=True, nl=done == total)
        else:
            typer.echo(f"{what} {done}/{total}", err=True)

    return show


def _counting(what: str) -> Callable[[int], None]:
    """How many are done, on a terminal."""
    done = 0

    def show(number: int) -> None:
        nonlocal done
        done += number
        if sys.stderr.isatty():
            typer.echo(f"\r{done:,} {what}", err=True, nl=False)

    return show


def _stop_on_sigterm() -> None:
    def stop(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


if __name__ == "__main__":
    main()
