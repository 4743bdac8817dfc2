"""Play inside an agent's dream, on a page in the browser."""

from pathlib import Path

from worldmodels.cli import stage_main
from worldmodels.playground import play_dream

if __name__ == "__main__":
    stage_main(
        play_dream,
        ["compute"],
        name=(tuple[str, ...], (), "Names of the run's controllers to visit; all finished ones if not given."),
        checkpoint=(tuple[Path, ...], (), "Folders of trained agents to visit too."),
        host=(str, "127.0.0.1", "Address to listen on. Only this machine reaches 127.0.0.1; 0.0.0.0 is for everyone."),
        port=(int, 8000, "Port to listen on; 0 takes a free one."),
        max_visitors=(int, 8, "Visitors at once, each in a dream of their own."),
        show=(bool, True, "Open the page in a browser, where there is one."),
    )
