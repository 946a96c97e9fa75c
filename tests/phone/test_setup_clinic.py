"""`setup_clinic`: what the installer is asked, what is kept, what is refused, and what callers then hear."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from clinic.models import Clinic
from phone.clinic_setup import QUESTIONS
from phone.models import PhoneLine, PhoneSettings
from phone.publishing import live_version
from phone.wording import default_wording
from tests.phone.clinics import a_clinic
from tests.phone.office import make_staff

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def keys(tmp_path: Path, settings: Any) -> None:
    settings.CLINIC_KEY_FILE = tmp_path / "keys.json"


@pytest.fixture
def password_file(tmp_path: Path) -> str:
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    return str(file)


def set_up(**options: Any) -> str:
    """Runs the command without questions; what it said."""
    said = io.StringIO()
    call_command("setup_clinic", no_input=True, stdout=said, **options)
    return said.getvalue()


def live_plan_of(clinic: Clinic) -> dict[str, Any]:
    version = live_version(clinic)
    assert version
    return version.content


class Installer:
    """Somebody at the keyboard, with an answer for each question; Enter for the others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.says: dict[str, Iterator[str]] = {}
        monkeypatch.setattr("builtins.input", self.answer)
        monkeypatch.setattr("getpass.getpass", self.answer)

    def answer(self, asked: str) -> str:
        self.asked.append(asked.strip())
        said = next((says for begins, says in self.says.items() if asked.strip().startswith(begins)), None)
        answer = next(said, "") if said else ""
        if answer == "Ctrl-C":
            raise KeyboardInterrupt
        return answer

    def runs(self, **says: str | list[str]) -> str:
        self.says = {
            begins.replace("_", " "): iter([each] if isinstance(each, str) else each)
            for begins, each in says.items()
        }
        said = io.StringIO()
        call_command("setup_clinic", stdout=said)
        return said.getvalue()


@pytest.fixture
def installer(monkeypatch: pytest.MonkeyPatch) -> Installer:
    return Installer(monkeypatch)


class TestANewClinic:
    def test_enter_to_everything_makes_a_clinic_that_callers_can_use(self, installer: Installer) -> None:
        said = installer.runs()
        clinic = Clinic.objects.get()
        plan = live_plan_of(clinic)
        assert plan["clinic"]["name"] == "Our clinic"
        assert plan["consent"]["policy"] == "ask"
        assert len(clinic.opening_intervals.all()) == 5
        assert "Callers hear version 1." in said
        assert "Ready" not in said
        assert "/admin/phone/confirmation/" in said

    def test_every_question_has_a_default_and_a_plain_explanation(self, installer: Installer) -> None:
        said = " ".join(installer.runs().split())
        questions = [asked for asked in installer.asked if "publish" not in asked.lower()]
        assert len(questions) == len(QUESTIONS) + 3
        assert all(asked.endswith("]:") for asked in installer.asked)
        for question in QUESTIONS:
            assert " ".join(question.explains.split()) in said

    def test_the_answers_are_what_callers_hear(self, installer: Installer) -> None:
        installer.runs(
            Name="River Clinic",
            Number="+1 212 555 0142",
            Time="chicago",
            Opening="Mon-Thu 8am-5pm, Fri 8-12",
            Emergency="In an emergency, hang up and dial 112.",
            Mail="office@river.example",
            Recording="off",
            **{"On-call": "(212) 555-0199"},
        )
        clinic = Clinic.objects.get()
        plan = live_plan_of(clinic)
        assert plan["clinic"]["name"] == "River Clinic"
        assert plan["clinic"]["office_number"] == "+12125550199"
        assert plan["schedule"]["zone"] == "America/Chicago"
        assert len(plan["schedule"]["week"]) == 5
        assert plan["wording"]["en"]["emergency"] == "In an emergency, hang up and dial 112."
        assert plan["consent"]["policy"] == "off"
        assert str(PhoneLine.objects.get().number) == "+12125550142"
        assert (clinic.slug, clinic.office_email) == ("river-clinic", "office@river.example")

    def test_an_answer_that_makes_no_sense_is_asked_for_again(self, installer: Installer) -> None:
        said = installer.runs(Opening=["Mon 9-5", "Mon 9-17"], Time=["Amerika/New_York", ""])
        assert "17:00 or 5pm" in said
        assert "Did you mean America/New_York?" in said
        assert Clinic.objects.get().opening_intervals.count() == 1

    @pytest.mark.parametrize("question", ["Name", "Recording", "Administrator's password", "Publish"])
    def test_leaving_at_any_question_writes_nothing(self, installer: Installer, question: str) -> None:
        with pytest.raises(CommandError, match="Nothing was changed"):
            installer.runs(**{question: "Ctrl-C"})
        assert not Clinic.objects.exists()
        assert not get_user_model().objects.exists()

    def test_publishing_can_wait(self, installer: Installer) -> None:
        installer.runs(Publish="no")
        assert live_version(Clinic.objects.get()) is None

    def test_nobody_at_the_keyboard_is_told_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def closed(_: str) -> str:
            raise EOFError

        monkeypatch.setattr("builtins.input", closed)
        with pytest.raises(CommandError, match="--no-input"):
            call_command("setup_clinic", stdout=io.StringIO())


class TestTheAdministrator:
    def test_gets_a_password_that_is_shown_once(self, client: Any) -> None:
        said = set_up(admin_name="ada")
        password = said.partition("Its password is ")[2].split()[0]
        user = get_user_model().objects.get(username="ada")
        assert user.check_password(password)
        assert user.has_perm("auth.add_user")
        assert not user.is_superuser

    def test_gets_the_password_from_a_file(self, password_file: str) -> None:
        said = set_up(admin_name="ada", admin_email="ada@river.example", admin_password_file=password_file)
        user = get_user_model().objects.get(username="ada")
        assert user.check_password(PASSWORD)
        assert PASSWORD not in said

    def test_a_weak_password_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "weak").write_text("short")
        with pytest.raises(CommandError, match="too short"):
            set_up(admin_password_file=str(tmp_path / "weak"))
        assert not Clinic.objects.exists()

    def test_a_password_file_that_is_not_there_is_named(self) -> None:
        with pytest.raises(CommandError, match="no-such-file cannot be read"):
            set_up(admin_password_file="no-such-file")

    def test_types_the_password_twice(self, installer: Installer) -> None:
        said = installer.runs(
            **{
                "Administrator's_password": ["short", PASSWORD, PASSWORD],
                "The_same": [PASSWORD + "!", PASSWORD],
            }
        )
        assert "too short" in said
        assert "not the same" in said
        assert get_user_model().objects.get().check_password(PASSWORD)

    def test_one_who_exists_keeps_the_password(self, installer: Installer) -> None:
        first = set_up(admin_name="ada")
        password = first.partition("Its password is ")[2].split()[0]
        installer.runs()
        assert not any("password" in asked for asked in installer.asked)
        assert get_user_model().objects.get().check_password(password)

    def test_a_colleagues_log_in_is_not_taken(self) -> None:
        make_staff("rita")
        with pytest.raises(CommandError, match="somebody else's"):
            set_up(admin_name="rita")


class TestRunAgain:
    def test_changes_nothing_where_nothing_else_was_said(self, installer: Installer) -> None:
        clinic = a_clinic(number="+12125550142")
        make_administrator = {"admin_name": "ada"}
        set_up(**make_administrator)
        before = list(clinic.opening_intervals.values_list("pk", flat=True))
        assert "nothing was changed" in installer.runs()
        assert list(clinic.opening_intervals.values_list("pk", flat=True)) == before
        assert live_plan_of(clinic)["menus"][0]["options"][1]["label"]["en"] == "office hours"

    def test_changes_what_is_said_and_keeps_the_rest(self) -> None:
        clinic = a_clinic(number="+12125550142", consent_policy="notice")
        said = set_up(hours="Mon 8-12", name="Hill Clinic")
        clinic.refresh_from_db()
        assert clinic.name == "Hill Clinic"
        assert clinic.opening_intervals.count() == 1
        assert clinic.languages == ["en", "es"]
        assert PhoneSettings.objects.get().consent_policy == "notice"
        assert str(clinic.office_number) == "+12125550102"
        assert clinic.menus.count() == 1
        assert "Open: Mon 08:00-12:00." in said

    def test_an_emergency_sentence_leaves_the_other_languages_alone(self) -> None:
        clinic = a_clinic(number="+12125550142")
        set_up(emergency_sentence="Dial 112.")
        wording = live_plan_of(clinic)["wording"]
        assert wording["en"]["emergency"] == "Dial 112."
        assert wording["es"]["emergency"] == default_wording("es")["emergency"]

    def test_none_takes_the_on_call_number_away(self) -> None:
        clinic = a_clinic(number="+12125550142")
        set_up(on_call_number="none")
        clinic.refresh_from_db()
        assert not clinic.office_number

    def test_another_number_is_a_second_line(self) -> None:
        a_clinic(number="+12125550142")
        set_up(line_number="+1 212 555 0150")
        assert PhoneLine.objects.count() == 2

    def test_which_of_several_clinics_has_to_be_said(self) -> None:
        a_clinic("river", number="+12125550142")
        a_clinic("hill", number="+12125550143")
        with pytest.raises(CommandError, match="hill, river"):
            set_up()
        set_up(clinic="hill", name="Hill Clinic")
        set_up(clinic="lake", name="Lake Clinic")
        assert {clinic.slug: clinic.name for clinic in Clinic.objects.all()} == {
            "river": "River Clinic",
            "hill": "Hill Clinic",
            "lake": "Lake Clinic",
        }

    def test_another_clinics_number_is_refused_and_nothing_is_half_written(self) -> None:
        a_clinic("river", number="+12125550142")
        with pytest.raises(CommandError, match="belongs to River Clinic"):
            set_up(clinic="hill", name="Hill Clinic", line_number="+12125550142")
        assert Clinic.objects.count() == 1
        assert not get_user_model().objects.exists()


class TestWrongOptions:
    @pytest.mark.parametrize(
        ("option", "value", "complaint"),
        [
            ("name", " ", "--name: A clinic has a name"),
            ("line_number", "12", "--line-number: “12” is not a telephone number"),
            ("time_zone", "Mars/Olympus", "--time-zone: “Mars/Olympus” is not a time zone"),
            ("hours", "whenever", "--hours: “whenever” is no day"),
            ("emergency_sentence", "Call {doctor}.", "--emergency-sentence: Nothing fills in {doctor}"),
            ("on_call_number", "ask Bob", "--on-call-number: “ask Bob”"),
            ("office_email", "nowhere", "--office-email: “nowhere”"),
            ("consent", "maybe", "--consent: Answer with one of these words: ask, notice, off"),
            ("admin_name", "a b", "--admin-name: A log-in has letters"),
            ("admin_email", "nowhere", "--admin-email: “nowhere”"),
        ],
    )
    def test_are_told_by_name_and_nothing_is_written(self, option: str, value: str, complaint: str) -> None:
        with pytest.raises(CommandError) as refused:
            set_up(**{option: value})
        assert complaint in str(refused.value)
        assert not Clinic.objects.exists()

    def test_what_cannot_be_published_is_saved_and_told(self) -> None:
        clinic = a_clinic(number="+12125550142")
        clinic.menus.get().options.update(key="0")
        with pytest.raises(CommandError, match="All of it is saved, but callers do not hear it yet"):
            set_up(name="Hill Clinic")
        clinic.refresh_from_db()
        assert clinic.name == "Hill Clinic"


class TestTheOnCallNumber:
    def test_stands_in_the_directory_and_is_called(self) -> None:
        said = set_up(name="Hill Clinic", on_call_number="+12125550143", consent="ask")
        clinic = Clinic.objects.get()
        entry = clinic.directory.get()
        assert (str(entry.number), entry.manner) == ("+12125550143", "cold")
        assert clinic.phone_settings.person == clinic.phone_settings.urgent_person == entry
        assert "are put through to +12125550143" in said
        set_up(on_call_number="+12125550144")
        assert str(clinic.directory.get().number) == "+12125550144"

    def test_that_must_not_be_called_is_only_told_to_callers(self) -> None:
        set_up(name="Hill Clinic", line_number="+12125550142")
        said = set_up(on_call_number="+12125550142")
        assert "not put through to it. +12125550142 is one of your own phone lines" in said
        assert not Clinic.objects.get().directory.exists()
