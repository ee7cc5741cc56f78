"""`python -m deploy.bench`: compares the service with baselines, or with an earlier commit."""

import argparse
import asyncio
import shutil
import sys
from dataclasses import fields
from pathlib import Path

from deploy.bench.accelerators import accelerators
from deploy.bench.capacity import Assumptions, option_name, report
from deploy.bench.footprint import footprint
from deploy.bench.overload import overload
from deploy.bench.purge import purge
from deploy.bench.regress import regress
from deploy.bench.report import echo, table, write_chart
from deploy.bench.runner import Environment, compare, prepare
from deploy.bench.scaling import growth
from deploy.bench.shards import shards
from deploy.bench.table_size import size
from deploy.bench.variants import ROUTES, VARIANTS
from deploy.shards.sharded_postgres import PROGRAM

__all__ = ["main"]


def main() -> int:
    """Run the command and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m deploy.bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_parser = commands.add_parser("run", help="compare with the baselines")
    run_parser.add_argument("--quick", action="store_true", help="one short round, to test the benchmark")
    run_parser.add_argument("--rounds", type=int, default=3)
    run_parser.add_argument("--seconds", type=int, default=3, help="duration of a sample in seconds")
    run_parser.add_argument("--routes", nargs="+", choices=ROUTES, default=ROUTES)
    run_parser.add_argument("--only", nargs="+", help="names of variants, which must include `ours`")
    run_parser.add_argument("--chart", type=Path, help="PNG to write")
    regress_parser = commands.add_parser(
        "regress", help="fail if a request costs over 15 %% more CPU than at a base"
    )
    regress_parser.add_argument("--base", required=True, help="commit to compare with")
    overload_parser = commands.add_parser("overload", help="half load, too many clients, and one noisy user")
    overload_parser.add_argument("--seconds", type=int, default=5, help="duration of a sample in seconds")
    overload_parser.add_argument("--rounds", type=int, default=3)
    growth_parser = commands.add_parser(
        "growth", help="1 to 8 workers, 1 to 6 pods, and a model of more (as root)"
    )
    growth_parser.add_argument("--seconds", type=int, default=5, help="duration of a sample in seconds")
    growth_parser.add_argument("--rounds", type=int, default=3)
    growth_parser.add_argument("--chart", type=Path, help="PNG to write")
    size_parser = commands.add_parser("size", help="with millions of rows")
    size_parser.add_argument("--rows", type=int, default=1_000_000)
    size_parser.add_argument("--seconds", type=int, default=3, help="duration of a sample in seconds")
    size_parser.add_argument("--rounds", type=int, default=3)
    accelerators_parser = commands.add_parser("accelerators", help="gain of each accelerator alone")
    accelerators_parser.add_argument("--rounds", type=int, default=40)
    footprint_parser = commands.add_parser("footprint", help="memory of a worker, and time to start")
    footprint_parser.add_argument("--requests", type=int, default=200_000)
    footprint_parser.add_argument("--seconds", type=int, default=5, help="interval of samples in seconds")
    purge_parser = commands.add_parser("purge", help="latency while expired idempotency keys are deleted")
    purge_parser.add_argument("--keys", type=int, default=1_000_000)
    purge_parser.add_argument("--seconds", type=int, default=3, help="duration of a sample in seconds")
    shards_parser = commands.add_parser(
        "shards", help="1, 2 and 4 shards: PostgreSQL and router (needs spqr-router)"
    )
    shards_parser.add_argument("--seconds", type=int, default=5, help="duration of a sample in seconds")
    shards_parser.add_argument("--rounds", type=int, default=5)
    capacity_parser = commands.add_parser(
        "capacity", help="plan for 10,000 to 100,000,000 daily users; measures nothing"
    )
    for each in fields(Assumptions):
        capacity_parser.add_argument(
            f"--{option_name(each)}", type=float, default=each.default, help=each.metadata["meaning"]
        )
    arguments = parser.parse_args()
    if arguments.command == "capacity":
        given = {each.name: getattr(arguments, each.name) for each in fields(Assumptions)}
        echo(report(Assumptions(**given)))
        return 0
    tools = {"wrk": "apt-get install wrk"}
    if arguments.command == "shards":
        tools[PROGRAM] = "https://github.com/pg-sharding/spqr"
    for tool, source in tools.items():
        if shutil.which(tool) is None:
            sys.stderr.write(f"bench: {tool} is not installed ({source})\n")
            return 2
    return asyncio.run(regress(arguments.base) if arguments.command == "regress" else _measure(arguments))


async def _measure(arguments: argparse.Namespace) -> int:
    """Run one of the commands that measure only this tree. All of them but `growth` and `purge` pin processes to cores."""
    async with prepare(pinned=arguments.command not in {"growth", "purge"}) as environment:
        match arguments.command:
            case "accelerators":
                await accelerators(environment, rounds=arguments.rounds)
            case "footprint":
                await footprint(environment, requests=arguments.requests, seconds=arguments.seconds)
            case "growth":
                await growth(
                    environment, seconds=arguments.seconds, rounds=arguments.rounds, chart=arguments.chart
                )
            case "overload":
                await overload(environment, seconds=arguments.seconds, rounds=arguments.rounds)
            case "purge":
                await purge(environment, keys=arguments.keys, seconds=arguments.seconds)
            case "shards":
                await shards(environment, seconds=arguments.seconds, rounds=arguments.rounds)
            case "size":
                await size(
                    environment, rows=arguments.rows, seconds=arguments.seconds, rounds=arguments.rounds
                )
            case _:
                await _run(environment, arguments)
    return 0


async def _run(environment: Environment, arguments: argparse.Namespace) -> None:
    variants = [each for each in VARIANTS if not arguments.only or each.name in arguments.only]
    rounds, seconds = (1, 1) if arguments.quick else (arguments.rounds, arguments.seconds)
    figures = await compare(environment, variants, routes=arguments.routes, rounds=rounds, seconds=seconds)
    sys.stdout.write(table(figures) + "\n")
    if arguments.chart:
        write_chart(figures, arguments.chart)


if __name__ == "__main__":
    sys.exit(main())
