"""Write internal/stats/testdata/reference.json: what numpy, scipy and statsmodels make of small data sets.

    python tools/parity/stats.py

TestReference of internal/stats compares the package with it. Where a library has the method, the number is
the library's. Two things have no peer among them: the cluster-robust variance CR2 and Bell and McCaffrey's degrees of
freedom, which the package has in closed form for a mean. They are computed here from the definition, with
the matrices of a regression on a constant, and this script checks that code against statsmodels where both
have the method: CR0 and CR1 of any clusters, and CR2 = CR1 for clusters of one size.
"""

import itertools
import json
import math
import pathlib

import numpy as np
import statsmodels.api as sm
from scipy import linalg, stats
from statsmodels.stats import contingency_tables, inter_rater, power, proportion

OUT = pathlib.Path(__file__).parents[2] / "internal/stats/testdata/reference.json"
LEVELS = [0.9, 0.95, 0.99]


def matrices(clusters):
    """The matrices of a regression on a constant: for each cluster, weights on the residuals that give its part of CR2."""
    n = len(clusters)
    ones = np.ones((n, 1))
    residual = np.eye(n) - ones @ ones.T / n  # I - H
    parts = []
    for name in sorted(set(clusters)):
        rows = [i for i, c in enumerate(clusters) if c == name]
        values, vectors = linalg.eigh(residual[np.ix_(rows, rows)])
        adjust = vectors @ np.diag(values**-0.5) @ vectors.T
        parts.append((rows, adjust))
    return residual, parts


def robust(values, clusters):
    """Mean, CR2 variance and Bell-McCaffrey degrees of freedom, by the definitions."""
    y = np.array(values)
    n = len(y)
    residual, parts = matrices(clusters)
    e = residual @ y
    cr0 = sum(e[rows].sum() ** 2 for rows, _ in parts) / n**2
    cr2 = sum((adjust @ e[rows]).sum() ** 2 for rows, adjust in parts) / n**2
    # cr2 is y'Gy with G = sum of g g', g = residual[:, rows] adjust 1 / n; Satterthwaite matches two moments.
    g = np.stack([residual[:, rows] @ adjust.sum(axis=1) / n for rows, adjust in parts], axis=1)
    inner = g.T @ g
    df = np.trace(inner) ** 2 / np.sum(inner**2)
    check(values, clusters, cr0, cr2, df)
    return y.mean(), cr2, df


def check(values, clusters, cr0, cr2, df):
    names = sorted(set(clusters))
    groups = np.array([names.index(c) for c in clusters])
    fit = lambda **kw: sm.OLS(np.array(values), np.ones(len(values))).fit(cov_type="cluster", cov_kwds=dict(groups=groups, **kw)).bse[0] ** 2
    ratio = len(names) / (len(names) - 1)
    np.testing.assert_allclose(fit(use_correction=False), cr0, rtol=1e-9, atol=1e-18)
    np.testing.assert_allclose(fit(), cr0 * ratio, rtol=1e-9, atol=1e-18)
    if len(set(np.bincount(groups))) == 1:
        np.testing.assert_allclose(fit(), cr2, rtol=1e-9, atol=1e-18)
        np.testing.assert_allclose(df, len(names) - 1, rtol=1e-9)


def data(rng, sizes, draw):
    values, clusters = [], []
    for j, size in enumerate(sizes):
        values += draw(rng, size)
        clusters += [f"c{j:02}"] * size
    order = rng.permutation(len(values))
    return [values[i] for i in order], [clusters[i] for i in order]


def normal(spread):
    return lambda rng, size: [round(float(x), 4) for x in rng.normal(0.3, spread) + rng.normal(0, 1, size)]


def outcomes(rate, icc):
    """Outcomes of which each copies the cluster's own with a chance that gives them the correlation icc."""
    def draw(rng, size):
        shared = rng.random() < rate
        return [float(shared if rng.random() < icc**0.5 else rng.random() < rate) for _ in range(size)]
    return draw


SIZES = {
    "equal": [5] * 8,
    "unequal": [1, 2, 3, 5, 8, 13, 2, 4, 1, 7],
    "one dominates": [40, 2, 3, 1],
    "two": [6, 4],
    "alone": [1] * 25,
}


def means(rng):
    for (name, sizes), spread, level in itertools.product(SIZES.items(), [0.0, 1.5], LEVELS):
        values, clusters = data(rng, sizes, normal(spread))
        mean, variance, df = robust(values, clusters)
        se = math.sqrt(variance)
        half = stats.t.ppf(0.5 + level / 2, df) * se
        if name == "alone":
            plain = stats.ttest_1samp(values, 0)
            low, _ = plain.confidence_interval(level)
            np.testing.assert_allclose([mean - half, df], [low, plain.df], rtol=1e-9)
        yield dict(
            name=name, level=level, values=values, clusters=clusters, mean=mean, se=se, df=df, lo=mean - half, hi=mean + half,
            p=2 * stats.t.sf(abs(mean) / se, df), deff=variance / (np.var(values, ddof=1) / len(values)),
        )


def rate(values, clusters, level):
    """Wilson's interval on Korn and Graubard's effective sample size."""
    n = len(values)
    mean, variance, df = robust(values, clusters)
    if len(set(values)) == 1:  # nothing shows how outcomes go together: copies within a cluster
        sizes = np.array([clusters.count(c) for c in set(clusters)])
        deff = float(np.sum(sizes**2) / n)
        effective = n / deff
        df = robust([float(i % 2) for i in range(n)], clusters)[2]
    else:
        deff = max(variance, np.var(values, ddof=1) / n) / (mean * (1 - mean) / (n - 1))
        effective = n / deff * (stats.t.ppf(0.5 + level / 2, n - 1) / stats.t.ppf(0.5 + level / 2, df)) ** 2
    lo, hi = proportion.proportion_confint(mean * effective, effective, 1 - level, "wilson")
    return dict(
        level=level, values=values, clusters=clusters, rate=mean, se=math.sqrt(variance), df=df, deff=deff, effective=effective,
        lo=max(0.0, lo), hi=min(1.0, hi),
    )


def rates(rng):
    for (name, sizes), (p, icc), level in itertools.product(SIZES.items(), [(0.5, 0), (0.2, 0.4), (0.08, 0.8), (0, 0), (1, 0)], LEVELS):
        values, clusters = data(rng, sizes, outcomes(p, icc))
        yield dict(name=f"{name}, {p}, {icc}", **rate(values, clusters, level))
    for level in LEVELS:  # shares such as pass@k
        values, clusters = data(rng, SIZES["unequal"], lambda rng, size: [float(x) / 8 for x in rng.binomial(8, rng.random(), size)])
        yield dict(name="shares", **rate(values, clusters, level))


def welch(means):
    for a, b in itertools.combinations([m for m in means if m["level"] == 0.95], 2):
        va, vb = a["se"] ** 2, b["se"] ** 2
        df = (va + vb) ** 2 / (va**2 / a["df"] + vb**2 / b["df"])
        diff, se = a["mean"] - b["mean"], math.sqrt(va + vb)
        half = stats.t.ppf(0.975, df) * se
        if a["name"] == b["name"] == "alone":
            plain = stats.ttest_ind(a["values"], b["values"], equal_var=False)
            np.testing.assert_allclose([df, diff - half], [plain.df, plain.confidence_interval(0.95).low], rtol=1e-9)
        yield dict(
            a=means.index(a), b=means.index(b), diff=diff, se=se, df=df, lo=diff - half, hi=diff + half,
            p=2 * stats.t.sf(abs(diff) / se, df),
        )


def newcombe(rates):
    for a, b in itertools.combinations([r for r in rates if r["level"] == 0.95], 2):
        n1, n2 = a["effective"], b["effective"]
        k1, k2 = a["rate"] * n1, b["rate"] * n2
        lo, hi = proportion.confint_proportions_2indep(k1, n1, k2, n2, method="newcomb", compare="diff")
        p = 1.0 if a["rate"] == b["rate"] else proportion.proportions_ztest([k1, k2], [n1, n2])[1]
        yield dict(a=rates.index(a), b=rates.index(b), diff=a["rate"] - b["rate"], lo=lo, hi=hi, p=float(p))


def paired(rng):
    """Two arms with epochs and samples without a partner, in clusters or not."""
    for grouped, epochs in itertools.product([True, False], [1, 3]):
        treated, control = [], []
        for s in range(40):
            cluster = f"g{s % 9}" if grouped else ""
            base = rng.random()
            for arm, shift in ((treated, -0.15), (control, 0.05)):
                for _ in range(epochs):
                    arm.append(dict(sample=f"s{s:02}", cluster=cluster, value=float(rng.random() < base + shift)))
        kept = [f"s{s:02}" for s in range(2, 37)]
        treated = [o for o in treated if o["sample"] not in ("s00", "s01")]
        control = [o for o in control if o["sample"] not in ("s37", "s38", "s39")]
        average = lambda arm, s: np.mean([o["value"] for o in arm if o["sample"] == s])
        x, y = [average(treated, s) for s in kept], [average(control, s) for s in kept]
        clusters = [f"g{int(s[1:]) % 9}" if grouped else s for s in kept]
        mean, variance, df = robust([a - b for a, b in zip(x, y)], clusters)
        half = stats.t.ppf(0.975, df) * math.sqrt(variance)
        case = dict(
            treated=treated, control=control, mean=mean, se=math.sqrt(variance), df=df, lo=mean - half, hi=mean + half,
            p=2 * stats.t.sf(abs(mean) / math.sqrt(variance), df), correlation=stats.pearsonr(x, y).statistic,
            mcnemar=None, only_treated=["s37", "s38", "s39"], only_control=["s00", "s01"],
        )
        if epochs == 1:
            table = np.zeros((2, 2), int)
            for a, b in zip(x, y):
                table[int(1 - a), int(1 - b)] += 1
            case["mcnemar"] = dict(table=table.ravel().tolist(), p=contingency_tables.mcnemar(table, exact=True).pvalue)
        yield case


def mcnemar():
    for b, c in [(0, 0), (1, 0), (0, 6), (3, 3), (5, 12), (12, 5), (1, 30), (40, 61), (300, 251)]:
        exact = contingency_tables.mcnemar([[0, b], [c, 0]], exact=True).pvalue
        # By enumeration: outcomes as probable as the one seen count by half.
        chances = stats.binom.pmf(np.arange(b + c + 1), b + c, 0.5)
        same = np.abs(np.arange(b + c + 1) - (b + c) / 2) == abs(b - c) / 2
        further = np.abs(np.arange(b + c + 1) - (b + c) / 2) > abs(b - c) / 2
        mid = 1.0 if b + c == 0 else float(chances[further].sum() + chances[same].sum() / 2)
        yield dict(first=b, second=c, exact=float(exact), mid=mid)


def plans():
    """Power by statsmodels; size as the smallest number with that power, by counting up from the formula's."""
    for p1, p2 in [(0.22, 0.15), (0.15, 0.22), (0.5, 0.4), (0.05, 0.01), (0.9, 0.97), (0.3, 0.0)]:
        for alpha, goal, (size, icc) in itertools.product([0.05, 0.01], [0.8, 0.9], [(1, 0), (5, 0.2)]):
            deff = 1 + (size - 1) * icc
            at = lambda n: proportion.power_proportions_2indep(p1 - p2, p2, n / deff, alpha=alpha, return_results=False)
            yield dict(p1=p1, p2=p2, alpha=alpha, goal=goal, size=size, icc=icc, correlation=None, **smallest(at, goal, size))
            for rho in [0, 0.3, 0.5]:
                v1, v2 = p1 * (1 - p1), p2 * (1 - p2)
                both = p1 * p2 + rho * math.sqrt(v1 * v2)
                if not max(0, p1 + p2 - 1) <= both <= min(p1, p2) or rho and v1 * v2 == 0:
                    continue
                sd = math.sqrt(v1 + v2 - 2 * rho * math.sqrt(v1 * v2))
                pair = lambda n: power.normal_power_het(p1 - p2, n / deff, alpha, std_null=sd)
                yield dict(p1=p1, p2=p2, alpha=alpha, goal=goal, size=size, icc=icc, correlation=rho, **smallest(pair, goal, size))


def smallest(at, goal, size):
    n = 1
    while at(2 * n) < goal:
        n *= 2
    low, high = n, 2 * n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if at(middle) >= goal else (middle, high)
    n = high
    assert at(n) >= goal > at(n - 1)
    return dict(n=n, clusters=math.ceil(n / size), at={str(m): float(at(m)) for m in (max(1, n // 3), n, 2 * n)})


def passes():
    for n, c, k in [(1, 0, 1), (1, 1, 1), (5, 2, 1), (5, 2, 3), (5, 3, 3), (10, 1, 10), (200, 3, 100), (200, 150, 2), (7, 0, 4), (100, 1, 1)]:
        yield dict(n=n, c=c, k=k, p=float(1 - math.comb(n - c, k) / math.comb(n, k)))


def agreement(rng):
    for labels, n, follow in [("ab", 40, 0.6), ("abcd", 200, 0.7), ("abc", 30, 0.0), ("ab", 500, 0.95), ("abcde", 25, 0.3)]:
        first = [labels[i] for i in rng.integers(0, len(labels), n)]
        second = [a if rng.random() < follow else labels[int(rng.integers(0, len(labels)))] for a in first]
        used = sorted(set(first) | set(second))
        table = np.zeros((len(used), len(used)), int)
        for a, b in zip(first, second):
            table[used.index(a), used.index(b)] += 1
        k = inter_rater.cohens_kappa(table)
        agreed = int(np.trace(table))
        lo, hi = proportion.proportion_confint(agreed, n, 0.05, "wilson")
        yield dict(
            first=first, second=second, labels=used, counts=table.tolist(), rate=agreed / n, lo=lo, hi=hi,
            kappa=k.kappa, kappa_se=k.std_kappa, kappa_lo=max(-1, k.kappa_low), kappa_hi=min(1, k.kappa_upp),
        )


def plain(x):
    if isinstance(x, np.generic):
        return x.item()
    raise TypeError(f"{x!r} in the reference")


def main():
    rng = np.random.default_rng(20240607)
    m, r = list(means(rng)), list(rates(rng))
    reference = dict(
        means=m, rates=r, welch=list(welch(m)), newcombe=list(newcombe(r)), paired=list(paired(rng)), mcnemar=list(mcnemar()),
        plans=list(plans()), passes=list(passes()), agreement=list(agreement(rng)),
    )
    OUT.parent.mkdir(exist_ok=True)
    sections = [json.dumps(k) + ": [\n" + ",\n".join(json.dumps(c, default=plain) for c in v) + "\n]" for k, v in reference.items()]
    OUT.write_text("{\n" + ",\n".join(sections) + "\n}\n")
    print(f"{OUT}: " + ", ".join(f"{len(v)} {k}" for k, v in reference.items()))


if __name__ == "__main__":
    main()
