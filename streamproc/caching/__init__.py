"""Bytes kept under a digest: in this process, and in a Valkey or Redis that workers share.

The one place for cachetools and for Valkey's client. What the bytes are, who keeps them says.
"""
