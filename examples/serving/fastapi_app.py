"""Models below /models of a FastAPI application.

pip install 'seatrial[serving]' fastapi && MODELS=/srv/models uvicorn fastapi_app:app
"""

import os

from fastapi import FastAPI

from seatrial.mounting import ModelMiddleware

app = FastAPI()
app.add_middleware(ModelMiddleware, root=os.environ.get("MODELS", "/srv/models"))


@app.get("/")
def home() -> dict[str, str]:
    """The application's own page."""
    return {"models": "/models/docs"}
