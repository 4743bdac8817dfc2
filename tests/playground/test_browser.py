"""The page in a real browser: what a visitor sees, and what keys, fingers and the mouse do."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import Browser, Page, chromium, running
from visiting import COMPUTE, busy, dodger, racer, serving

from worldmodels.playground.app import Playground
from worldmodels.playground.cast import Role

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(chromium() is None, reason="there is no Chromium here (apt-get install chromium)"),
]
HEADER = "worldmodels.frame.header"
FRAMES = 30
"""Frames a second that two cores have to give."""


@pytest.fixture(scope="module")
def roles() -> dict[str, Role]:
    return {
        "racer": Role.of("racer", racer(), COMPUTE),
        "dodger": Role.of("dodger", dodger(), COMPUTE),
    }


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    path = chromium()
    assert path
    with running(path, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def address(roles: dict[str, Role]) -> Iterator[str]:
    with serving(Playground(roles, limit=2)) as address:
        yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    with browser.page() as page:
        page.size(1280, 820)
        page.open(address)
        page.wait("window.worldmodels?.frame")
        yield page
        assert page.complaints == []


def state(page: Page, path: str) -> object:
    return page.run(f"{HEADER}.{path}")


def image(page: Page, canvas: str = "dream") -> str:
    return page.run(f"document.getElementById('{canvas}').toDataURL()")


def click(page: Page, name: str) -> None:
    page.run(f"document.getElementById('{name}').click()")


def choose(page: Page, agent: str) -> None:
    page.run(f"document.getElementById('agent').value = '{agent}'")
    page.run("document.getElementById('agent').dispatchEvent(new Event('change'))")
    page.wait(f"{HEADER}.agent === '{agent}'")


def paused(page: Page) -> int:
    """Pause; the step at which the dream stands."""
    if page.run("worldmodels.settings.playing"):
        click(page, "play")
    time.sleep(0.3)
    return state(page, "dream.step")


def test_the_dream_is_seen_to_move(page: Page):
    seen = set()
    for _ in range(20):
        seen.add(image(page))
        time.sleep(0.05)
    assert len(seen) > 10
    assert page.run("document.getElementById('link-text').textContent") == "Connected"
    assert "step" in page.run("document.getElementById('dream-tally').textContent")


def test_a_held_key_drives(page: Page):
    for code, entry, value in (("ArrowLeft", 0, -1), ("KeyD", 0, 1), ("ArrowUp", 1, 1), ("KeyS", 2, 0.8)):
        page.key("down", code, code)
        page.wait(f"Math.abs({HEADER}.action[{entry}] - {value}) < 1e-6")
        assert page.run("document.querySelectorAll('#pad [aria-pressed=true]').length") == 1
        page.key("up", code, code)
        page.wait(f"{HEADER}.held.length === 0 && {HEADER}.action[{entry}] === {HEADER}.proposed[{entry}]")


def test_the_slider_acts_at_once(page: Page):
    page.run("document.getElementById('temperature').focus()")
    page.press("Home", "Home")
    page.wait(f"{HEADER}.temperature === 0 && {HEADER}.entropy === 0")
    page.press("ArrowRight", "ArrowRight")
    page.wait(f"{HEADER}.temperature === 0.05")
    assert page.run("document.getElementById('temperature-text').textContent") == "0.05"
    assert state(page, "held") == []


def test_restart_and_another_dream(page: Page):
    page.wait(f"{HEADER}.dream.step > 20")
    seed = state(page, "seed")
    click(page, "restart")
    page.wait(f"{HEADER}.dream.step < 10")
    assert state(page, "seed") == seed
    click(page, "renew")
    page.wait(f"{HEADER}.seed === {seed + 1}")


def test_everything_goes_by_keyboard(page: Page):
    step = paused(page)
    page.press("Period", ".", ".")
    page.wait(f"{HEADER}.dream.step === {step + 1}")
    page.press("Space", " ", " ")
    page.wait(f"{HEADER}.dream.step > {step + 3}")
    for mode in ("human", "agent", "shared"):
        page.press("KeyM", "m", "m")
        page.wait(f"worldmodels.settings.mode === '{mode}'")
        page.wait(f"document.querySelector('#mode [value={mode}]').checked")
    page.press("Minus", "-", "-")
    page.wait(f"{HEADER}.temperature === 0.95")


def test_the_focus_goes_everywhere_and_is_seen(page: Page):
    seen = {}
    for _ in range(30):
        page.press("Tab", "Tab")
        name, outline = page.run(FOCUS)
        seen[name] = outline
    assert {"play", "restart", "renew", "agent", "mode", "temperature", "game-switch", "record"} <= set(seen)
    assert {"left", "right", "gas", "brake"} <= set(seen)
    assert all(outline != "none" for name, outline in seen.items() if name != "BODY")


FOCUS = """(() => {
  const focused = document.activeElement;
  const style = getComputedStyle(focused.matches("[type=radio]") ? focused.nextElementSibling : focused);
  return [focused.id || focused.dataset.button || focused.name || focused.tagName, style.outlineStyle];
})()"""


def test_a_focused_button_of_the_pad_is_held_by_space(page: Page):
    page.run("document.querySelector('[data-button=right]').focus()")
    page.key("down", "Space", " ", " ")
    page.wait(f"{HEADER}.action[0] === 1")
    page.key("up", "Space", " ")
    page.wait(f"{HEADER}.held.length === 0")
    assert page.run("worldmodels.settings.playing")


def test_the_real_game_beside_the_dream(page: Page):
    click(page, "game-switch")
    page.wait(f"{HEADER}.game?.step > 20")
    assert state(page, "game.step") == state(page, "dream.step")
    assert page.run("document.getElementById('game').getBoundingClientRect().width") > 200
    one = image(page, "game")
    page.wait(f"{HEADER}.game.step > 40")
    assert image(page, "game") != one
    page.press("KeyF", "f", "f")
    page.wait(f"{HEADER}.dream.step < {HEADER}.game.step")
    click(page, "game-switch")
    page.wait(f"{HEADER}.game === null")


def test_another_agent_brings_its_own_buttons(page: Page):
    choose(page, "dodger")
    page.wait("document.querySelectorAll('#pad button').length === 2")
    page.key("down", "KeyA", "a")
    page.wait(f"{HEADER}.action.length === 1 && {HEADER}.action[0] === -1")
    page.key("up", "KeyA", "a")


def test_recordings_are_downloaded(page: Page):
    click(page, "record")
    page.wait(f"{HEADER}.recording > 0.5")
    click(page, "record")
    page.wait("document.querySelectorAll('#files a').length === 2")
    for index, (kind, magic) in enumerate((("gif", "GIF89a"), ("mp4", "ftyp"))):
        start = page.run(
            f"fetch(document.querySelectorAll('#files a')[{index}].href).then((answer) => answer.arrayBuffer())"
            ".then((bytes) => String.fromCharCode(...new Uint8Array(bytes, 0, 12)))"
        )
        assert magic in start, kind


@pytest.mark.parametrize("role", ["racer", "dodger"])
def test_it_is_quick(page: Page, role: str, record_property: Callable[[str, object], None]):
    choose(page, role)
    rounds = []
    while len(rounds) < ROUNDS and not (rounds and rounds[-1][0] >= FRAMES and rounds[-1][1][10] <= QUICK):
        delays = sorted(delays_of_keys(page, 10))
        rounds.append((page.run("worldmodels.stats.fps"), delays))
    fps, delays = max(rounds, key=lambda measured: measured[0] / measured[1][10])
    measured = (
        f"{fps:.1f} frames/s; key to frame: median {delays[10]:.1f} ms, 90 % {delays[18]:.1f} ms; "
        f"best of {len(rounds)} rounds of 20 inputs"
    )
    record_property("measured", measured)
    if judged := busy():
        pytest.skip(measured + judged)
    assert page.run("worldmodels.stats.dropped") == 0
    assert fps >= FRAMES
    assert delays[10] <= QUICK


ROUNDS = 5
QUICK = 60.0
"""Milliseconds from a key to its frame on the screen: a step of the dream, a refresh of the screen, and the work."""


def delays_of_keys(page: Page, presses: int) -> list[float]:
    """What the page measures while a key goes down and up."""
    page.run("worldmodels.stats.delays.length = 0")
    for _ in range(presses):
        page.key("down", "ArrowLeft", "ArrowLeft")
        time.sleep(0.06)
        page.key("up", "ArrowLeft", "ArrowLeft")
        time.sleep(0.04)
    page.wait(f"worldmodels.stats.delays.length === {2 * presses}")
    return page.run("worldmodels.stats.delays")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 820)])
def test_it_is_usable_at_every_size_in_both_schemes(page: Page, tmp_path: Path, scheme: str, width: int, height: int):
    page.prefer(prefers_color_scheme=scheme)
    page.size(width, height, mobile=width < 500, scale=2)
    for beside in (False, True):
        if beside:
            click(page, "game-switch")
            page.wait(f"{HEADER}.game?.step > 2")
        time.sleep(0.3)
        assert page.run("document.documentElement.scrollWidth <= innerWidth")
        small = page.run(SMALL)
        assert small == []
    assert contrast(page, "--ink", "--paper") >= 7
    for ink, paper in (("--soft", "--paper"), ("--soft", "--card"), ("--soft", "--sunk"), ("--on-accent", "--accent")):
        assert contrast(page, ink, paper) >= 4.5, (ink, paper)
    page.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


SMALL = """[...document.querySelectorAll("button, select, [role=switch], .choice label")]
  .filter((element) => element.offsetParent)
  .filter((element) => Math.min(element.getBoundingClientRect().width, element.getBoundingClientRect().height) < 24)
  .map((element) => element.id || element.textContent)"""


def contrast(page: Page, ink: str, paper: str) -> float:
    """Contrast ratio of two of the page's colours (WCAG 2)."""
    colours = page.run(
        f"[{ink!r}, {paper!r}].map((name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim())"
    )
    lights = []
    for colour in colours:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def test_a_finger_drives(page: Page):
    page.size(360, 740, mobile=True)
    page.run("document.getElementById('pad').scrollIntoView()")
    page.touch("start", "[data-button=gas]")
    page.wait(f"{HEADER}.action[1] === 1")
    page.touch("end", "[data-button=gas]")
    page.wait(f"{HEADER}.held.length === 0")


def test_a_thumb_that_is_lifted_leaves_the_other_ones_button_held(page: Page):
    page.size(360, 740, mobile=True)
    page.run("document.getElementById('pad').scrollIntoView()")
    page.run("document.querySelector('[data-button=gas]').focus()")
    page.touch("start", "[data-button=gas]")
    page.touch("start", "[data-button=gas]", "[data-button=left]")
    page.wait(f"{HEADER}.held.join() === 'gas,left'")
    page.touch("end", "[data-button=left]")
    page.wait(f"{HEADER}.held.join() === 'gas'")
    time.sleep(0.3)
    assert state(page, "held") == ["gas"]
    page.touch("end", "[data-button=gas]")


def test_who_chooses_an_agent_by_mouse_drives_on_by_keyboard(page: Page):
    page.run("document.getElementById('agent').focus()")
    page.press("Shift", "Shift")
    choose(page, "dodger")
    assert page.run("document.activeElement.id") == "agent"  # who came by keyboard goes on from there
    page.run("dispatchEvent(new PointerEvent('pointerdown'))")
    choose(page, "racer")
    page.key("down", "ArrowLeft", "ArrowLeft")
    page.wait(f"{HEADER}.held.join() === 'left'")
    page.key("up", "ArrowLeft", "ArrowLeft")
    assert state(page, "agent") == "racer"


def test_who_asks_for_less_motion_begins_with_a_pause(browser: Browser, address: str):
    with browser.page() as page:
        page.prefer(prefers_reduced_motion="reduce")
        page.open(address)
        page.wait("window.worldmodels?.frame")
        time.sleep(0.5)
        assert state(page, "dream.step") == 0
        page.press("Period", ".", ".")
        page.wait(f"{HEADER}.dream.step === 1")


def test_a_full_house_is_said_and_asked_again(browser: Browser, roles: dict[str, Role]):
    with serving(Playground(roles, limit=1)) as address, browser.page() as second:
        with browser.page() as first:
            first.open(address)
            first.wait("window.worldmodels?.frame")
            second.open(address)
            second.wait("document.getElementById('link-text')?.textContent.includes('full')")
        second.wait("window.worldmodels?.frame")


def test_a_server_that_is_gone_is_said_and_found_again(browser: Browser, roles: dict[str, Role]):
    with browser.page() as page:
        with serving(Playground(roles, limit=1)) as address:
            page.open(address)
            page.wait("window.worldmodels?.frame")
            page.press("KeyM", "m", "m")
            page.press("Equal", "+", "+")
            page.wait(f"{HEADER}.temperature === 1.05")
        page.wait("document.getElementById('link-text').textContent.includes('gone')")
        assert page.run("document.body.dataset.link") == "gone"
        assert "gone" in page.run("document.getElementById('dream-veil').textContent")
        page.run("worldmodels.frame.header.temperature = null")
        page.key("down", "ArrowLeft", "ArrowLeft")
        with serving(Playground(roles, limit=1), port=int(address.rsplit(":", 1)[1].strip("/"))):
            page.wait(f"{HEADER}.temperature === 1.05")
            assert page.run("document.body.dataset.link") == "live"
            assert page.run("worldmodels.settings.mode") == "human"
            page.wait(f"{HEADER}.held.join() === 'left'")


def test_a_broken_message_from_the_page_is_answered(page: Page):
    page.run(
        "new Promise((done) => { const s = new WebSocket(location.href.replace('http', 'ws') + 'visit');"
        " s.onopen = () => s.send('{'); s.onmessage = ({data}) => { const m = JSON.parse(data);"
        " if (m.type === 'problem') { s.close(); done(m.text) } } })"
    )
    assert json.loads(page.run(f"JSON.stringify({HEADER})"))["dream"]["step"] >= 0
