"""The pool that engines share: order, errors, calls inside calls, forks, and how many threads there are."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time

import pytest

from i2e_deploy.threads import on_threads, thread_count, usable_cores


def doubled(number: int) -> int:
    return 2 * number


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_results_stand_in_the_order_of_the_items(threads: int) -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.02 * (number == 0))
        return 2 * number

    assert on_threads(slow_first, range(20), threads) == [2 * n for n in range(20)]
    assert on_threads(doubled, [], threads) == []


def test_two_threads_work_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=20)

    def meet(_: int) -> int:
        both.wait()
        return threading.get_ident()

    assert len(set(on_threads(meet, range(2), 2))) == 2


def test_the_error_of_the_first_item_is_raised_and_none_is_begun_after_one() -> None:
    begun, second = [], threading.Event()

    def fail(number: int) -> None:
        begun.append(number)
        assert number or second.wait(timeout=20)
        second.set()
        raise ValueError(f"item {number}")

    with pytest.raises(ValueError, match="item 0"):
        on_threads(fail, range(50), 2)
    assert sorted(begun) == [0, 1]


def test_calls_inside_calls_end() -> None:
    def inner(number: int) -> int:
        return sum(on_threads(doubled, range(number), 4))

    assert on_threads(inner, range(30), 300) == [number * (number - 1) for number in range(30)]


def in_a_child(results: multiprocessing.Queue[list[int]]) -> None:
    results.put(on_threads(doubled, range(9), 3))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot fork")
def test_a_forked_child_has_threads_of_its_own() -> None:
    on_threads(doubled, range(9), 3)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=in_a_child, args=(results,))
    child.start()
    assert results.get(timeout=60) == [2 * n for n in range(9)]
    child.join()


def test_torch_says_how_many_threads_where_it_is_loaded() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert thread_count() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("wanted", ["1", "1,2", "", "0", "x", "9999"])
def test_the_environment_says_it_before(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", wanted)
    assert thread_count() == (1 if wanted.startswith("1") else usable_cores())
