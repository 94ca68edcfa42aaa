-- The catalog as of a night: the latest version of each item that had arrived by then, deleted ones left out.
--
-- Parameters: night
-- Columns:
-- *: as in `items`.
SELECT *
FROM versions_as_of(night)
WHERE NOT deleted
