"""The web addresses."""

from django.contrib import admin
from django.urls import include, path

admin.site.index_title = "Today"

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("phone.urls")),
]
