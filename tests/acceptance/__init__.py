"""The whole of streamproc through its command line, and commands that try hard to break it."""
