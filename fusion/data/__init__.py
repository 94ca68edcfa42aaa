"""Input data of the models: catalog, history, splits, reviews, prepared and selected columns, subsets; arguments."""
