-- An item that entered, left or moved on a user's shelf, against the last night before that on which the user had it.
--
-- A user's first shelf has no rows, and neither has an item that keeps its place.
--
-- Columns:
-- date: Night of the shelf.
-- previous_date: The night that it is compared with.
-- user_id: As in `recommendations`.
-- shelf: As in `recommendations`.
-- item_id: As in `recommendations`.
-- change: `entered`: was not on the shelf of `previous_date`; `left`: was, and is no longer; `moved`: has another place.
-- rank: Its place on `date`, from 1; null where it left.
-- previous_rank: Its place on `previous_date`, from 1; null where it entered.
WITH shelves AS (
    SELECT DISTINCT date, user_id, shelf
    FROM recommendations
),
compared AS (
    SELECT user_id, shelf, date, lag(date) OVER (PARTITION BY user_id, shelf ORDER BY date) AS previous_date
    FROM shelves
    QUALIFY previous_date IS NOT NULL
),
-- Grouped rather than joined in full, so that a condition on the user or the shelf reaches the table.
places AS (
    SELECT c.date, c.previous_date, r.user_id, r.shelf, r.item_id, r.rank, NULL::INTEGER AS previous_rank
    FROM recommendations r
    JOIN compared c ON c.user_id = r.user_id AND c.shelf = r.shelf AND c.date = r.date
    UNION ALL
    SELECT c.date, c.previous_date, r.user_id, r.shelf, r.item_id, NULL, r.rank
    FROM recommendations r
    JOIN compared c ON c.user_id = r.user_id AND c.shelf = r.shelf AND c.previous_date = r.date
)
SELECT
    date, previous_date, user_id, shelf, item_id,
    CASE WHEN max(previous_rank) IS NULL THEN 'entered' WHEN max(rank) IS NULL THEN 'left' ELSE 'moved' END AS change,
    max(rank) AS rank,
    max(previous_rank) AS previous_rank
FROM places
GROUP BY date, previous_date, user_id, shelf, item_id
HAVING max(rank) IS DISTINCT FROM max(previous_rank)
