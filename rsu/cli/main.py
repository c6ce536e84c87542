"""The `rsu` command: a lazy table of commands, and the one place that turns errors into exit codes.

Exit codes: 0 ok, 1 compared and differs, 2 bad usage or configuration, 3 device or network,
4 internal. Errors of ours carry theirs as `exit_code`. Nothing heavy is imported before a command
needs it.
"""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module:attribute, short help — here so that `rsu --help` imports nothing)
    "demo": ("rsu.cli.demo:demo", "Show the main job on a simulated junction, no hardware needed."),
    "run": ("rsu.cli.run:run", "Run a unit as a daemon."),
    "sim": ("rsu.cli.sim:sim", "Simulate a site, or play a scenario, with known truth."),
    "replay": ("rsu.cli.replay:replay", "Run the same pipeline over a recording, video or folder."),
    "score": ("rsu.cli.score:score", "Accuracy and ages of a simulated run, against its truth."),
    "recording": ("rsu.cli.recording_commands:recording", "Inspect, recover, export recordings."),
    "map": ("rsu.cli.map_commands:map_group", "Write, check and read MAP messages."),
    "v2x": ("rsu.cli.v2x_commands:v2x", "Decode, encode, inspect and compare V2X messages."),
    "config": ("rsu.cli.config_commands:config", "Check, show and compare site files."),
    "uplink": ("rsu.cli.uplink_commands:uplink", "Show what platforms would be sent."),
    "models": ("rsu.cli.models_commands:models", "List, check and add detector models."),
    "audit": ("rsu.cli.audit:audit", "Who exported, changed or commanded what."),
    "package": ("rsu.cli.package_commands:package", "Make, verify and install signed packages."),
    "doctor": ("rsu.cli.doctor:doctor", "Check machine and site, and say what to do."),
    "status": ("rsu.cli.status:status", "How the running unit is."),
    "explain": ("rsu.cli.status:explain", "Why something was (not) said."),
}
EXIT_INTERNAL = 4
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells count


class LazyGroup(click.Group):
    """Imports a command's module only when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader (head, less) has gone: not an error, and nothing more may be written, not
            # even by the interpreter as it ends. Caught here, since click itself would exit with 1.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise click.exceptions.Exit(0) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: rsu demo",
)
@click.version_option(package_name="rsu-runtime", prog_name="rsu")
@click.option("--debug", is_flag=True, help="Show tracebacks (also RSU_DEBUG=1).")
def cli(debug: bool) -> None:
    """Roadside runtime: cameras and radar through ONNX and fusion to V2X messages and platforms."""
    if debug:
        os.environ["RSU_DEBUG"] = "1"


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run_command(sys.argv[1:]))


def run_command(arguments: list[str]) -> int:
    """Run one command line; returns its exit code and never lets a traceback out unasked."""
    try:
        result: Any = cli.main(args=arguments, prog_name="rsu", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get("RSU_DEBUG") == "1" and not isinstance(error, click.ClickException):
            raise
        return _exit_code_of(error)
    return result if isinstance(result, int) else 0


def _exit_code_of(error: BaseException) -> int:
    """Tell the user what went wrong and choose the exit code."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return EXIT_INTERRUPTED
    code = getattr(error, "exit_code", None)
    if isinstance(code, int):
        click.echo(f"rsu: {error}", err=True)
        return code
    click.echo(
        f"rsu: internal error: {type(error).__name__}: {error}\n"
        "Please report this with the output of the same command after `rsu --debug`.",
        err=True,
    )
    return EXIT_INTERNAL
