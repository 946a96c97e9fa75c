"""Where the office edits the clinic, its hours and its patients, and sees who looked at what."""

from clinic.admin.clinics import ClinicAdmin
from clinic.admin.closures import ClosureAdmin
from clinic.admin.patients import PatientAdmin
from clinic.admin.records import AccessRecordAdmin, IdentityAttemptAdmin
from clinic.admin.users import GroupAdmin, UserAdmin

__all__ = [
    "AccessRecordAdmin",
    "ClinicAdmin",
    "ClosureAdmin",
    "GroupAdmin",
    "IdentityAttemptAdmin",
    "PatientAdmin",
    "UserAdmin",
]
