"""What a backfill would do, said before anything runs."""
