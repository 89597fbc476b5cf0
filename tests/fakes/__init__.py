"""Stand-in forges: small HTTP servers with state that answer as GitHub and GitLab do."""
