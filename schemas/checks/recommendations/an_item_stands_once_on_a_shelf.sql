-- Items that stand more than once on a user's shelf.
SELECT date, user_id, shelf, item_id
FROM recommendations
GROUP BY ALL
HAVING count(*) > 1
