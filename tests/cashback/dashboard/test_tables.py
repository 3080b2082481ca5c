"""The script of the tables in a real browser: amounts are sorted by their worth, however the language writes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import cashback.dashboard
from cashback.domain.money import MoneyStyle, dollars, money_style, use_money_style
from docs.pictures.browser import NAMES, browser

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not any(map(shutil.which, NAMES)), reason="Chromium is not installed"),
]

SCRIPT = Path(cashback.dashboard.__file__).with_name("static") / "tables.js"
CENTS = [-1_234_567, -875, 0, 99, 875, 1_234, 12_750, 1_234_567, 98_765_432]
LANGUAGES = ("en", "de", "de_CH", "fr", "es", "pt_BR", "sv", "hi", "ar")
PAGE = """((cells, decimal) => {
  document.documentElement.dataset.decimal = decimal;
  document.body.innerHTML =
    "<table class=cards data-sorts><thead><tr><th>Amount</th></tr></thead><tbody></tbody></table>";
  for (const each of cells) {
    const cell = document.querySelector("tbody").insertRow().insertCell();
    cell.className = "number";
    cell.textContent = each;
  }
  dress(document.body);
  document.querySelector(".sort").click();
  return [...document.querySelectorAll("td")].map((each) => each.textContent);
})"""


async def test_amounts_are_sorted_by_their_worth_in_every_language() -> None:
    before = money_style()
    wrong = []
    async with browser() as page:
        await page.evaluate(SCRIPT.read_text(encoding="utf-8"))
        for currency in ("USD", "EUR", "JPY", "KWD"):
            for locale in LANGUAGES:
                use_money_style(style := MoneyStyle(currency, locale))
                cells = [f"{dollars(cents)} to 15" for cents in CENTS]
                arguments = f"{json.dumps(sorted(cells))}, {json.dumps(style.signs[1])}"
                shown = await page.evaluate(f"{PAGE}({arguments})")
                if shown != cells[::-1]:
                    wrong.append((currency, locale, shown))
        counts = ["1.234", "999", "12"]
        assert await page.evaluate(f"{PAGE}({json.dumps(sorted(counts))}, ',')") == counts
    use_money_style(before)
    assert wrong == []
