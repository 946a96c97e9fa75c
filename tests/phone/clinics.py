"""A small clinic to build on: open on weekdays, two languages, one menu with two options, one line."""

from datetime import time
from typing import Any

from auditlog.context import disable_auditlog

from clinic.models import Clinic, OpeningInterval
from phone.models import Menu, MenuOption, PhoneLine, PhoneSettings

Action = MenuOption.Action


@disable_auditlog()
def a_clinic(slug: str = "river", number: str = "+15550100", **settings: Any) -> Clinic:
    """The clinic, with all it needs. The log of changes begins after it, which halves what it costs."""
    clinic = Clinic.objects.create(
        name="River Clinic",
        slug=slug,
        languages=["en", "es"],
        address="1 River Road",
        office_number="+12125550102",
    )
    OpeningInterval.objects.bulk_create(
        OpeningInterval(clinic=clinic, weekday=day, opens=time(8), closes=time(17)) for day in range(5)
    )
    menu = Menu.objects.create(clinic=clinic, name="Main menu")
    an_option(menu, "1", "appointments", Action.RECEPTIONIST, topic="appointments")
    an_option(menu, "2", "office hours", Action.OFFICE_HOURS)
    PhoneSettings.objects.create(clinic=clinic, main_menu=menu, closed_menu=menu, **settings)
    PhoneLine.objects.create(clinic=clinic, number=number)
    return clinic


def an_option(menu: Menu, key: str, label: str, action: str, **fields: Any) -> MenuOption:
    return MenuOption.objects.create(
        menu=menu,
        key=key,
        action=action,
        label={"en": label, "es": f"{label} (es)"},
        position=menu.options.count(),
        **fields,
    )
