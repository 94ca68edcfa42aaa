"""Untrusted media decoded in limited child processes."""
