"""`python -m deploy.bench`: compare the service with its peers, or with an earlier commit of itself."""

import argparse
import asyncio
import shutil
import sys
from pathlib import Path

from deploy.bench.accelerators import accelerators
from deploy.bench.footprint import footprint
from deploy.bench.overload import overload
from deploy.bench.regress import regress
from deploy.bench.report import table, write_chart
from deploy.bench.runner import Place, compare, prepare
from deploy.bench.scaling import growth
from deploy.bench.table_size import size
from deploy.bench.variants import ROUTES, VARIANTS

__all__ = ["main"]


def main() -> int:
    """Run what the command line asks for and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="compare with the peers")
    run.add_argument(
        "--quick", action="store_true", help="one short round: shows that it works, not how fast"
    )
    run.add_argument("--rounds", type=int, default=3)
    run.add_argument("--seconds", type=int, default=3, help="length of a sample")
    run.add_argument("--routes", nargs="+", choices=ROUTES, default=ROUTES)
    run.add_argument("--only", nargs="+", help="names of variants, `ours` among them")
    run.add_argument("--chart", type=Path, help="PNG to write")
    check = commands.add_parser("regress", help="fail if a request costs over 15 %% more CPU than at a base")
    check.add_argument("--base", required=True, help="commit to compare with")
    much = commands.add_parser("overload", help="half the load, too many clients, and one noisy user")
    much.add_argument("--seconds", type=int, default=5, help="length of a sample")
    much.add_argument("--rounds", type=int, default=3)
    more = commands.add_parser("growth", help="1 to 8 workers, 1 to 6 pods, and a model of more (as root)")
    more.add_argument("--seconds", type=int, default=5, help="length of a sample")
    more.add_argument("--rounds", type=int, default=3)
    more.add_argument("--chart", type=Path, help="PNG to write")
    large = commands.add_parser("size", help="with millions of rows")
    large.add_argument("--rows", type=int, default=1_000_000)
    large.add_argument("--seconds", type=int, default=3, help="length of a sample")
    large.add_argument("--rounds", type=int, default=3)
    alone = commands.add_parser("accelerators", help="gain of each accelerator alone")
    alone.add_argument("--rounds", type=int, default=40)
    held = commands.add_parser("footprint", help="memory of a worker, and time to start")
    held.add_argument("--requests", type=int, default=200_000)
    held.add_argument("--seconds", type=int, default=5, help="between samples")
    arguments = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.stderr.write("bench: wrk is not installed (apt-get install wrk)\n")
        return 2
    return asyncio.run(regress(arguments.base) if arguments.command == "regress" else _measure(arguments))


async def _measure(arguments: argparse.Namespace) -> int:
    """Run one of the commands that measure this tree alone; everything is pinned but where cores are the point."""
    async with prepare(pinned=arguments.command != "growth") as place:
        match arguments.command:
            case "accelerators":
                await accelerators(place, rounds=arguments.rounds)
            case "footprint":
                await footprint(place, requests=arguments.requests, seconds=arguments.seconds)
            case "growth":
                await growth(place, seconds=arguments.seconds, rounds=arguments.rounds, chart=arguments.chart)
            case "overload":
                await overload(place, seconds=arguments.seconds, rounds=arguments.rounds)
            case "size":
                await size(place, rows=arguments.rows, seconds=arguments.seconds, rounds=arguments.rounds)
            case _:
                await _run(place, arguments)
    return 0


async def _run(place: Place, arguments: argparse.Namespace) -> None:
    variants = [each for each in VARIANTS if not arguments.only or each.name in arguments.only]
    rounds, seconds = (1, 1) if arguments.quick else (arguments.rounds, arguments.seconds)
    figures = await compare(place, variants, routes=arguments.routes, rounds=rounds, seconds=seconds)
    sys.stdout.write(table(figures) + "\n")
    if arguments.chart:
        write_chart(figures, arguments.chart)


if __name__ == "__main__":
    sys.exit(main())
