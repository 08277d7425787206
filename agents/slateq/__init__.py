"""SlateQ: Q-learning of single items whose values add up to a slate's."""
