"""The judge: a factor model, another family than the multi-task BERT."""
