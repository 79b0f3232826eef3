"""The page in a real browser: headless Chromium, its WebGL in software."""

import io
import shutil
import threading
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from tests.trainers.play.test_server import free_port
from trainers.stage import open_stage

CHROMIUM = next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)
SOFTWARE_GL = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
PATIENCE_MS = 120_000
PRESS = "name => [...document.querySelectorAll('button')].find(b => b.innerText.trim() === name).click()"

pytest.importorskip("viser", reason="the extra `lab` is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")


def test_the_page_shows_the_robot_and_its_buttons_reach_the_simulation() -> None:
    from trainers.play.server import play
    from trainers.play.session import Session

    port, shown, failed = free_port(), threading.Event(), []

    def look() -> None:
        try:
            with playwright.sync_playwright() as driver:
                browser = driver.chromium.launch(executable_path=CHROMIUM, args=SOFTWARE_GL)
                page = browser.new_page(viewport={"width": 800, "height": 500})
                page.set_default_timeout(PATIENCE_MS)
                page.goto(f"http://127.0.0.1:{port}")
                page.wait_for_selector("text=Reward terms")
                page.wait_for_selector("text=reach_near")
                page.evaluate(PRESS, "Pause")
                page.wait_for_selector("text=paused")
                for _ in range(30):
                    pictures.append(
                        np.asarray(Image.open(io.BytesIO(page.screenshot(timeout=PATIENCE_MS))).convert("RGB"))
                    )
                    if blue_pixels(pictures[-1]) > 200:
                        break
                    page.wait_for_timeout(1000)
                browser.close()
        except Exception as error:  # told to the test below
            failed.append(error)
        finally:
            shown.set()
            session.ask(lambda: (_ for _ in ()).throw(KeyboardInterrupt))

    pictures: list[np.ndarray] = []
    with closing(open_stage("arm_reach_ppo")) as stage:
        session = Session(stage)
        visitor = threading.Thread(target=look)
        play(session, "127.0.0.1", port, seconds=300.0, announce=lambda _: visitor.start())
        visitor.join()
        assert not failed, failed
        assert session.paused
        assert session.steps > 0
    assert blue_pixels(pictures[-1]) > 200  # the arm's joints


def blue_pixels(picture: np.ndarray) -> int:
    """Count pixels of the arm's blue in the left part, where the scene is."""
    red, green, blue = picture[:, : picture.shape[1] // 2].astype(int).transpose(2, 0, 1)
    return int(((blue > 90) & (blue - red > 80) & (blue - green > 30)).sum())
