"""The README beside the published tables: written from the declared columns, so that it cannot lag behind them."""

from robustbench_pix.results.columns import Column
from robustbench_pix.results.published.schema import underivable

_HEAD = """\
# Published results

![The leaderboard](leaderboard.svg)

`rbp publish` writes every file in this folder; nobody edits them by hand. `rbp leaderboard` shows the same table in a
terminal.

| file | one row is |
|---|---|
| [measurements.csv](measurements.csv) | one trained model under one attack at one strength |
| [leaderboard.csv](leaderboard.csv) | one recipe, in one combination, under one suite |
| [aucs.csv](aucs.csv) | one recipe, in one combination, under one attack |
| [comparisons.csv](comparisons.csv) | one recipe beside one reference |
| [costs.csv](costs.csv) | one training, attack or check, and how long it took |
| [recipe-costs.csv](recipe-costs.csv) | one recipe, in one combination, and how long one model of it took |
| sampling.csv | two recipes, in one combination, and how a number of both varies over test images; only where known |
| aggregates.csv | one recipe over all its combinations in one suite; only where there are two or more |
| queries.csv | one recipe under one decision or score attack within one strength; only where one was run |
| pictures.csv | one test image and what one attack on one recipe made of it; only of images that may be published |
| examples.parquet, if it was requested | one image under one attack on one model, at one strength |

[index.html](index.html) is all of it as one page, to be opened in a browser: tables to sort and filter, curves with
their bands and the published ones behind them, and where every row comes from. It fetches nothing.

[provenance.json](provenance.json) holds everything that the hashes are hashes of (recipes, tasks, attacks and suites as
they were resolved, digests of the data), what made each row (versions, commit, device, processor), and the command that
makes the row again, with the `unregularized` that its gain needs. [schema.json](schema.json) is the JSON Schema of the
tables. `rbp verify` checks this folder: it computes every hash, every fact and every aggregate again; queries.csv,
sampling.csv and the worst case only where it has the outcome of every image, in examples.parquet or in the runs
(`--runs`), and says where it has not.

Numbers have up to ten significant digits. An empty field means that there is no such number; it never means 0.

## What the numbers mean

- **AUC** under one attack is the area under the accuracy over the attack's range of strengths, from `range_from` to the
  largest, divided by the length of the range: the mean accuracy over it. It equals the clean accuracy if nothing is
  lost. Ranges are those where the accuracy of `unregularized` falls to chance; docs/suites.md has the rule. Curves are
  drawn from strength 0. An attack that reports a distance only has a column `distance_<attack>` and takes no part in
  the mean AUC.
- **Mean AUC** is the mean of the AUC over threat groups, first of one seed, then over seeds. A group is a threat model
  (`access`): noise, transfer, decision-based, score-based or white-box. The noises of a group count the same; in an
  adversarial group only the strongest attack counts, which is the one with the lowest AUC on that model, in l2 and in
  linf by itself. So three noises do not count three times, and a weak attack raises no mean AUC. Only seeds that have
  every attack enter. `rbp compare A B --sensitivity` says how the difference between two recipes changes with other
  weights and ranges.
- **Gain** is the mean AUC minus that of `unregularized`, paired by seed: equal seeds share initial weights, batches and
  noise. A paired test is valid whatever that does to the outcomes. It is hardly sharper for it: over seeds, mean AUCs
  of a recipe and of `unregularized` were measured to correlate by -0.7 to +0.6.
- **Over several combinations** of one suite and size, aggregates.csv has the interquartile mean of the mean AUCs of all
  models and the probability that a model of the recipe exceeds one of `unregularized`, with intervals by bootstrap over
  the seeds within combinations (Agarwal et al. 2021).
- **Intervals** are 95%. `*_low` to `*_high` is over seeds and test images together where the outcome of every image is
  known (column `interval`): what another training on other test images of the same kind may bring, for this network and
  this task. `*_seeds_low` to `*_seeds_high` is over seeds alone, on these test images: Student's t. The variance of a
  mean over n seeds is s^2 / n + V, with V from the influence of each image on it (sampling.csv), and degrees of freedom
  by Satterthwaite. The part in which seeds and images interact is in both terms, so that intervals of differences are a
  few percent too wide. The combined interval is never narrower than that over seeds. With one seed there is only
  Wilson's interval of the clean accuracy, over test images; an external model has intervals over test images alone.
  eps50 and aggregates.csv have intervals over seeds.
- **verdict** is one of *better*, *worse*, *not significant*, *too few seeds*, by one rule everywhere: the t test of the
  paired differences, with the variance over test images, from six common seeds on, at 5% after Holm's correction over
  all pairs of recipes of the setting. Paired, because Student's t is then valid whatever the correlation within a seed,
  where Welch's test is too bold if it is negative. Of boards without any difference at most 5% carry any false verdict,
  letter or rank (benchmarks/results/verdicts.md); of k boards looked at together, at most k x 5%.
- **p_value** is the exact two-sided sign-flip test of the paired gains, a number beside the verdict. It is empty below
  six seeds, where even a unanimous sign would not reach 0.05.
- **Rank** is 1 + the number of better recipes. **rank_low** to **rank_high** holds the rank of the true means with 95%
  confidence for all recipes of the setting at once. Recipes that share a letter of **group** do not differ
  significantly. All follow from the verdicts; a recipe without a verdict, for want of seeds or of company, has none of
  them.
- **Effective robustness** is the mean AUC beyond what the clean accuracy predicts, seed by seed: (S - c) - (K - k) (S_u
  - c) / (K_u - k), with mean AUC S and clean accuracy K, those of `unregularized` S_u and K_u, and what the best
  constant answer gets of either, c and k (column `chance`). So a constant classifier and any mixture of one with
  `unregularized` have 0. The idea is that of Taori et al. 2020 (arXiv 2007.00644), whose prediction is a log-linear fit
  over many models; ours is the line through chance and one model. Where attacks judge different images, c is that of
  the class most frequent among those of each, and a constant classifier has at most 0.
- **Worst case**: an image is correct if it is so under every attack of the suite, in every repetition, of the images
  that all attacks judged. Its strength is a share: 0.25, 0.5, 0.75, 1 of each attack's range, at the nearest listed
  strength at or below, and 0 for no attack. It stands in measurements.csv as the attack `worst-case` and is no part of
  the mean AUC.
- **eps50** is where the accuracy falls to half of the clean one, by linear interpolation of a seed's curve. It is empty
  where a seed does not reach it, since the mean of the others would be too small.
- **comparisons.csv** pairs every recipe with `unregularized` and with its controls. `p_adjusted` and `verdict` are
  those of the board, corrected for all pairs of recipes of the setting, not only for these rows.
- An **external model** (`rbp evaluate`) was trained elsewhere: its note names its code and its weights, and it has
  neither seed nor gain nor rank. It was attacked like the others of its setting, with the same noise on the same
  images.
- **gradients** says whether a model masks its gradients, so that attacks which follow them find nothing: `sound`;
  `masked`, with on how many of 64 images which sign of it shows; `failed`, with why it could not be looked at; or
  nothing, where the run did not look.
- **distance_inflation** says how far above the smallest known distances (by DDN and FAB, which see gradients, on up to
  16 images of each model) a decision attack in l2 ended: `not converged` above 1.2 times. The AUC is overstated by up
  to that factor, and a difference between two recipes by the difference of theirs.
- An answer with a logit that is not finite is never right; `unanswered` counts the images where it was judged.
- Recipes are compared only within a setting: the same suite and version, protocol, task, images, size, colour, network
  and precision.
- **Pictures** are of five fixed test images of a task, the same for every attack and recipe, as they were judged: at
  the first strength measured at which the model is wrong, else at the largest; or the nearest adversarial that was
  found. `l2` and `linf` are of the image that the model was queried with, in float32; the picture is rounded to 8 bits.
- A recipe that was not run or that failed keeps its row, with the reason in `note` and no numbers.

## What cannot be derived

`rbp verify` holds against each other whatever it can; nothing in this folder confirms:

{underivable}

SHA256SUMS has the digest of every file (`sha256sum -c SHA256SUMS`): it tells accidents and half-finished copies, not a
forger who writes it anew.

## What repeats

The same command on the same machine and software writes every file but the two of costs, and SHA256SUMS, again, byte
for byte. Across devices, what was planned agrees exactly and numbers agree to rounding; `version`, `torch` and `device`
say where a row comes from. Costs never repeat: they are times of a clock.
"""


def readme(tables: dict[str, tuple[Column, ...]]) -> str:
    """Return the README of published tables; ``tables`` gives the columns of each file."""
    parts = [_HEAD.replace("{underivable}", "\n".join(f"- {text}" for text in underivable(outcomes=False, runs=False)))]
    for file, columns in tables.items():
        lines = [f"| `{column.name}` | {column.kind} | {_cell(column.meaning)} |" for column in columns]
        parts.append("\n".join([f"## {file}\n", "| column | kind | meaning |", "|---|---|---|", *lines, ""]))
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
