"""The directory: which numbers may stand in it, what the office reads when one may not, and what a plan makes of it."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from django.test import Client
from django.urls import reverse

from clinic.models import Clinic
from phone.building import build_plan, clinic_with_setup
from phone.differences import compare
from phone.directory import WayOut, way_out
from phone.livekit_api.answers import e164
from phone.models import DirectoryEntry, PhoneLine
from phone.numbers import NumberRefused, callable_number
from phone.publishing import PlanInvalid, publish
from phone.validation import problems_of
from tests.phone.clinics import Action, a_clinic, an_option
from tests.phone.forms import errors_on, the_form, write
from tests.phone.office import make_staff

DESK = "+12125550143"
LIST = reverse("admin:phone_directoryentry_changelist")
ADD = reverse("admin:phone_directoryentry_add")


def an_entry(clinic: Clinic, name: str = "Front desk", number: str = DESK, **fields: Any) -> DirectoryEntry:
    spoken = {"en": "our front desk", "es": "la recepción"}
    return DirectoryEntry.objects.create(
        clinic=clinic, name=name, number=number, **({"spoken": spoken} | fields)
    )


class TestNumbers:
    @pytest.mark.parametrize(
        ("typed", "region", "number"),
        [
            ("(212) 555-0143", "US", DESK),
            ("+1 212 555 0143", "US", DESK),
            ("800 555 0199", "US", "+18005550199"),
            ("912 34 56 78", "ES", "+34912345678"),
            ("020 7946 0018", "GB", "+442079460018"),
        ],
    )
    def test_an_ordinary_number_of_the_country_may_be_called(
        self, typed: str, region: str, number: str
    ) -> None:
        assert callable_number(typed, region=region, own=()) == number

    @pytest.mark.parametrize(
        ("typed", "region", "sentence"),
        [
            ("911", "US", "911 is an emergency number."),
            ("9-1-1", "US", "is an emergency number."),
            ("+1911", "US", "is an emergency number."),
            ("112", "ES", "112 is an emergency number."),
            ("999", "GB", "999 is an emergency number."),
            ("900 555 1234", "US", "at a special rate"),
            ("806 12 34 56", "ES", "at a special rate"),
            ("070 1234 5678", "GB", "at a special rate"),
            ("+44 20 7946 0018", "US", "abroad"),
            ("876 555 0123", "US", "abroad"),
            ("416 555 0123", "US", "abroad"),
            ("front desk", "US", "“front desk” is no telephone number"),
            ("555", "US", "no telephone number"),
            ("555 0143", "US", "no telephone number"),
            ("411", "US", "no telephone number"),
            ("", "US", "no telephone number"),
            ("+", "US", "no telephone number"),
            ("212 555 0143 ext. 7", "US", "no telephone number"),
            ("212 555 0142", "US", "one of your own phone lines"),
        ],
    )
    def test_any_other_is_refused_with_a_sentence(self, typed: str, region: str, sentence: str) -> None:
        with pytest.raises(NumberRefused, match=sentence):
            callable_number(typed, region=region, own={"+12125550142"})

    @pytest.mark.parametrize(
        "number", ["", "911", "12125550143", "sip:desk@example.com", "+1 212 555 0143", "+"]
    )
    def test_nothing_but_e164_is_ever_handed_to_livekit(self, number: str) -> None:
        with pytest.raises(ValueError, match=r"E\.164"):
            e164(number)


@pytest.fixture
def clinic(db: None) -> Clinic:
    return a_clinic()


class TestThePlan:
    def sentences(self, clinic: Clinic) -> list[str]:
        return [problem.sentence for problem in problems_of(clinic_with_setup(clinic.pk)) if problem.blocks]

    def test_holds_who_is_switched_on_and_whom_the_office_chose(self, clinic: Clinic) -> None:
        desk = an_entry(clinic)
        dentist = an_entry(clinic, "Dentist", "+12125550144", manner="warm", ring_seconds=15)
        an_entry(clinic, "On leave", "+12125550145", enabled=False)
        settings = clinic.phone_settings
        settings.person, settings.urgent_person = desk, dentist
        settings.save()
        an_option(clinic.menus.get(), "4", "the dentist", Action.PERSON, person=dentist)
        plan = build_plan(clinic_with_setup(clinic.pk))
        assert [(entry.name, entry.manner) for entry in plan.directory] == [
            ("Dentist", "warm"),
            ("Front desk", "cold"),
        ]
        assert (plan.person, plan.urgent_person) == ("Front desk", "Dentist")
        assert [option.person for option in plan.menus[0].options] == ["", "", "Dentist"]
        assert plan.own_numbers == ("+15550100",)
        desk_in_plan = plan.entry("Front desk")
        assert desk_in_plan
        assert desk_in_plan.number == DESK
        assert plan.entry("On leave") is None

    @pytest.mark.parametrize(
        ("number", "sentence"),
        [
            ("+19005551234", "Directory, Front desk: +19005551234 is a number at a special rate."),
            ("+442079460018", "Directory, Front desk: +442079460018 is a number abroad."),
            ("+12125550177", "Directory, Front desk: +12125550177 is one of your own phone lines"),
        ],
    )
    def test_with_a_number_that_must_not_be_called_is_not_published(
        self, clinic: Clinic, number: str, sentence: str
    ) -> None:
        PhoneLine.objects.create(clinic=a_clinic("hill", "+12125550199"), number="+12125550177")
        an_entry(clinic, number=number)
        with pytest.raises(PlanInvalid, match=sentence.replace("+", r"\+").replace(".", r"\.")):
            publish(clinic.pk)

    def test_that_leads_to_somebody_who_is_switched_off_is_not_published(self, clinic: Clinic) -> None:
        away = an_entry(clinic, "Dentist", enabled=False)
        clinic.phone_settings.person = away
        clinic.phone_settings.save()
        an_option(clinic.menus.get(), "4", "the dentist", Action.PERSON, person=away)
        assert [sentence.partition(". ")[0] for sentence in self.sentences(clinic)] == [
            "“Dentist” is switched off in the directory",
            "Menu “Main menu”, key 4: “Dentist” is switched off in the directory",
        ]

    def test_that_leads_into_another_clinics_directory_is_not_published(self, clinic: Clinic) -> None:
        theirs = an_entry(a_clinic("hill", "+12125550199"))
        an_option(clinic.menus.get(), "4", "somebody", Action.URGENT, person=theirs)
        assert self.sentences(clinic) == [
            "Menu “Main menu”, key 4: This person is in another clinic's directory."
        ]

    def test_needs_what_callers_hear_in_each_language(self, clinic: Clinic) -> None:
        an_entry(clinic, spoken={"en": "our front desk"})
        assert self.sentences(clinic) == ["Directory, Front desk: Write what callers hear in Español."]

    def test_warns_where_somebody_is_to_be_rung_first_and_no_line_has_a_way_out(self, clinic: Clinic) -> None:
        an_entry(clinic, manner="warm")
        warned = [p.sentence for p in problems_of(clinic_with_setup(clinic.pk)) if not p.blocks]
        assert any("no phone line has a way out" in sentence for sentence in warned)
        PhoneLine.objects.update(outbound_address="sip.example.com")
        assert not problems_of(clinic_with_setup(clinic.pk))

    def test_says_what_changed_in_the_office_s_words(self, clinic: Clinic) -> None:
        entry = an_entry(clinic)
        before = build_plan(clinic_with_setup(clinic.pk))
        entry.manner, entry.number = "warm", "+12125550144"
        entry.save()
        an_entry(clinic, "Dentist", "+12125550145")
        clinic.phone_settings.person = entry
        clinic.phone_settings.save()
        after = build_plan(clinic_with_setup(clinic.pk))
        assert [str(difference) for difference in compare(before, after)] == [
            "Phone settings, who is called for a person: nothing → Front desk",
            "Directory, Front desk, number: +12125550143 → +12125550144",
            "Directory, Front desk, how calls are put through: Hand the call over at once → Ring them, and ask "
            "them first",
            "Directory, Dentist: new → +12125550145",
        ]

    def test_costs_no_more_queries_with_a_large_directory(
        self, clinic: Clinic, django_assert_max_num_queries: Any
    ) -> None:
        menu = clinic.menus.get()
        for number in range(4, 8):
            entry = an_entry(clinic, f"Person {number}", f"+1212555014{number}")
            an_option(menu, str(number), f"person {number}", Action.PERSON, person=entry)
        with django_assert_max_num_queries(20):
            publish(clinic.pk)


class TestTheLastLook:
    """Whatever the call's plan says, the directory of this moment decides."""

    def look(self, clinic: Clinic, number: str = DESK, dialled: str = "+15550100") -> WayOut | None:
        return way_out(clinic_id=clinic.pk, number=number, dialled=dialled)

    def test_a_number_in_the_directory_goes_out_by_the_trunk_of_the_line_that_was_dialled(
        self, clinic: Clinic
    ) -> None:
        an_entry(clinic)
        PhoneLine.objects.update(outbound_trunk_id="ST_out")
        assert self.look(clinic) == WayOut("ST_out")
        assert self.look(clinic, dialled="+12125550188") == WayOut("")

    def test_no_other_number_does(self, clinic: Clinic) -> None:
        assert self.look(clinic) is None
        entry = an_entry(clinic, enabled=False)
        assert self.look(clinic) is None
        entry.enabled, entry.clinic = True, a_clinic("hill", "+12125550199")
        entry.save()
        assert self.look(clinic) is None

    def test_nor_one_that_has_become_a_phone_line(self, clinic: Clinic) -> None:
        an_entry(clinic)
        PhoneLine.objects.create(clinic=clinic, number=DESK)
        assert self.look(clinic) is None


class TestTheAdmin:
    @pytest.fixture(autouse=True)
    def no_broker(self) -> Any:
        with mock.patch("celery.current_app.send_task"):
            yield

    @pytest.fixture
    def office(self, client: Client, clinic: Clinic) -> Client:
        rights = [f"{right}_directoryentry" for right in ("view", "add", "change", "delete")]
        client.force_login(make_staff("mo", *rights))
        return client

    def form(self, office: Client, **values: str) -> dict[str, Any]:
        form = the_form(office.get(ADD)) | {"name": "Front desk", "number": "(212) 555-0143"} | values
        return write(form, "spoken", en="our front desk", es="la recepción")

    def test_the_office_adds_somebody_and_the_number_is_kept_in_full(
        self, office: Client, clinic: Clinic
    ) -> None:
        saved = office.post(ADD, self.form(office))
        assert saved.status_code == 302, errors_on(saved)
        assert str(clinic.directory.get().number) == DESK
        page = office.get(LIST).content.decode()
        assert "nothing yet" in page

    @pytest.mark.parametrize(
        ("number", "sentence"),
        [
            ("911", "is an emergency number"),
            ("900 555 1234", "at a special rate"),
            ("+44 20 7946 0018", "is a number abroad"),
            ("the desk", "is no telephone number"),
            ("(212) 555-0177", "one of your own phone lines"),
        ],
    )
    def test_a_number_that_must_not_be_called_is_refused_beside_the_field(
        self, office: Client, clinic: Clinic, number: str, sentence: str
    ) -> None:
        PhoneLine.objects.create(clinic=clinic, number="+12125550177")
        refused = office.post(ADD, self.form(office, number=number))
        assert sentence in errors_on(refused)["number"]
        assert not clinic.directory.exists()

    def test_it_needs_the_right(self, client: Client, clinic: Clinic) -> None:
        client.force_login(make_staff("rita", "view_call"))
        assert client.get(LIST).status_code == 403
        assert client.post(ADD, {}).status_code == 403

    def test_a_save_reaches_the_callers(
        self, office: Client, clinic: Clinic, django_capture_on_commit_callbacks: Any
    ) -> None:
        clinic.phone_settings.publish_mode = "on_save"
        clinic.phone_settings.save()
        publish(clinic.pk)
        with django_capture_on_commit_callbacks(execute=True):
            office.post(ADD, self.form(office))
        assert clinic.plan_versions.count() == 2
