"""What a person would want to know about rankings and ratings before training on them."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from heed.language.findings import Finding, Seen, share, wilson
from heed.records import Ranking, Rating

ENOUGH = 20  # comparisons; of fewer no share is worth saying


def empty_preferences(seen: Seen) -> Iterator[Finding]:
    """Comparisons that prefer nothing: identical answers, and ties."""
    rankings = seen.of(Ranking)
    if not rankings:
        return
    same = [place for place, r in rankings if len(set(r.completions)) < 2]
    ties = [place for place, r in rankings if len(set(r.completions)) > 1 and len(set(r.ranks)) < 2]
    if same:
        level = "error" if len(same) == len(rankings) else "warning"
        yield Finding(level, f"{share(len(same), len(rankings))} of the rankings compare a text with itself", same[0],
                      "There is nothing to learn from them; remove them, and look for the cause")  # fmt: skip
    if len(ties) + len(same) == len(rankings):
        yield Finding("error", "No ranking prefers anything", rankings[0][0], "Every comparison is a tie")
    elif ties:
        many = len(ties) > len(rankings) / 2
        advice = "Ties give a reward model no pair; they count in agreement only" if many else ""
        what = f"{share(len(ties), len(rankings))} of the rankings are ties"
        yield Finding("warning" if many else "ok", what, ties[0], advice)


def length_bias(seen: Seen) -> Iterator[Finding]:
    """How often the longer answer wins, with a 95 % interval (Wilson 1927) over rankings, not over their pairs."""
    shares = []
    for _, ranking in seen.of(Ranking):
        sizes = [len(text) for text in ranking.completions]
        longer = [sizes[i] > sizes[j] for i, j in ranking.pairs() if sizes[i] != sizes[j]]
        if longer:
            shares.append(sum(longer) / len(longer))
    if len(shares) < ENOUGH:
        return
    value = sum(shares) / len(shares)
    low, high = wilson(value, len(shares))
    what = f"The longer answer wins {value:.1%} of the time ({low:.1%} to {high:.1%})"
    if low > 0.6 or high < 0.4:
        yield Finding("warning", what, seen.source, "A reward model can score by length alone: compare its accuracy with this "
                      "figure, and watch the length of what the policy writes")  # fmt: skip
    else:
        yield Finding("ok", what, seen.source)


def position_bias(seen: Seen) -> Iterator[Finding]:
    """How often what stands first wins, among comparisons of two."""
    first = [r.ranks[0] < r.ranks[1] for _, r in seen.of(Ranking) if len(r.ranks) == 2 and len(set(r.ranks)) == 2]
    if len(first) < ENOUGH:
        return
    value = sum(first) / len(first)
    if value == 1:
        what = "The winner always stands first: the order in which answers were shown is not recorded"
        yield Finding("ok", what, seen.source)
        return
    low, high = wilson(value, len(first))
    what = f"What stands first wins {value:.1%} of the time ({low:.1%} to {high:.1%})"
    if low > 0.52 or high < 0.48:  # a small lean is in every large set, and harmless where the order was drawn
        yield Finding("warning", what, seen.source, "Half would be fair: labelers may favour a position; shuffle what is shown")
    else:
        yield Finding("ok", what, seen.source)


def classes(seen: Seen) -> Iterator[Finding]:
    """Whether scores differ at all, a dimension at a time."""
    scores: dict[str, Counter[float]] = defaultdict(Counter)
    for _, rating in seen.of(Rating):
        for name, value in rating.scores.items():
            scores[name][value] += 1
    for name, values in scores.items():
        total = values.total()
        (most, n), *others = values.most_common()
        if not others:
            if total > 1:
                advice = "Both good and bad answers are needed to learn what good is"
                yield Finding("error", f"Every {name!r} is {most:g}", seen.source, advice)
        elif n > 0.95 * total:
            yield Finding("warning", f"{share(n, total)} of the {name!r} scores are {most:g}", seen.source,
                          "A model that always says so is right that often; balance the classes")  # fmt: skip
        else:
            spread = ", ".join(f"{v:g}: {c:,}" for v, c in sorted(values.items())[:10])
            yield Finding("ok", f"{name!r} scores: {spread}{', ...' if len(values) > 10 else ''}", seen.source)


def labelers(seen: Seen) -> Iterator[Finding]:
    """Who answered how much."""
    counts = Counter(r.judgement.labeler if isinstance(r, Ranking) else r.labeler for _, r in seen.of(Ranking, Rating))
    if not counts:
        return
    if set(counts) == {"unknown"}:
        yield Finding("ok", "The labelers are not named, so their agreement cannot be measured", seen.source)
        return
    total = counts.total()
    top = ", ".join(f"{name} {n:,}" for name, n in counts.most_common(5))
    more = f", and {len(counts) - 5:,} more" if len(counts) > 5 else ""
    name, n = counts.most_common(1)[0]
    if len(counts) > 1 and n > 0.8 * total:
        yield Finding("warning", f"{name} gave {share(n, total)} of the labels ({top}{more})", seen.source,
                      "A reward model will learn that person's taste; spread the work")  # fmt: skip
    else:
        yield Finding("ok", f"Labels by {top}{more}", seen.source)


def contradicts_himself(votes: Iterable[tuple[str, int, str]]) -> bool:
    """Whether one named labeler preferred each of the two at some time."""
    signs: dict[str, set[int]] = defaultdict(set)
    for labeler, sign, _ in votes:
        signs[labeler].add(sign)
    return any(len(s) > 1 for labeler, s in signs.items() if labeler not in ("unknown", "crowd"))


def conflicts(seen: Seen) -> Iterator[Finding]:
    """Pairs of texts that were judged both ways round, and by whom."""
    votes: dict[tuple[str, str, str], list[tuple[str, int, str]]] = defaultdict(list)
    for place, ranking in seen.of(Ranking):
        texts = ranking.completions
        for winner, loser in ranking.pairs():
            a, b = sorted((texts[winner], texts[loser]))
            if a != b:
                sign = 1 if texts[winner] == a else -1
                votes[ranking.prompt.id, a, b].append((ranking.judgement.labeler, sign, place))
    repeated = [v for v in votes.values() if len(v) > 1]
    against = [v for v in repeated if len({sign for _, sign, _ in v}) > 1]
    if not against:
        if repeated:
            yield Finding("ok", f"{len(repeated):,} pairs were judged more than once, all alike", seen.source)
        return
    own = [v for v in against if contradicts_himself(v)]
    # People agree on about three pairs in four; more conflict than that is a fault of the data.
    level = "warning" if len(against) > 0.5 * len(repeated) or own else "ok"
    what = f"{share(len(against), len(repeated))} of the pairs judged more than once were judged both ways"
    what += f", {len(own):,} of them by the same labeler" if own else ""
    yield Finding(level, what, against[0][-1][2],
                  "Read some of them: unclear instructions, or tastes that differ" if level == "warning" else "")  # fmt: skip
