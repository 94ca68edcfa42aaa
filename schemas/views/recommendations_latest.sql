-- The shelves of the last night that has any.
--
-- Columns:
-- *: as in `recommendations`.
SELECT *
FROM recommendations
WHERE date = {last_night}
