-- Shelves whose ranks do not begin with 1, or leave a number out.
SELECT date, user_id, shelf
FROM recommendations
GROUP BY ALL
HAVING min(rank) != 1 OR max(rank) != count(*)
