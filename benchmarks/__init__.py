"""Our figures, each beside a ceiling and a control measured in the same run."""
