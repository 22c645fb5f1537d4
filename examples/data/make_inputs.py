"""Makes the inputs of the example programs, one per line.

    python examples/data/make_inputs.py

They are many so that a load test does not ask the same thing over and over: an engine would answer
repeats from its prefix cache.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

PROBLEMS = 256

PROBLEM_FORMS = (
    "A tank holds {a} litres. One pipe fills it at {b} litres per minute while a leak loses {c} "
    "litres per minute. The leak is closed after {d} minutes. When is the tank full?",
    "{name} walks from {place} to the next town at {c} km/h and cycles back at {b} km/h. The whole "
    "trip takes {d} hours. How far apart are the towns?",
    "How many whole numbers from 1 to {a} are divisible by {c} or by {d}, but not by both?",
    "A drawer holds {b} red, {c} blue and {d} green socks. How many must {name} take out in the "
    "dark to be sure of two pairs of different colours?",
    "The sum of the digits of a three-digit number is {e}. Reversing it makes it smaller by 198. "
    "Find every such number, or show that there is none.",
    "{name} invests {a} euros at {c} percent a year and {b}00 euros at {d} percent. After how many "
    "whole years has the total grown by half?",
    "In how many ways can {c} guests be seated in a row of {b} chairs so that no two sit side by "
    "side?",
    "A rectangle has a perimeter of {a} cm. One side is {c} cm longer than the other. A circle has "
    "the same area. What is its radius, to two decimals?",
    "Find the remainder when {b} to the power {a} is divided by {d}7.",
    "Three friends share {a} coins in the ratio {c} : {d} : {e}. The coins that are left over go "
    "to a box. How many does each get, and how many are in the box?",
    "A train {a} m long passes a signal in {b} s and a bridge in {b}{c} s. How long is the bridge?",
    "On an island, knights always tell the truth and knaves always lie. {name} says: 'At least {c} "
    "of us {b} are knaves.' All the others say: 'At most {c} of us are knaves.' Who is what?",
    "A fair die is rolled {c} times. What is the probability that the sum is at least {e}, and "
    "that no number comes twice in a row?",
    "{name} has a {b}-litre jug and a {c}-litre jug, and a tap. Can {d} litres be measured "
    "exactly? Give the fewest steps or a proof that it cannot be done.",
    "A sequence begins with {c}, and each term is twice the one before, less {d}. What is term "
    "{b}, and for which first term would it be constant?",
    "A clock in {place} loses {c} minutes a day, another gains {d}. Both show noon today. After "
    "how many days do both show the right time again?",
)
NAMES = "Ada Boris Chen Dalia Emil Fatou Goran Hana Imre Jun Kofi Lena Mira Nils Olu Priya"
PLACES = ("Ashby", "Bergen", "Cork", "Delft", "Esbo", "Faro", "Graz", "Hull")

QUESTION_FORMS = (
    "What does {it} do, and which arguments does it take?",
    "When would I use {it} rather than something simpler, and what must I watch out for?",
    "Which exceptions or special cases does the documentation of {it} mention?",
    "I am calling {it} and the result surprises me. What exactly does it return?",
    "Explain to a beginner how {it} behaves by default.",
    "How do the optional parameters of {it} change what it does? Give one example.",
    "What does {it} promise about order, blocking or performance, if anything?",
    "Is there anything in {it} that could go wrong with empty or very large input?",
)

MODULES = (
    "argparse asyncio base64 collections configparser dataclasses difflib email fractions heapq "
    "http inspect io itertools json lzma mimetypes os pickle queue random selectors shutil socket "
    "ssl statistics tempfile threading time timeit tokenize typing urllib zipfile"
)
RESEARCH_FORMS = (
    "How do {a} and {b} differ in the errors that they raise, and why?",
    "What must a program that uses {a} together with {b} watch out for?",
    "Which parts of {a} and {b} are safe to use from several threads?",
    "What do {a}, {b} and {c} have in common, and where do they overlap?",
    "Could {a} be written with the help of {b} alone? What would be lost?",
    "Compare how {a} and {b} treat missing, empty and very large input.",
)
CITIES = "Bergen Cork Delft Faro Graz"
SHOP_FORMS = (
    "Which {what} has sold best in {city}?",
    "How much did customers from {city} spend on {category}?",
    "Who bought {product} more than once, and how often?",
    "On which days was more than one {product} sold?",
    "What is the mean price of what {name} bought?",
    "How many orders from {city} contained {category}?",
    "Which customers have never bought any {category}?",
    "What was the most expensive {what} that {name} ordered?",
)


def main() -> None:
    folder = Path(__file__).parent
    rng = random.Random(2026)
    problems = [problem(PROBLEM_FORMS[i % len(PROBLEM_FORMS)], rng) for i in range(PROBLEMS)]
    with (folder / "corpus.jsonl").open(encoding="utf-8") as corpus:
        titles = [json.loads(line)["title"] for line in corpus]
    questions = [
        QUESTION_FORMS[(i + shift) % len(QUESTION_FORMS)].format(it=title)
        for shift in (0, 3)
        for i, title in enumerate(titles)
    ]
    write(folder / "problems.txt", problems, rng)
    write(folder / "questions.txt", questions, rng)
    write(folder / "research.txt", [research(form, rng) for form in RESEARCH_FORMS * 12], rng)
    write(folder / "shop_questions.txt", [shop(form, rng) for form in SHOP_FORMS * 12], rng)
    modules = [" ".join(rng.sample(MODULES.split(), rng.randint(2, 6))) for _ in range(72)]
    write(folder / "modules.txt", modules, rng)


def problem(form: str, rng: random.Random) -> str:
    return form.format(
        a=rng.randrange(120, 960, 12),
        b=rng.randint(12, 48),
        c=rng.randint(3, 8),
        d=rng.randint(9, 11),
        e=rng.randint(13, 17),
        name=rng.choice(NAMES.split()),
        place=rng.choice(PLACES),
    )


def research(form: str, rng: random.Random) -> str:
    return form.format_map(dict(zip("abc", rng.sample(MODULES.split(), 3), strict=True)))


def shop(form: str, rng: random.Random) -> str:
    """Of what `shop.sql` has."""
    return form.format(
        what=rng.choice(("product", "category")),
        city=rng.choice(CITIES.split()),
        category=rng.choice(("tea", "coffee", "ware", "food")),
        product=rng.choice(("green tea", "mint tea", "espresso", "mug", "teapot", "honey")),
        name=rng.choice(NAMES.split()[:10]),
    )


def write(path: Path, lines: list[str], rng: random.Random) -> None:
    unique = list(dict.fromkeys(lines))
    rng.shuffle(unique)
    path.write_text("\n".join(unique) + "\n", encoding="utf-8")
    print(f"{path.name}: {len(unique)} lines")


if __name__ == "__main__":
    main()
