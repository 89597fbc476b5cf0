"""Models below /models of a Flask application.

pip install 'seatrial[serving]' flask && MODELS=/srv/models flask --app flask_app run
"""

import os

from flask import Flask

from seatrial.mounting import WsgiModelMiddleware

app = Flask(__name__)
app.wsgi_app = WsgiModelMiddleware(app.wsgi_app, root=os.environ.get("MODELS", "/srv/models"))


@app.get("/")
def home() -> dict[str, str]:
    """The application's own page."""
    return {"models": "/models/docs"}
