"""Search at serving time: futures played out in a model of people learned from one's own slates."""
