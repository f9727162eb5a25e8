"""What lies in a folder."""

import os
from pathlib import Path

from ...files import refuse_special


def files_in(folder: Path) -> list[Path]:
    """All files below ``folder``, hidden ones and hidden folders aside; an OSError if one cannot be looked into.

    Raises:
        ValueError: symbolic links lead in a circle, or there is something that is no file.
    """

    def refuse(error):
        raise error

    found = []
    for place, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = os.path.realpath(place)
        for name in folders:
            target = os.path.realpath(os.path.join(place, name))
            if os.path.commonpath([here, target]) == target:
                raise ValueError(f"{os.path.join(place, name)} is a symbolic link that leads in a circle: take it out.")
        found += [Path(place, name) for name in names if not name.startswith(".")]
    for path in found:
        refuse_special(path)
    return sorted(found)
