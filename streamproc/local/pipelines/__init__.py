"""`streamproc.pipeline`: the call that transformers 5 dropped, over ensembles.

The reference is transformers 4.57.6: its keywords, the keys of its results, and how these are
nested.
"""
