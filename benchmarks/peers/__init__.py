"""Other ways to answer the same requests with the same models, beside ours in one run."""
