"""The demo clinic, “Bright Smile Dental”, as data: seed_demo makes the rows from it."""

from __future__ import annotations

from datetime import date, time
from typing import Any

from phone.models import MenuOption, PhoneSettings

Action = MenuOption.Action

CLINIC = {
    "name": "Bright Smile Dental",
    "time_zone": "America/New_York",
    "languages": ["en", "es"],
    "address": "120 Main Street, Springfield",
    "office_number": "+12125550143",
    "office_email": "office@bright-smile.example",
}
WORKING_DAYS = range(5)
OPENS, CLOSES = time(8), time(17)

CLOSURES = [
    {
        "name": "New Year's Day",
        "starts_on": date(2026, 1, 1),
        "ends_on": date(2026, 1, 1),
        "yearly": True,
        "message": {
            "en": "Our office is closed today, on New Year's Day.",
            "es": "Hoy, día de Año Nuevo, nuestro consultorio está cerrado.",
        },
    },
    {
        "name": "Christmas Day",
        "starts_on": date(2026, 12, 25),
        "ends_on": date(2026, 12, 25),
        "yearly": True,
        "message": {
            "en": "Our office is closed today, on Christmas Day.",
            "es": "Hoy, día de Navidad, nuestro consultorio está cerrado.",
        },
    },
]

LINE = {"number": "+12125550142", "label": "Front desk", "room_prefix": "dental-"}

FRONT_DESK: dict[str, Any] = {
    "name": "Front desk",
    "spoken": {"en": "our front desk", "es": "la recepción"},
    "number": "+12125550143",
}
ON_CALL: dict[str, Any] = {
    "name": "Dentist on call",
    "spoken": {"en": "the dentist on call", "es": "el dentista de guardia"},
    "number": "+12125550144",
}

SETTINGS = {
    "publish_mode": PhoneSettings.PublishMode.ON_SAVE,
    "consent_policy": PhoneSettings.Consent.ASK,
    "on_refusal": PhoneSettings.Refusal.HANG_UP,
    "receptionist_facts": "There is free parking behind the building. We take most dental insurance plans. "
    "New patients are welcome; please come ten minutes early to fill in a form.",
}

APPOINTMENTS: dict[str, Any] = {
    "key": "1",
    "label": {"en": "appointments", "es": "citas"},
    "phrases": {
        "en": "make an appointment, book a visit, see the dentist, cleaning, check-up",
        "es": "hacer una cita, pedir cita, ver al dentista, limpieza, revisión",
    },
    "action": Action.RECEPTIONIST,
    "topic": "appointments",
    "identify_first": True,
}
OFFICE_HOURS: dict[str, Any] = {
    "key": "2",
    "label": {"en": "office hours", "es": "nuestro horario"},
    "phrases": {"en": "opening times, when are you open", "es": "horario, a qué hora abren, cuándo abren"},
    "action": Action.OFFICE_HOURS,
}
CALL_BACK: dict[str, Any] = {
    "key": "3",
    "label": {"en": "a call back from our office", "es": "que le devolvamos la llamada"},
    "phrases": {"en": "call me back, leave my number", "es": "llámenme, dejar mi número"},
    "action": Action.CALLBACK,
}
DIRECTIONS: dict[str, Any] = {
    "key": "4",
    "label": {"en": "our address and parking", "es": "nuestra dirección y el estacionamiento"},
    "phrases": {"en": "address, directions, where are you", "es": "dirección, cómo llegar, dónde están"},
    "action": Action.SAY,
    "message": {
        "en": "We are at 120 Main Street in Springfield, across from the library. "
        "There is free parking behind the building.",
        "es": "Estamos en la calle Main, número 120, en Springfield, frente a la biblioteca. "
        "Hay estacionamiento gratuito detrás del edificio.",
    },
}
BILLING: dict[str, Any] = {
    "key": "5",
    "label": {"en": "billing and insurance", "es": "facturas y seguros"},
    "phrases": {"en": "bill, payment, insurance", "es": "factura, pago, seguro"},
    "action": Action.SUBMENU,
    "target_menu": "Billing and insurance",
}
URGENT: dict[str, Any] = {
    "key": "6",
    "label": {"en": "an urgent dental problem", "es": "un problema dental urgente"},
    "phrases": {
        "en": "toothache, broken tooth, swelling, severe pain",
        "es": "dolor de muelas, diente roto, hinchazón, dolor fuerte",
    },
    "action": Action.URGENT,
}

MESSAGE: dict[str, Any] = {
    "key": "7",
    "label": {"en": "a message for our office", "es": "un mensaje para nuestra oficina"},
    "phrases": {"en": "leave a message, voicemail", "es": "dejar un mensaje, buzón de voz"},
    "action": Action.VOICEMAIL,
}

STOP_RECORDING: dict[str, Any] = {
    "key": "8",
    "label": {"en": "an end to the recording", "es": "detener la grabación"},
    "phrases": {},
    "action": Action.STOP_RECORDING,
}

MAIN_MENU = "Main menu"
CLOSED_MENU = "When we are closed"
MENUS: dict[str, dict[str, Any]] = {
    MAIN_MENU: {
        "intro": {},
        "options": [APPOINTMENTS, OFFICE_HOURS, CALL_BACK, DIRECTIONS, BILLING, URGENT, STOP_RECORDING],
    },
    # A caller who knows the keys finds the same things on them at night, and can leave a message besides.
    CLOSED_MENU: {
        "intro": {
            "en": "You can still choose one of these.",
            "es": "Aun así puede elegir una de estas opciones.",
        },
        "options": [APPOINTMENTS, OFFICE_HOURS, CALL_BACK, DIRECTIONS, URGENT, MESSAGE, STOP_RECORDING],
    },
    "Billing and insurance": {
        "intro": {},
        "options": [
            {
                "key": "1",
                "label": {"en": "the insurance plans that we take", "es": "los seguros que aceptamos"},
                "phrases": {"en": "insurance, plans", "es": "seguro, seguros"},
                "action": Action.SAY,
                "message": {
                    "en": "We take most dental insurance plans. Please bring your insurance card to your visit.",
                    "es": "Aceptamos la mayoría de los seguros dentales. "
                    "Por favor traiga la tarjeta de su seguro a la cita.",
                },
            },
            {
                "key": "2",
                "label": {"en": "a question about a bill", "es": "una pregunta sobre una factura"},
                "phrases": {"en": "my bill, payment", "es": "mi factura, pago"},
                "action": Action.CALLBACK,
                "topic": "a bill",
            },
            {
                "key": "3",
                "label": {"en": "the main menu", "es": "el menú principal"},
                "phrases": {"en": "back, go back", "es": "volver, regresar"},
                "action": Action.BACK,
            },
        ],
    },
}

PATIENTS = [
    {"patient_id": "4821", "name": "Maria Alvarez", "phone": "+12125550161", "language": "es"},
    {"patient_id": "1234", "name": "Robert Chen", "phone": "+12125550162", "language": "en"},
    {"patient_id": "90210", "name": "Denise Walker", "phone": "+12125550163", "language": "en"},
    {"patient_id": "00733", "name": "Samuel Okafor", "phone": "", "language": "en"},
]
