"""Models below /models of a Django application: the last lines are those of your own asgi.py.

pip install 'seatrial[serving]' django && MODELS=/srv/models uvicorn django_app:application
"""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

from seatrial.mounting import ModelMiddleware

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1", "localhost"])


def home(request: HttpRequest) -> JsonResponse:
    """The application's own page."""
    return JsonResponse({"models": "/models/docs"})


urlpatterns = [path("", home)]

application = ModelMiddleware(get_asgi_application(), root=os.environ.get("MODELS", "/srv/models"))
