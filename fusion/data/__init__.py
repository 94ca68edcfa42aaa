"""What every model is given: catalog, history, splits, column selection, subsets, arguments."""
