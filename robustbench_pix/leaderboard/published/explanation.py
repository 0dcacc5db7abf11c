"""The README beside the published tables: written from the declared columns, so that it cannot lag behind them."""

from robustbench_pix.results.columns import Column

_HEAD = """\
# Published results

![The leaderboard](leaderboard.svg)

`rbp publish` writes every file in this folder; nobody edits them by hand. `rbp leaderboard` shows the same table in a
terminal.

| file | one row is |
|---|---|
| [measurements.csv](measurements.csv) | one trained model under one attack at one strength |
| [leaderboard.csv](leaderboard.csv) | one recipe, in one combination, under one suite |
| [robustness.csv](robustness.csv) | one recipe, in one combination, under one attack |
| [comparisons.csv](comparisons.csv) | one recipe beside one reference |
| [costs.csv](costs.csv) | one training, attack or check, and how long it took |
| [recipe-costs.csv](recipe-costs.csv) | one recipe, in one combination, and how long one model of it took |
| across.csv | one recipe over all its combinations in one suite; only where there are two or more |
| queries.csv | one recipe under one decision or score attack within one strength; only where one was run |
| pictures.csv | one test image and what one attack on one recipe made of it; only of images that may be published |
| examples.parquet, if it was asked for | one image under one attack on one model, at one strength |

[index.html](index.html) is all of it as one page, to be opened in a browser: tables to sort and filter, curves with
their bands and the published ones behind them, and where every row comes from. It fetches nothing.

[provenance.json](provenance.json) holds everything that the hashes are hashes of (recipes, tasks, attacks and suites as
they were resolved, digests of the data), what made each row (versions, commit, device, processor), and the command that
makes the row again, with the `unregularized` that its gain needs. [schema.json](schema.json) is the JSON Schema of the
tables. `rbp verify` checks this folder: it computes every hash, every fact and every aggregate again; queries.csv and
the worst case only where it has the outcome of every image, in examples.parquet or in the runs (`--runs`), and says
where it has not.

Numbers have up to ten significant digits. An empty field means that there is no such number; it never means 0.

## What the numbers mean

- **Robustness** under one attack is the area under the accuracy from strength 0 to the largest strength of the suite,
  divided by that strength: the mean accuracy over the whole range. It equals the clean accuracy if nothing is lost.
  An attack that reports a distance only has a column `distance_<attack>` and takes no part in the score.
- **Score** is the mean robustness over the attacks of the suite, first of one seed, then over seeds. Only seeds that
  have every attack enter.
- **Gain** is the score minus that of `unregularized`, paired by seed: equal seeds share initial weights, batches and
  noise, so most of the chance is in both and cancels.
- **Over several combinations** of one suite and size, across.csv has the interquartile mean of the scores of all models
  and the probability that a model of the recipe exceeds one of `unregularized`, with intervals by bootstrap over the
  seeds within combinations (Agarwal et al. 2021).
- **Intervals** are 95%. With several seeds they are Student's t over seeds (for a gain, over the paired differences):
  they say what another seed may bring, for this network and this task. With one seed there is only Wilson's interval
  of the clean accuracy: it says what other test images may bring, and nothing about another seed.
- **p_value** is the exact two-sided sign-flip test of the paired gains. It is empty below six seeds, where even a
  unanimous sign would not reach 0.05.
- **Rank** is 1 + the number of recipes whose score minus this one's, paired by seed, has an interval wholly above 0.
  Ranks differ only where such an interval excludes 0; order within a rank is by score. With one seed all are 1.
  A row that shares no seed with any other row is compared with none, and has no rank.
- **rank_low** to **rank_high** holds the rank of the true means with 95% confidence (intervals at 1 - .05 / (m - 1)
  for m recipes). Recipes that share a letter of **group** are not told apart by these intervals.
- **Excess** is the score minus what the clean accuracy predicts: the recipe's clean accuracy times the share of its
  clean accuracy that `unregularized` retains in its score, seed by seed.
- **Worst case**: an image is correct if it is so under every attack of the suite, in every repetition, of the images
  that all attacks judged. Its strength is a share: 0, .25, .5, .75, 1 of each attack's largest strength, at the nearest
  listed strength at or below. It stands in measurements.csv as the attack `worst-case` and is no part of the score.
- **Halving strength** is where the accuracy falls to half of the clean one, by linear interpolation of a seed's curve.
  It is empty where a seed does not reach it, since the mean of the others would be too small.
- **comparisons.csv** pairs every recipe with `unregularized` and with its controls. `p_holm` and `p_student_holm` are
  corrected for all comparisons of the block, by Holm. With n seeds no sign-flip p is below 2 / 2^n, too much for many
  comparisons; the verdict is by the t test therefore, from six seeds on.
- A **given model** (`rbp evaluate`) was trained elsewhere: its note names its code and its weights, and it has neither
  seed nor gain nor rank. It was attacked like the others of its block, with the same noise on the same images.
- **gradients** says whether a model hides its gradients, so that attacks which follow them find nothing: `sound`;
  `masked`, with on how many of 64 images which sign of it shows; or nothing, where the run did not look.
- Recipes are compared only within a block: the same suite and version, protocol, task, images, size, colour, network
  and precision.
- **Pictures** are of five fixed test images of a task, the same for every attack and recipe, as they were judged: at
  the first strength measured at which the model is wrong, else at the largest; or the nearest adversarial that was
  found. `l2` and `linf` are of the image that the model was asked about, in float32; the picture is rounded to 8 bits.
- A recipe that was not run or that failed keeps its row, with the reason in `note` and no numbers.

## What repeats

The same command on the same machine and software writes every file but the two of costs again, byte for byte. Across
devices, what was planned agrees exactly and numbers agree to rounding; `version`, `torch` and `device` say where a row
comes from. Costs never repeat: they are times of a clock.
"""


def readme(tables: dict[str, tuple[Column, ...]]) -> str:
    """Return the README of published tables; ``tables`` gives the columns of each file."""
    parts = [_HEAD]
    for file, columns in tables.items():
        lines = [f"| `{column.name}` | {column.kind} | {_cell(column.meaning)} |" for column in columns]
        parts.append("\n".join([f"## {file}\n", "| column | kind | meaning |", "|---|---|---|", *lines, ""]))
    return "\n".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
