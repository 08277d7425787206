"""The figure of how the heads' gradients agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slategym.models.files import atomic_path


def draw_cosines(cosines: dict[str, Any], path: Path) -> None:
    """One matrix an epoch, heads by heads, in one PNG file.

    Args:
        cosines: "heads", and "epochs" with a matrix each, as a trained model's folder keeps them.
        path: of the file; its folder is made if absent.
    """
    from matplotlib.figure import Figure

    heads, epochs = cosines["heads"], cosines["epochs"]
    figure = Figure(figsize=(2.6 * len(epochs) + 1.2, 3.2), layout="constrained")
    axes = figure.subplots(1, len(epochs), squeeze=False)[0]
    for epoch, (axis, matrix) in enumerate(zip(axes, epochs, strict=True), start=1):
        image = axis.imshow(matrix, vmin=-1, vmax=1, cmap="RdBu")
        axis.set_title(f"epoch {epoch}")
        axis.set_xticks(range(len(heads)), heads, rotation=90)
        axis.set_yticks(range(len(heads)), heads if epoch == 1 else [""] * len(heads))
        for row, values in enumerate(matrix):
            for column, value in enumerate(values):
                axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8)
    figure.colorbar(image, ax=list(axes), label="cosine between gradients")
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
