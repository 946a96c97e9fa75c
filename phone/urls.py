"""The addresses of the pages for callers."""

from django.urls import path

from phone.views import phone_page, welcome

urlpatterns = [
    path("", welcome, name="welcome"),
    path("phone/", phone_page, name="phone-page"),
]
