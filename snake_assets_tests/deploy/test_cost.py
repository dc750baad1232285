"""The cost model: its page is remade by its command, and it moves as it should."""

import re
from dataclasses import replace

import pytest

from deploy.cost import Inputs, amounts, main, rates, report
from supply.locks import PROJECT


def number(text: str) -> float:
    """The number in a cell."""
    return float(re.sub(r"[^0-9.]", "", text))


def test_the_page_has_what_the_command_prints(capsys: pytest.CaptureFixture[str]):
    main([])
    told = capsys.readouterr().out.strip()
    page = (PROJECT / "deploy" / "README.md").read_text()
    assert told in page, "run python -m deploy.cost and put what it prints in the page"


def test_twice_as_fast_is_half_as_dear_and_a_gpu_is_no_faster_than_its_cores_decode():
    given = Inputs()
    fast = replace(given, cpu_s_per_photo=given.cpu_s_per_photo / 2)
    assert number(rates(fast)[0][1]) == pytest.approx(2 * number(rates(given)[0][1]), rel=0.02)
    assert number(amounts(fast)[-1][1]) == pytest.approx(number(amounts(given)[-1][1]) / 2, rel=0.02)
    few = replace(given, gpu_cores=0.01)
    assert few.gpu_photos_s == pytest.approx(0.01 / few.decode_cpu_s_per_photo)
    assert "its cores, which decode" in report(few)
    assert replace(given, gpu_cores=10_000.0).gpu_photos_s > given.cpu_photos_s


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "much"])
def test_what_makes_no_sense_is_refused(value: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--gpu-hour", value])
    assert "--gpu-hour" in capsys.readouterr().err
