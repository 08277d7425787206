"""Item texts as vectors of a pretrained text BERT."""
