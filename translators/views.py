"""What an action may answer in place of a list: references to rows, to be shown when needed.

Holds no rendering and no cache; both are the door's. A view by itself is a plain dict in the
model's names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

Load = Callable[[Sequence[int]], Mapping[int, Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class Fragments:
    """A list of rows by (key, version): what was shown of a row before need not be made again.

    `kind` and the key name a row, and everything that its view shows: a row whose view differs by
    who looks needs a `kind` for each of them. The version is raised by whatever changes the view.
    `load` answers views for keys; it must read the same moment of the state that `pairs` came
    from. Lists of one answer with equal `kind` and `load` are loaded together.
    """

    kind: str
    pairs: Sequence[tuple[int, int]]
    load: Load

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[Mapping[str, object]]:
        """Yield the plain views in order, all of them loaded anew."""
        views = self.load([key for key, _ in self.pairs])
        for key, _ in self.pairs:
            yield views[key]
