"""The demo's public names. They are for trying out, so production refuses them (`clinic.checks`)."""

DEMO_CLINIC = "bright-smile"
"""The slug of the demo clinic."""

DEMO_PASSWORD = "bright-smile"
"""Of every demo login. It is public."""

DEMO_LOGINS = {
    "admin": "Administrator",
    "manager": "Manager",
    "receptionist": "Receptionist",
    "auditor": "Auditor",
}
"""User name → the role it shows."""
