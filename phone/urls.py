"""The addresses of the pages for callers."""

from django.urls import path

from phone.views import phone_page, room_token, welcome
from phone.webhooks import livekit_webhook

urlpatterns = [
    path("", welcome, name="welcome"),
    path("phone/", phone_page, name="phone-page"),
    path("phone/token/", room_token, name="room-token"),
    path("livekit/webhook/", livekit_webhook, name="livekit-webhook"),
]
