"""The addresses of the pages for callers, of recordings, and of the LiveKit server's messages."""

from django.urls import path

from phone.sound_views import play_recording, recording_sound
from phone.views import phone_page, room_token, welcome
from phone.webhooks import livekit_webhook

urlpatterns = [
    path("", welcome, name="welcome"),
    path("phone/", phone_page, name="phone-page"),
    path("phone/token/", room_token, name="room-token"),
    path("office/recordings/<uuid:pk>/play/", play_recording, name="recording-play"),
    path("office/recordings/<uuid:pk>/sound/", recording_sound, name="recording-sound"),
    path("livekit/webhook/", livekit_webhook, name="livekit-webhook"),
]
