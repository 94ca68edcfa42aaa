-- The latest version of each item that had arrived by a night, deleted ones included.
--
-- Parameters: night
-- Columns:
-- *: as in `items`.
SELECT *
FROM items
WHERE date <= night::DATE
QUALIFY row_number() OVER (PARTITION BY item_id ORDER BY {counts_as_of} DESC, date DESC) = 1
