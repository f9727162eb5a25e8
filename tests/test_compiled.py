"""Compiled loops on torch's threads."""

import multiprocessing
import threading

import pytest
import torch

from openstl_svq.compiled import in_parts


def worked(count, parts):
    """What each part was given, and on how many threads."""
    seen, threads = [], set()
    both = threading.Barrier(min(parts, 2))

    def work(part, first, last):
        if part < 2:
            both.wait(30)  # passed by those that work at the same time
        seen.append((part, first, last))
        threads.add(threading.get_native_id())

    in_parts(count, parts, work)
    return sorted(seen), len(threads)


@pytest.fixture(params=[2, 3])
def threads(request):
    """As many as there are parts, or more."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_parts_are_worked_on_once_and_at_the_same_time(threads):
    assert worked(7, 2) == ([(0, 0, 3), (1, 3, 7)], 2)
    assert worked(7, 1) == ([(0, 0, 7)], 1)
    assert worked(1, 2) == ([(0, 0, 0), (1, 0, 1)], 2)


def test_an_error_of_any_part_is_the_callers(threads):
    for failing in range(2):
        with pytest.raises(ZeroDivisionError):
            in_parts(2, 2, lambda part, first, last, failing=failing: 1 / (part - failing))
    assert worked(7, 2)[1] == 2  # and the threads go on


def in_child(results):
    results.put(worked(7, 2))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(threads):
    worked(7, 2)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=in_child, args=(results,))
    child.start()
    try:
        assert results.get(timeout=60) == ([(0, 0, 3), (1, 3, 7)], 2)
        child.join(60)
        assert child.exitcode == 0
    finally:
        child.kill()
