"""Item transitions, recent popularity and content ridge regression, all in closed form."""
