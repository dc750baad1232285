"""The cost model: its page is remade by its command, and it moves as it should."""

import json
import re
from dataclasses import fields, replace

import pytest

from deploy.cost import PHOTOS, Inputs, amounts, main, rates, report
from snake_assets.storage.tables.manifest import Shard, shards_to_json
from snake_assets.vision.embedding.tables import DINOV2
from supply.locks import PROJECT

PAGE = (PROJECT / "deploy" / "README.md").read_text()


def number(text: str) -> float:
    """The number in a cell."""
    return float(re.sub(r"[^0-9.]", "", text))


def test_the_page_has_what_the_command_prints(capsys: pytest.CaptureFixture[str]):
    main([])
    told = capsys.readouterr().out.strip()
    assert told in PAGE, "run python -m deploy.cost and put what it prints in the page"


def test_every_input_says_whether_it_was_measured():
    kinds = "measured", "counted", "data sheet", "assumed", "dollars", "cores", "photos", "tables"
    assert all(one.metadata["told"].startswith(kinds) for one in fields(Inputs))


def test_twice_as_fast_is_half_as_dear():
    given = Inputs()
    fast = replace(given, cpu_s_per_photo=given.cpu_s_per_photo / 2)
    cpu, twice = rates(given)[0], rates(fast)[0]
    assert number(twice[1]) == pytest.approx(2 * number(cpu[1]), rel=0.02)
    assert number(amounts(fast)[-1][1]) == pytest.approx(number(amounts(given)[-1][1]) / 2, rel=0.02)


def test_a_gpu_is_no_faster_than_its_cores_decode():
    few = replace(Inputs(), gpu_cores=0.01)
    assert few.gpu_waits and few.gpu_photos_s == pytest.approx(0.01 / few.decode_cpu_s_per_photo)
    many = replace(Inputs(), gpu_cores=10_000.0)
    assert not many.gpu_waits and many.gpu_photos_s > Inputs().cpu_photos_s
    assert "which decode" in report(few) and "which decode" not in report(many).split("What limits")[1]


def test_amounts_grow_with_photos():
    first, second, third = ([number(cell) for cell in row[:2]] for row in amounts(Inputs()))
    assert [row[0] for row in (first, second, third)] == pytest.approx(PHOTOS, rel=0.01)
    assert third[1] == pytest.approx(100 * second[1], rel=0.02)


def test_what_was_counted_is_so():
    shard = Shard("part-00000.parquet", "a" * 64, 512, 31_000_000, "a" * 64, (), "a" * 64)
    one, two = (len(json.dumps({"shards": shards_to_json((shard,) * n)}, indent=1)) for n in (1, 2))
    assert Inputs().manifest_bytes_per_shard == pytest.approx(two - one, rel=0.05)
    page = (PROJECT / "docs" / "embedding.md").read_text()
    kilobytes = [float(found) for found in re.findall(r"\| ([0-9.]+) kB \|", page)]
    assert f"`{DINOV2}`" in page and Inputs().vectors_kb == pytest.approx(sum(kilobytes), rel=0.05)


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan", "much"])
def test_what_makes_no_sense_is_refused(value: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--gpu-hour", value])
    assert "--gpu-hour" in capsys.readouterr().err
