"""What lies in a folder."""

import os
from pathlib import Path


def files_in(folder: Path) -> list[Path]:
    """All files below ``folder``, hidden ones and hidden folders aside; an OSError if one cannot be looked into."""

    def refuse(error):
        raise error

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(place, name) for name in names if not name.startswith(".")]
    return sorted(found)
