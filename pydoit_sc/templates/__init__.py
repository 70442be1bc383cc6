"""Texts that commands write: starter projects."""
