"""One newest snapshot a client, whatever the others do."""

import asyncio

import pytest

from rsu.web.fan import Fan


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_every_client_gets_every_snapshot_that_it_is_ready_for() -> None:
    async def run() -> None:
        fan = Fan()
        fan.attach(asyncio.get_running_loop())
        quick: list[bytes] = []
        slow: list[bytes] = []
        gate = asyncio.Semaphore(0)

        async def take(data: bytes) -> None:
            quick.append(data)

        async def take_slowly(data: bytes) -> None:
            slow.append(data)
            await gate.acquire()

        tasks = [asyncio.create_task(fan.feed(take)), asyncio.create_task(fan.feed(take_slowly))]
        await settle()
        assert fan.clients == 2
        for number in range(10):
            fan.offer(b"%d" % number)
            await settle()
        assert quick == [b"%d" % n for n in range(10)]
        assert slow == [b"0"]
        gate.release()
        await settle()
        assert slow == [b"0", b"9"]
        assert fan.skipped == 8
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert fan.clients == 0

    asyncio.run(run())


@pytest.mark.parametrize(("age_s", "seen"), [(0.9, [b"old"]), (1.1, [])])
def test_whoever_comes_sees_the_newest_at_once_unless_it_is_old(
    age_s: float, seen: list[bytes]
) -> None:
    async def run() -> None:
        now = [100.0]
        fan = Fan(clock=lambda: now[0])
        fan.attach(asyncio.get_running_loop())
        fan.offer(b"old")
        await settle()
        got: list[bytes] = []
        now[0] += age_s

        async def take(data: bytes) -> None:
            got.append(data)

        task = asyncio.create_task(fan.feed(take))
        await settle()
        assert got == seen
        fan.offer(b"new")
        await settle()
        assert got == [*seen, b"new"]
        assert fan.skipped == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_a_loop_that_is_behind_is_given_one_snapshot_and_not_all() -> None:
    async def run() -> None:
        fan = Fan()
        fan.attach(asyncio.get_running_loop())
        got: list[bytes] = []

        async def take(data: bytes) -> None:
            got.append(data)

        task = asyncio.create_task(fan.feed(take))
        await settle()
        for number in range(1000):  # the loop does not run meanwhile
            fan.offer(b"%d" % number)
        await settle()
        assert got == [b"999"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_nothing_happens_before_and_after_the_loop() -> None:
    fan = Fan()
    fan.offer(b"early")

    async def run() -> None:
        fan.attach(asyncio.get_running_loop())

    asyncio.run(run())
    fan.offer(b"late")
    assert fan.clients == 0
