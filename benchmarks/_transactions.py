"""Rows like those of card payments, made by a seeded generator, a small share of them planted frauds.

Honest rows follow habits: what is bought decides the usual amount and hour, who buys decides where and how often. A
fraud breaks one habit of a row that was honest. Three of the four kinds use values that are common elsewhere, so that
no column alone gives them away: a large amount at a shop of small ones, the shop's hour turned by twelve, a purchase
overseas at the distance of one at home. The fourth, many purchases a day with a new card, is rare in two columns too.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

SHOPS = ("groceries", "fuel", "restaurant", "clothing", "electronics", "travel", "games", "jewellery")
AMOUNT = np.array([28.0, 45.0, 35.0, 60.0, 240.0, 420.0, 18.0, 520.0])  # medians
HOUR = np.array([16.0, 8.0, 20.0, 14.0, 15.0, 11.0, 22.0, 13.0])
SHARE = np.array([0.32, 0.14, 0.18, 0.12, 0.07, 0.06, 0.08, 0.03])
COUNTRIES = ("home", "neighbour", "overseas")
NAMES = ("amount", "hour", "shop", "country", "distance_km", "purchases_that_day", "card_age_months", "kind", "fraud")


def transactions(n: int, frauds: float, seed: int) -> list[list[str]]:
    """n rows under NAMES; `frauds`: the share that is planted."""
    rng = np.random.default_rng(seed)
    shop = rng.choice(len(SHOPS), n, p=SHARE)
    person = rng.integers(0, 3, n)  # stays at home, commutes over the border, travels
    amount = AMOUNT[shop] * np.exp(0.3 * rng.standard_normal(n))
    hour = (HOUR[shop] + 2.0 * rng.standard_normal(n)) % 24
    abroad = np.array([[1.0, 0.0, 0.0], [0.55, 0.45, 0.0], [0.5, 0.15, 0.35]])
    country = np.array([rng.choice(3, p=abroad[p]) for p in person])
    distance = np.exp(np.array([1.2, 3.7, 7.2])[country] + 0.5 * rng.standard_normal(n))
    busy = 1 + rng.poisson(np.array([0.6, 1.5, 4.0])[person])
    age = np.clip(6 + 50 * rng.beta(1.5, 2.0, n) + 10 * (person == 2), 1, 80)
    online = rng.random(n) < np.where(np.isin(shop, (4, 6)), 0.7, 0.1)
    fraud = rng.random(n) < frauds
    for i in np.flatnonzero(fraud):
        habit = rng.integers(0, 4)
        if habit == 0:
            cheap = np.flatnonzero(AMOUNT < 50)
            shop[i] = rng.choice(cheap)
            amount[i] = rng.choice(AMOUNT[[4, 5, 7]]) * np.exp(0.3 * rng.standard_normal())
            hour[i] = (HOUR[shop[i]] + 2.0 * rng.standard_normal()) % 24
        elif habit == 1:
            hour[i] = (HOUR[shop[i]] + 12 + 2.0 * rng.standard_normal()) % 24
        elif habit == 2:
            country[i], busy[i] = 2, 1  # far away, at a home purchase's distance, by one who buys little
            distance[i] = np.exp(1.2 + 0.5 * rng.standard_normal())
        else:
            country[i], distance[i] = 0, np.exp(1.2 + 0.5 * rng.standard_normal())
            busy[i], age[i] = 9 + rng.poisson(4), 2 + 4 * rng.random()
    rows = []
    for i in range(n):
        rows.append([
            f"{amount[i]:.2f}", f"{hour[i]:.1f}", SHOPS[shop[i]], COUNTRIES[country[i]], f"{distance[i]:.1f}",
            str(busy[i]), f"{age[i]:.0f}", "online" if online[i] else "in person", "fraud" if fraud[i] else "honest",
        ])  # fmt: skip
    return rows


def write(path: Path, n: int = 20_000, frauds: float = 0.01, seed: int = 0) -> Path:
    """A CSV file of such rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(NAMES)
        writer.writerows(transactions(n, frauds, seed))
    return path
