"""Units of work: computed once, resumed, in this process or in several."""
