"""An NTFS volume, by libfsntfs: folders by path, what is in them, and files by their number in the MFT.

A file is never opened by its path: that costs a search of every folder on the way (2 ms in a folder of 1,000 files, by number 0.1 ms).
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple

from exporter.errors import EvidenceError
from exporter.evidence.images import lzx
from exporter.evidence.images.folder_check import Check, FolderCheck, part_of
from exporter.evidence.images.libyal import library, reading
from exporter.evidence.images.media import Media, media_of
from exporter.formats.mft_entry import packing_method
from exporter.formats.ntfs_index import Listed, attribute_list, further_entries, read_index
from exporter.records import Rejected

_INDEX = (1 << 48) - 1
_REPARSE_POINT, _COMPRESSED, _ENCRYPTED, _FOLDER = 0x400, 0x800, 0x4000, 0x10000000
_IS_HOLE = 1
_PACKED = "WofCompressedData"
"""The stream where Windows keeps what its Overlay Filter has compressed; libfsntfs unpacks it, given the reparse point too."""
_ALLOCATED, _LARGEST_ENTRY, _LARGEST_LIST = 28, 1 << 16, 1 << 18
"""Where an entry of the MFT tells its own size."""
_LARGEST_SOUND = 4096
"""In volumes with larger clusters libfsntfs does not find its way in lists of entries."""
_CLUSTER = 11
"""Where the boot sector tells bytes of a sector and sectors of a cluster."""
_UNREACHED = "blocks of it are in use that it does not lead to"
_ATTRIBUTE_LIST, _FILE_NAME, _OF_DOS = 0x20, 0x30, 2
_FIRST_OF_USERS = 24
"""Lower entries of the MFT are the file system's own."""


class Entry(NamedTuple):
    """A file or folder: its number in the MFT with the count of its uses, times in ticks, size in bytes.

    `link` is the target of a link, which is not followed.
    """

    name: str
    reference: int
    is_folder: bool
    size: int
    created_at: int
    modified_at: int
    changed_at: int
    accessed_at: int
    link: str | None = None
    encrypted: bool = False


class Ntfs:
    """A volume. All methods raise EvidenceError."""

    def __init__(self, media: Media) -> None:
        self._volume, self._media = library("pyfsntfs").volume(), media
        with reading("the NTFS volume cannot be opened"):
            self._volume.open_file_object(media)
            self._root = self._volume.get_root_directory().file_reference
            sector, clusters = struct.unpack("<HB", media.read_at(_CLUSTER, 3))
        self._cluster_bytes = sector * (clusters if clusters <= 0x80 else 1 << 0x100 - clusters)
        self._checked = lru_cache(maxsize=64)(self._check)

    @property
    def label(self) -> str:
        """The volume's name; empty when it has none or cannot be read."""
        try:
            with reading("label"):
                return self._volume.get_name() or ""
        except EvidenceError:
            return ""

    def folder(self, path: tuple[str, ...]) -> tuple[int, tuple[str, ...]] | None:
        """The reference of a folder and its path as it is spelled there; None when there is none or a link stands there."""
        reference, spelled = self._root, []
        for end in range(1, len(path) + 1):
            with reading(f"folder `{'/'.join(path[:end])}`"):
                entry = self._found(reference, path[:end])
                _check_there(entry)
                if entry is None or _is_link(entry) or not _is_folder(entry, entry.attributes):
                    return None
                reference = entry.file_reference
                spelled.append(entry.name or path[end - 1])
        return reference, tuple(spelled)

    def _found(self, folder: int, path: tuple[str, ...]) -> Any:
        """What stands at a path, whose last component is in this folder; None when nothing does."""
        if self._cluster_bytes <= _LARGEST_SOUND:
            return self._volume.get_file_entry_by_path("\\" + "\\".join(path))
        sought = path[-1].casefold()
        return next((_Numbered(self._volume, one) for one in self._checked(folder).listed if one.name.casefold() == sought), None)

    def entries(self, reference: int) -> Iterator[Entry | Rejected]:
        """What is in a folder, without the file system's own files; each that cannot be read as Rejected."""
        with reading("folder"):
            folder = self._volume.get_file_entry(reference & _INDEX)
            _check_there(folder)
            if not folder.has_directory_entries_index():
                raise EvidenceError("it has no list of what is in it: damaged")
        for shown in self._shown(folder):
            try:
                with reading("an entry of this folder"):
                    entry = shown()
                    if not _is_of_system(entry):
                        yield from _told(entry, folder.file_reference)
            except EvidenceError as error:
                yield Rejected(None, error.reason)
        yield from self._astray(folder)

    def _shown(self, folder: Any) -> Iterator[Callable[[], Any]]:
        """What opens each thing in a folder: libfsntfs, where it can."""
        if self._cluster_bytes <= _LARGEST_SOUND:
            with reading("folder"):
                number = folder.number_of_sub_file_entries
            yield from (partial(folder.get_sub_file_entry, index) for index in range(number))
        else:
            listed = self._checked(folder.file_reference).listed
            yield from (partial(_Numbered, self._volume, one) for one in listed if one.name_space != _OF_DOS)

    def _check(self, folder: int) -> Check:
        """The list of a folder, followed once more."""
        with reading("the list of entries"):
            entry = self._mft_entry(folder)
            spread = attribute_list(entry)
            told = part_of(spread, 0, min(spread.size or _LARGEST_LIST, _LARGEST_LIST), self._media, self._cluster_bytes)
            index = read_index([entry, *map(self._mft_entry, further_entries(told, folder & _INDEX))])
            if index is not None:
                return FolderCheck(index, self._media, self._cluster_bytes).run()
            if self._cluster_bytes > _LARGEST_SOUND:
                raise EvidenceError(f"its list of entries cannot be read in a volume with clusters of {self._cluster_bytes} bytes")
            return Check(None, (), ())

    def _astray(self, folder: Any) -> Iterator[Entry | Rejected]:
        """What is in a folder and its list does not lead to, and a loss where the list is damaged."""
        check = self._checked(folder.file_reference)
        with reading("the list of entries"):
            files = ((self._volume.get_file_entry(reference & _INDEX), reference) for reference in check.astray)
            found = [entry for file, reference in files for entry in _found_in(folder, file, reference)]
        yield from found
        if check.fault is not None or found:
            yield Rejected(None, f"its list of entries is damaged: {check.fault or _UNREACHED}; {len(found)} of them were found without it")

    def _mft_entry(self, reference: int) -> bytes:
        """The entry of a file or folder as it lies on the disk."""
        table = self._volume.get_file_entry(0)
        size = min(int.from_bytes(table.read_buffer_at_offset(4, _ALLOCATED), "little"), _LARGEST_ENTRY)
        return bytes(table.read_buffer_at_offset(size, (reference & _INDEX) * size))

    def data(self, entry: Entry, stream: str = "") -> Media:
        """The bytes of a file, or of an alternate stream of it."""
        if entry.encrypted:
            raise EvidenceError("encrypted by Windows (EFS): not read")
        with reading("the file cannot be opened"):
            there = self._volume.get_file_entry(entry.reference & _INDEX)
            _check_there(there)
            if there.file_reference != entry.reference:
                raise EvidenceError("its entry in the MFT belongs to another file")
            if not stream and _is_hollow(there):
                raise EvidenceError("its content is not in it but elsewhere (deduplicated, in the cloud, or packed): not read")
            data = there if not stream else there.get_alternate_data_stream_by_name(stream)
            if data is None:
                raise EvidenceError(f"it has no stream `{stream}`")
            found = media_of(data, data.get_size(), "the file")
            return found if stream or self._method(there) != lzx.METHOD else lzx.mended(found, self.data(entry, _PACKED))

    def _method(self, entry: Any) -> int | None:
        """How Windows' Overlay Filter has compressed a file, which libfsntfs does not tell; None for a file that it has not."""
        if not entry.has_alternate_data_stream_by_name(_PACKED):
            return None
        method = packing_method(self._mft_entry(entry.file_reference))
        if method is None:
            raise EvidenceError("it is compressed by the system, and it cannot be told how: not read")
        return method

    def streams(self, entry: Entry) -> list[tuple[str, int]]:
        """Names and sizes of a file's alternate streams."""
        with reading("alternate streams"):
            there = self._volume.get_file_entry(entry.reference & _INDEX)
            return [(stream.name, stream.size) for stream in there.alternate_data_streams]

    def close(self) -> None:
        """Closes the volume."""
        with reading("closing"):
            self._volume.close()


class _Numbered:
    """An entry of the MFT that a list names, as libfsntfs shows one that it has found in a list itself."""

    def __init__(self, volume: Any, listed: Listed) -> None:
        self._entry, self._listed, self.name = volume.get_file_entry(listed.reference & _INDEX), listed, listed.name
        if self._entry.file_reference not in (0, listed.reference):
            raise EvidenceError(f"the entry of `{listed.name}` in the MFT belongs to another file")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._entry, name)

    def get_i30_file_reference(self) -> int:
        return self._listed.reference

    def get_i30_file_attribute_flags(self) -> int:
        return self._listed.flags

    def get_i30_modification_time_as_integer(self) -> int:
        return self._listed.modified_at


def _told(entry: Any, folder: int) -> Iterator[Entry | Rejected]:
    """An entry, and a loss of no unit where folder and file say differently what it is called: NTFS has no other check of a name."""
    if _is_lost(entry):
        yield _lost(entry)
        return
    attributes = list(entry.attributes)
    names = [one for one in attributes if one.attribute_type == _FILE_NAME]
    elsewhere = any(one.attribute_type == _ATTRIBUTE_LIST for one in attributes)
    if not (elsewhere or any(one.name == entry.name and one.parent_file_reference == folder for one in names)):
        own = ", ".join(f"`{one.name}`" for one in names) or "nothing"
        yield Rejected(None, f"the folder calls an entry `{entry.name}`, the entry itself says {own}: one of them is damaged", units=0)
    yield _entry(entry, _is_folder(entry, names))


def _found_in(folder: Any, file: Any, reference: int) -> Iterator[Entry]:
    """A file that is in use under this reference, and in this folder by what it says itself; it has a name of DOS where it has another."""
    names = [one for one in file.attributes if one.attribute_type == _FILE_NAME and one.parent_file_reference == folder.file_reference]
    if names and file.file_reference == reference and file.is_allocated():
        name = min(names, key=lambda name: name.name_space == _OF_DOS).name
        yield _entry(file, _is_folder(file, names))._replace(name=name)


def _is_of_system(entry: Any) -> bool:
    """Whether it is one of the file system's own files, as which a damaged number makes no other pass."""
    return bool(entry.get_i30_file_reference() & _INDEX < _FIRST_OF_USERS and entry.name.startswith(("$", ".")))


def _is_lost(entry: Any) -> bool:
    """Whether its entry in the MFT is none: libfsntfs gives an empty one, or that of the MFT itself."""
    return bool(entry.file_reference & _INDEX == 0)


def _check_there(entry: Any) -> None:
    if entry is not None and _is_lost(entry):
        raise EvidenceError("its entry in the MFT is empty or damaged")


def _lost(entry: Any) -> Entry:
    """What the folder says of a file or folder whose entry in the MFT is none: reading it tells that."""
    is_folder = bool(entry.get_i30_file_attribute_flags() & _FOLDER)
    return Entry(entry.name, entry.get_i30_file_reference(), is_folder, 0, 0, entry.get_i30_modification_time_as_integer(), 0, 0)


def _entry(entry: Any, is_folder: bool) -> Entry:
    return Entry(
        name=entry.name,
        reference=entry.file_reference,
        is_folder=is_folder,
        size=0 if is_folder else entry.size,
        created_at=entry.get_creation_time_as_integer(),
        modified_at=entry.get_modification_time_as_integer(),
        changed_at=entry.get_entry_modification_time_as_integer(),
        accessed_at=entry.get_access_time_as_integer(),
        link=entry.symbolic_link_target or "" if _is_link(entry) else None,
        encrypted=bool(entry.file_attribute_flags & _ENCRYPTED),
    )


def _is_folder(entry: Any, attributes: Iterable[Any]) -> bool:
    """Whether it has a list of entries; raises EvidenceError for a folder that has lost it, which libfsntfs takes for a file."""
    if entry.has_directory_entries_index():
        return True
    if any(one.file_attribute_flags & _FOLDER for one in attributes if one.attribute_type == _FILE_NAME):
        raise EvidenceError(f"`{entry.name}` is a folder without a list of what is in it: damaged")
    return False


def _is_hollow(entry: Any) -> bool:
    """Whether a file has holes in the place of content that a filter of Windows would fill in; libfsntfs reads them as zeros.

    A file with NTFS compression has a hole in each unit; what libfsntfs unpacks has none, its extents are those of the packed stream.
    """
    if not (entry.file_attribute_flags & _REPARSE_POINT or entry.has_alternate_data_stream_by_name(_PACKED)):
        return False
    holes = [bool(entry.get_extent(index)[2] & _IS_HOLE) for index in range(entry.number_of_extents)]
    return bool(holes) and (all if entry.file_attribute_flags & _COMPRESSED else any)(holes)


def _is_link(entry: Any) -> bool:
    """A symbolic link, junction or mount point; other reparse points (compressed, deduplicated) are ordinary files."""
    return bool(entry.file_attribute_flags & _REPARSE_POINT) and entry.symbolic_link_target is not None
