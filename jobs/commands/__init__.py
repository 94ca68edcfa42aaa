"""Groups of commands of `nightweave`, and the options that commands share."""
