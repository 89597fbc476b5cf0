"""Where facts come from: the DVC graph at a revision, metric files, DVC's cache.

`snapshot` is the entrance; the other modules are its rooms. Everything read here was written by somebody else, perhaps
by a stranger: it is parsed within limits and never executed.
"""
