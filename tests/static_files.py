"""Static files for the tests: found as in the demo, but once for all test clients of a process.

Each test client builds the middleware anew, and to look at some 600 files takes longer than most of what is tested.
"""

from __future__ import annotations

from servestatic.middleware import ServeStaticMiddleware
from servestatic.responders import Redirect, StaticFile


class OnceListedStaticFiles(ServeStaticMiddleware):
    """The product's middleware; the first one's list of files serves the later ones."""

    listed: tuple[dict[str, StaticFile | Redirect], list[tuple[str, str]]] | None = None

    def add_files_from_finders(self) -> None:
        if OnceListedStaticFiles.listed is None:
            super().add_files_from_finders()
            OnceListedStaticFiles.listed = self.files, self.directories
        self.files, self.directories = OnceListedStaticFiles.listed
