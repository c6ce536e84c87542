"""The dashboard as a process: part of the unit only where it is wanted, and beside other runs."""

import json
import socket
import time
import zlib
from pathlib import Path

import httpx
from websockets.sync.client import connect

from rsu.config.load import load_site
from rsu.config.web import WebOptions
from rsu.runtime.graph import WEB_WORKER, load_map, process_plans
from rsu.web.beside import DashboardBeside
from rsu.web.place import place_of
from tests.web.conftest import Teller, track, until

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_the_dashboard_starts_last_and_only_where_it_is_wanted() -> None:
    config = load_site(CONFIGS / "junction.yaml")

    def plans(web: WebOptions | None) -> list:
        return process_plans(config.model_copy(update={"web": web}))

    assert "web" not in [plan.name for plan in plans(None)]
    assert "web" not in [plan.name for plan in plans(WebOptions(enabled=False))]
    last = plans(WebOptions())[-1]
    assert (last.name, last.instance) == ("web", WEB_WORKER)
    assert last.tier > max(plan.tier for plan in plans(None))


def test_the_place_has_a_light_for_every_governed_way_in() -> None:
    config = load_site(CONFIGS / "junction.yaml")
    site_map = load_map(config, CONFIGS)
    place = place_of(config, site_map)
    assert json.loads(json.dumps(place)) == place
    groups = {light["group"] for light in place["lights"]}
    assert groups == {1, 2, 3, 4}
    for light in place["lights"]:
        assert max(abs(light["x"]), abs(light["y"])) < 25  # on the stop lines, round the middle
    camera = next(s for s in place["sensors"] if s["id"] == "north-east")
    assert (camera["x"], camera["y"]) == (16.0, 16.0)
    assert round(camera["view"], 3) == 1.571  # 90°, as the site file says


def test_a_run_in_lock_step_is_shown_beside_it(tell: Teller) -> None:
    config = load_site(CONFIGS / "junction.yaml")
    with socket.socket() as taken:  # somebody else's server: another port is found
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        options = WebOptions(port=taken.getsockname()[1])
        config = config.model_copy(update={"web": options})
        with DashboardBeside(config, CONFIGS) as page:
            assert f":{options.port}/" not in page.address

            def alive() -> bool:
                try:
                    return httpx.get(page.address + "healthz", trust_env=False).text == "ok\n"
                except httpx.TransportError:
                    return False

            until(alive, 60)
            live = page.address.replace("http", "ws") + "live"
            with connect(live, compression=None) as client:
                told: dict = {"tracks": {"list": []}}
                end = time.monotonic() + 30
                while not told["tracks"]["list"] and time.monotonic() < end:
                    page.take(tell.tracks(time.time_ns(), track(7)))
                    told = json.loads(zlib.decompress(client.recv(timeout=30)))
        assert [one["id"] for one in told["tracks"]["list"]] == [7]
        assert not alive()  # it goes with the run
