"""How EC2 lets one ask for what is not there: ids, filters and pages are checked all the same.

Source: EC2 API Reference, "Describe" actions, "Error codes for the Amazon EC2 API".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from state import ids
from translators import errors, filters, paging
from translators.errors import Ec2Error
from translators.registry import Context, Result

_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Named:
    """A parameter by which single things are asked for; here that is always in vain."""

    member: str
    prefix: str
    """Of the ids; empty where they have none, or where these are names."""
    not_found: str
    """The error's code."""
    noun: str
    """What EC2 calls them where it says that one does not exist; or all of its sentence."""
    malformed: str | None = None
    """The code for what is no such id; None where EC2 has none of its own."""
    form: str | None = None
    """The pattern of ids that are not made as most are."""

    @property
    def word(self) -> str:
        return self.member[0].lower() + self.member[1:]

    def refuse(self, given: Sequence[str]) -> Ec2Error:
        """Answer the error: the form of all comes before the existence of any."""
        return self.wrong_form(given) or self._missing(given)

    def wrong_form(self, given: Sequence[str]) -> Ec2Error | None:
        """Answer the error for the first that cannot name any such thing."""
        if len(given) > _MOST:
            return errors.too_many_ids(len(given), _MOST, self.noun.removesuffix(" ID"))
        for text in given:
            if not text:
                return errors.invalid_parameter_value("", self.word, "The value cannot be empty")
            if not self._is_well_formed(text):
                return self._malformed(text)
        return None

    def _is_well_formed(self, text: str) -> bool:
        if self.form is not None:
            return re.fullmatch(self.form, text) is not None
        return not self.prefix or ids.is_well_formed(self.prefix, text)

    def _malformed(self, text: str) -> Ec2Error:
        if self.malformed == self.not_found:
            return self._missing([text])
        if self.malformed is not None:
            return _malformed(self.malformed, text, self.prefix)
        expected = f"'{self.prefix}-...'" if self.prefix else "an IPv4 address"
        return errors.invalid_parameter_value(text, self.word, f"Expected: {expected}.")

    def _missing(self, given: Sequence[str]) -> Ec2Error:
        return _not_found(self.not_found, self.noun, given)


def _malformed(code: str, text: str, prefix: str) -> Ec2Error:
    return Ec2Error(code, f'Invalid id: "{text}" (expecting "{prefix}-...")')


def _not_found(code: str, noun: str, given: Sequence[str]) -> Ec2Error:
    """Say it in the sentence that ends with a full stop, else of the noun in the usual one."""
    if noun.endswith("."):
        return Ec2Error(code, noun.format(given[0]))
    if len(given) > 1:
        return Ec2Error(code, f"The {noun}s '{', '.join(given)}' do not exist")
    return Ec2Error(code, f"The {noun} '{given[0]}' does not exist")


@dataclass(frozen=True, slots=True)
class Nothing:
    """An action whose list is empty."""

    name: str
    filter_names: str
    """The names that EC2 documents; where `tag-key` is among them, `tag:KEY` is too."""
    named: tuple[Named, ...] = ()
    pages: tuple[int, int] | None = (5, 1000)
    """The bounds of MaxResults; None where the action has no pages."""
    cut_max_results: bool = False
    filters_member: str = "Filters"
    """EC2 calls it Filter in some actions."""
    list_member: str = ""
    """Of the answer; by default the action's name without its verb."""

    def __call__(self, ctx: Context, request: Mapping[str, Any]) -> Result:
        """Check the request as if there could be something, and find nothing.

        :raises Ec2Error: whatever `translators.listing` refuses; the code of what is not found
        """
        given = {one: _texts(request.get(one.member)) for one in self.named}
        if self.pages is not None:
            limit = paging.limit(request, self.pages, cut=self.cut_max_results)
            for one, texts in given.items():
                if texts and limit is not None:
                    raise errors.invalid_parameter_combination(one.word, "maxResults")
            paging.after(ctx, self.name, request)
        for one, texts in given.items():
            if texts:
                raise one.refuse(texts)
        requested = request.get(self.filters_member) or ()
        filters.select((), requested, self._getters(requested))
        return {self.list_member or self.name.removeprefix("Describe"): []}

    def check(self, request: Mapping[str, Any]) -> None:
        """Look at the form of what is named.

        :raises Ec2Error: for the first that cannot name any such thing
        """
        for one in self.named:
            if error := one.wrong_form(_texts(request.get(one.member))):
                raise error

    def _getters(self, requested: Sequence[Mapping[str, Any]]) -> dict[str, filters.Getter[object]]:
        names = self.filter_names.split()
        if "tag-key" in names:
            asked = [one.get("Name") or "" for one in requested]
            names += [name for name in asked if name.startswith("tag:")]
        return dict.fromkeys(names, lambda _: None)


def _texts(value: str | Sequence[str] | None) -> Sequence[str]:
    return [value] if isinstance(value, str) else value or ()
