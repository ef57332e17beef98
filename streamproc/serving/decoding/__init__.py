"""Step-by-step decoding over many members: prompts in, token sequences out. No I/O, no models."""
