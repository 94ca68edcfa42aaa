"""The tables of `docs/explanation/comparison.md`, of what `nightweave compare --format csv` wrote.

    python -m benchmarks.comparison MOVIELENS.csv

Prints one table of the data as they are, a row a model, warm beside cold, and where variants were compared another of
them, the default beside the best baseline.
"""

import argparse

import pandas as pd

WARM, COLD = "per_user", "cold_items"
FIGURE, RECALL = "ndcg@10", "recall@20"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv")
    found = pd.read_csv(parser.parse_args().csv)
    whole = found[found["data"] == "full"]
    print(of_models(whole))
    if len(whole) < len(found):
        print(of_variants(found))


def of_models(rows: pd.DataFrame) -> str:
    """A row a model, in the order of the file's warm rows."""
    lines = [
        f"| | warm {FIGURE} | warm {RECALL} | cold {FIGURE} | cold {RECALL} | s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    by_split = {
        split: {str(row["model"]): row for _, row in rows[rows["split"] == split].iterrows()} for split in (WARM, COLD)
    }
    for model, warm in by_split[WARM].items():
        cold = by_split[COLD].get(model)
        seconds = sum(float(warm[name]) for name in ("tune_s", "fit_s", "score_s") if pd.notna(warm[name]))
        cells = [figure(warm, FIGURE), figure(warm, RECALL), *(figure(cold, name) for name in (FIGURE, RECALL))]
        lines.append(f"| {model} | {' | '.join(cells)} | {seconds:.1f} |")
    return "\n".join(lines)


def of_variants(rows: pd.DataFrame) -> str:
    """A row a variant: the default, and the best baseline with its name."""
    lines = ["| | warm, default | warm, best baseline | cold, default | cold, best baseline |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for variant, of_variant in rows.groupby("data", sort=False):
        cells = []
        for split in (WARM, COLD):
            here = of_variant[of_variant["split"] == split]
            for kind in ("strategy", "baseline"):
                best = here[here["kind"] == kind].nlargest(1, FIGURE)
                cells += [f"{figure(row, FIGURE)} `{row['model']}`" for _, row in best.iterrows()] or [""]
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join(lines)


def figure(row: pd.Series | None, name: str) -> str:
    """A figure with its interval, where the file has one."""
    if row is None:
        return ""
    metric = name.partition("@")[0]
    low, high = row.get(f"{metric}_low"), row.get(f"{metric}_high")
    of = f"{row[name]:.3f}".removeprefix("0")
    return of if pd.isna(low) else f"{of} ({low:.3f}–{high:.3f})".replace("(0", "(").replace("–0", "–")


if __name__ == "__main__":
    main()
