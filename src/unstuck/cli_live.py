"""Commands that show runs while they are being made: serve, and the view of `run --live`."""

import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from unstuck.cli_log import policy_of, policy_options


@click.command(name="serve")
@click.argument("runs", default="runs", type=click.Path(path_type=Path))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0: any that is free.")
@click.option("--open", "open_it", is_flag=True, help="Open the page in a browser.")
@policy_options
def serve_command(runs: Path, port: int, open_it: bool, **asked: object) -> None:
    """Show the runs at or below RUNS on a local page that follows them as they grow.

    The page can be had on this machine alone (127.0.0.1), under the address that is printed.
    """
    from unstuck.live.server import Server

    if not runs.exists():
        raise click.ClickException(f"{runs} does not exist; give the folder that runs lie in")
    policy = policy_of(**asked, fail_on=None)  # type: ignore[arg-type]
    try:
        server = Server(runs, policy, port)
    except OSError as error:
        raise click.ClickException(f"port {port} cannot be had ({error.strerror})") from None
    try:
        click.echo(f"unstuck: {runs} is shown at {server.url}")
        click.echo("unstuck: Ctrl-C ends it", err=True)
        if open_it:
            webbrowser.open(server.url)
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()


serve_command.params = [p for p in serve_command.params if p.name != "fail_on"]  # nothing fails


def run_with_live_view(
    command: Sequence[str], env: Mapping[str, str], directory: Path, name: str
) -> int:
    """Run a watched script and show its run below what it prints; its exit status.

    The view is drawn on standard error, and only where that is a terminal with room for it.
    """
    from unstuck.live.region import has_room
    from unstuck.live.view import View
    from unstuck.watcher import launch

    if not has_room(2):
        click.echo(
            "unstuck: no live view: standard error is no terminal of 40 x 16 or more; "
            f"`unstuck serve {directory}` shows the run, too",
            err=True,
        )
        return launch.run(command, env)
    view = View(directory, name)
    view.start()
    try:
        return launch.run(command, env)
    finally:
        view.stop()
