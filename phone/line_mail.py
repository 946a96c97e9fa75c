"""Mail about what does not work: to a clinic's office and to the administrators."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.mail import send_mail
from django.db.models import Q

from clinic.models import Clinic
from clinic.roles import Role
from phone.models import PhoneLine


def mail_about_line(line: PhoneLine, *, subject: str, text: str, page: str) -> int:
    """As `mail_the_office`, to the clinic of `line`."""
    return mail_the_office(line.clinic, subject=subject, text=text, page=page)


def mail_the_office(clinic: Clinic, *, subject: str, text: str, page: str) -> int:
    """Send it, with a link to `page` (a path of this site); 0 where nobody has an address. Raises OSError."""
    users = get_user_model().objects.filter(is_active=True).exclude(email="")
    administrators = users.filter(Q(is_superuser=True) | Q(groups__name=Role.ADMINISTRATOR))
    to = {clinic.office_email, *administrators.values_list("email", flat=True)} - {""}
    text = f"{text}\n\nMore about it: {settings.PUBLIC_URL}{page}\n"
    return send_mail(subject, text, None, sorted(to)) if to else 0
