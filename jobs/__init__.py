"""The steps of a night and the commands, one file each."""
