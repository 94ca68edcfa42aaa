"""How a table is stored: commits, readers, compaction."""
