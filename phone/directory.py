"""The directory: what is wrong with its entries, in the office's words, and the last look before a number is called."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from clinic.models import Clinic
from phone.models import DirectoryEntry, MenuOption, PhoneLine, PhoneSettings
from phone.numbers import NumberRefused, callable_number, region_of
from phone.problems import Problem, text_problems

REACHES_A_PERSON = {MenuOption.Action.PERSON, MenuOption.Action.URGENT}


@dataclass(frozen=True)
class WayOut:
    """How a call may go out to a person. `trunk_id` is empty where the line has no way out."""

    trunk_id: str


def own_numbers(clinic: Clinic) -> tuple[str, ...]:
    """The numbers (E.164) of the clinic's own lines, enabled or not."""
    return tuple(sorted(str(line.number) for line in clinic.phone_lines.all()))


def home_region(clinic: Clinic) -> str:
    """The country (ISO 3166) in which the clinic's people are called."""
    return region_of(str(clinic.office_number or "") or next(iter(own_numbers(clinic)), ""))


def leads_back() -> frozenset[str]:
    """The numbers (E.164) of all lines of this system: a call to one would come back to it."""
    return frozenset(str(number) for number in PhoneLine.objects.values_list("number", flat=True))


def number_in_directory(typed: str, clinic: Clinic) -> str:
    """A number as staff typed it, as E.164. Raises NumberRefused with a sentence."""
    return callable_number(typed, region=home_region(clinic), own=leads_back())


def directory_problems(clinic: Clinic) -> Iterator[Problem]:
    """What is wrong with the entries that callers can be put through to."""
    entries = list(clinic.directory.all())
    own = leads_back() if entries else frozenset()
    for entry in entries:
        for problem in entry_problems(entry, clinic, own):
            sentence = f"Directory, {entry.name}: {problem.sentence}"
            yield Problem(sentence, problem.row, problem.field, problem.blocks)


def entry_problems(entry: DirectoryEntry, clinic: Clinic, own: Collection[str]) -> Iterator[Problem]:
    """What is wrong with one entry by itself. Nothing, when it is switched off. `own` is `leads_back()`."""
    if not entry.enabled:
        return
    yield from text_problems(entry, "spoken", entry.spoken, clinic.languages, "what callers hear")
    try:
        callable_number(str(entry.number), region=home_region(clinic), own=own)
    except NumberRefused as refusal:
        yield Problem(str(refusal), entry, "number")
    ways_out = [line for line in clinic.phone_lines.all() if line.enabled and line.outbound_address]
    if entry.manner == DirectoryEntry.Manner.WARM and not ways_out:
        yield Problem(
            "They cannot be rung first: no phone line has a way out. Callers can leave a request instead.",
            entry,
            "manner",
            blocks=False,
        )


def person_problems(settings: PhoneSettings, clinic: Clinic) -> Iterator[Problem]:
    """A person in the phone settings whom callers could not be put through to."""
    for field in ("person", "urgent_person"):
        yield from _unreachable(settings, field, getattr(settings, field), clinic.pk)


def option_person_problems(option: MenuOption, clinic_id: int) -> Iterator[Problem]:
    """A person in a menu's option whom callers could not be put through to."""
    if option.action in REACHES_A_PERSON:
        yield from _unreachable(option, "person", option.person, clinic_id)


def _unreachable(
    row: PhoneSettings | MenuOption, field: str, entry: DirectoryEntry | None, clinic_id: int
) -> Iterator[Problem]:
    if entry is None:
        return
    if entry.clinic_id != clinic_id:
        yield Problem("This person is in another clinic's directory.", row, field)
    elif not entry.enabled:
        yield Problem(
            f"“{entry.name}” is switched off in the directory. Switch them on there, or choose somebody else.",
            row,
            field,
        )


def way_out(*, clinic_id: int, number: str, dialled: str) -> WayOut | None:
    """How to call `number` (E.164) for a call that came in on `dialled`; None where it must not be called.

    Whatever plan the call has: only a number that stands in the clinic's directory at this moment is called.
    """
    if not DirectoryEntry.objects.filter(clinic=clinic_id, number=number, enabled=True).exists():
        return None
    lines = PhoneLine.objects.filter(clinic=clinic_id, enabled=True).values_list(
        "number", "outbound_trunk_id"
    )
    if PhoneLine.objects.filter(number=number).exists():
        return None
    trunks = {str(of_line): trunk_id for of_line, trunk_id in lines}
    return WayOut(trunk_id=trunks.get(dialled, ""))
