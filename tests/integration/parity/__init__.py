"""The real DVC as an oracle: how it is asked, and the projects that it is asked about."""
