from slategym.experiments.report.cosines import draw_cosines


def test_the_figure_is_a_png(tmp_path):
    matrix = [[1.0, -0.5], [-0.5, 1.0]]
    draw_cosines({"heads": ["click", "next"], "epochs": [matrix, matrix]}, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
