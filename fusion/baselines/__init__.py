"""The models that any other must beat: fixed parameters, from history or content alone, and one from both."""
