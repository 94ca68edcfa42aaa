"""The dense part of a history, as papers measure on it."""

import numpy as np
from numpy.typing import NDArray

from fusion.data.catalog import History


def core(history: History, n_items: int, *, least: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows and which items stay when users and items with fewer than `least` likes leave, again and again until
    all that are left have so many (the k-core, Seidman 1983): bool [n] and bool [N]. Only likes stay."""
    rows = history.weight > 0
    while True:
        users = np.bincount(history.user[rows], minlength=len(history.user_ids)) >= least
        items = np.bincount(history.item[rows], minlength=n_items) >= least
        stay = rows & users[history.user] & items[history.item]
        if (stay == rows).all():
            return rows, np.bincount(history.item[rows], minlength=n_items) > 0
        rows = stay
