"""Participant numbers: stable, unique, rested before reuse."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rsu.v2x.numbers import REST_NS, Numbers


def test_number_stays_while_the_track_lives() -> None:
    ids = Numbers()
    numbers = {track: ids.number(track) for track in (100, 200, 300)}
    assert sorted(numbers.values()) == [1, 2, 3]
    for step in range(100):
        ids.keep_only({100, 300}, step * REST_NS)
        assert ids.number(100) == numbers[100]
        assert ids.number(300) == numbers[300]


def test_freed_number_rests_and_goes_to_the_back_of_the_queue() -> None:
    ids = Numbers()
    for track in range(255):
        assert ids.number(track) == track + 1
    assert ids.number(999) is None
    ids.keep_only(set(range(1, 255)), now_ns=0)  # track 0 has gone
    assert ids.number(999) is None
    ids.keep_only(set(range(1, 255)), now_ns=REST_NS - 1)
    assert ids.number(999) is None
    ids.keep_only(set(range(1, 255)), now_ns=REST_NS)
    assert ids.number(999) == 1


def test_unused_numbers_go_before_rested_ones() -> None:
    ids = Numbers()
    assert ids.number(1) == 1
    ids.keep_only(set(), 0)
    ids.keep_only(set(), REST_NS)
    assert [ids.number(track) for track in range(2, 5)] == [2, 3, 4]


def test_track_that_comes_back_while_its_number_rests_gets_it_again() -> None:
    ids = Numbers()
    ids.number(1)
    ids.number(2)
    ids.keep_only({2}, 0)
    ids.keep_only({1, 2}, REST_NS // 2)
    assert ids.number(1) == 1
    # …and holds it beyond the end of the rest that was broken off.
    ids.keep_only({1, 2}, 2 * REST_NS)
    assert ids.number(1) == 1
    assert ids.number(3) == 3


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.sets(st.integers(0, 400), max_size=300), st.integers(0, 8)), max_size=12)
)
def test_two_live_tracks_never_share_a_number(steps: list[tuple[set[int], int]]) -> None:
    ids = Numbers()
    now_ns, previous, last_used = 0, {}, {}
    for tracks, seconds in steps:
        now_ns += seconds * 1_000_000_000
        ids.keep_only(tracks, now_ns)
        numbers = {track: ids.number(track) for track in sorted(tracks)}
        given_out = [number for number in numbers.values() if number is not None]
        assert len(given_out) == len(set(given_out))
        assert all(1 <= number <= 255 for number in given_out)
        for track, number in numbers.items():
            if previous.get(track) is not None:
                assert number == previous[track]
            if number is not None:
                owner, when = last_used.get(number, (track, -REST_NS))
                assert owner == track or now_ns - when >= REST_NS
                last_used[number] = (track, now_ns)
        previous = numbers
