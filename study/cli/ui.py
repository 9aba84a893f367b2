"""`study ui`: MLflow's pages, open at a study's curves."""

from contextlib import suppress
from typing import Annotated

import typer

from study.cli.console import open_in_browser
from study.cli.options import experiment_option
from study.errors import StudyError
from study.terminal import say
from study.track.find import find_experiment, newest_study
from study.track.uri import tracking_uri


def ui(
    experiment: Annotated[str | None, experiment_option(help="The study; default the newest.")] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where to serve; if it is taken, the next.")] = 5000,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the address in a browser.")] = True,
) -> None:
    """Serve MLflow's pages of this folder's studies, open at a study's curves; Ctrl-C ends it."""
    from study.track.pages import serve_pages
    from study.track.view import view_address

    uri = tracking_uri()
    experiment_id = find_experiment(experiment or newest_study(), uri)
    say("starting MLflow's pages; Ctrl-C ends them", error=True)
    with serve_pages(uri, port) as (pages, process):
        address = view_address(pages, experiment_id)
        say(address)
        if browser:
            open_in_browser(address)
        if process is not None:
            with suppress(KeyboardInterrupt):
                code = process.wait()
                raise StudyError(f"MLflow's server ended with exit code {code}")
