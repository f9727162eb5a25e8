"""The header of classic NetCDF files: where it says that the last value ends.

The format is that of https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html: CDF-1, CDF-2
(64-bit offsets) and CDF-5 (64-bit sizes).
"""

import math
from typing import BinaryIO

# bytes of a value, by the number of its type
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}


class _Header:
    def __init__(self, file: BinaryIO):
        self.file = file
        self.version = self._bytes(4)[3]

    def _bytes(self, count: int) -> bytes:
        found = self.file.read(count)
        if len(found) < count:
            raise ValueError("its header is not complete")
        return found

    def integer(self, size: int) -> int:
        return int.from_bytes(self._bytes(size), "big")

    def count(self) -> int:
        return self.integer(8 if self.version == 5 else 4)

    def offset(self) -> int:
        return self.integer(4 if self.version == 1 else 8)

    def skip(self, size: int):
        self.file.seek(_padded(size), 1)

    def entries(self) -> range:
        self.integer(4)  # the kind of list
        return range(self.count())

    def skip_attributes(self):
        for _ in self.entries():
            self.skip(self.count())  # name
            kind = self.integer(4)
            self.skip(self.count() * _SIZES[kind])


def _padded(size: int) -> int:
    return -(-size // 4) * 4


def end_of_values(file: BinaryIO) -> int:
    """How many bytes a classic NetCDF file must have for all values that its header tells of.

    Raises:
        ValueError, LookupError: the header is cut off or damaged.
    """
    header = _Header(file)
    records = header.count()
    streaming = records == 2 ** (64 if header.version == 5 else 32) - 1  # as many as there are
    lengths = []
    for _ in header.entries():
        header.skip(header.count())
        lengths.append(header.count())
    header.skip_attributes()
    end, of_records = 0, []
    for _ in header.entries():
        header.skip(header.count())
        dimensions = [header.count() for _ in range(header.count())]
        header.skip_attributes()
        kind = header.integer(4)
        header.count()  # its size, which may be too large for the field
        begin = header.offset()
        shape = [lengths[k] for k in dimensions]
        if shape and shape[0] == 0:  # along the records
            of_records.append((begin, math.prod(shape[1:]) * _SIZES[kind]))
        else:
            end = max(end, begin + math.prod(shape) * _SIZES[kind])
    step = of_records[0][1] if len(of_records) == 1 else sum(_padded(size) for _, size in of_records)
    if records and not streaming:
        end = max([end, *(begin + (records - 1) * step + size for begin, size in of_records)])
    return max(end, header.file.tell())
