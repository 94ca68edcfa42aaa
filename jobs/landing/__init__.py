"""Where a landing zone can come from: a catalog made from a seed, or a public data set laid out anew."""
