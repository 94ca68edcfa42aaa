-- The catalog as of the last night that brought items: the latest version of each item, deleted ones left out.
--
-- Columns:
-- *: as in `items`.
SELECT *
FROM items_as_of((SELECT max(date) FROM items))
