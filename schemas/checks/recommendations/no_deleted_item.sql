-- Recommended items whose current version, of those that had arrived by that night, is deleted.
--
-- An earlier night's partition that was replaced after the shelves were made may have held any version of the item: it
-- counts as one that is not deleted, as late as a version of that night can be.
WITH shown AS (
    SELECT DISTINCT date, item_id
    FROM recommendations
),
versions AS (
    SELECT s.date, s.item_id, i.deleted, i.date AS arrived, i.counts_as_of
    FROM shown s
    JOIN (SELECT date, item_id, deleted, {counts_as_of} AS counts_as_of FROM items) i
        ON i.item_id = s.item_id AND i.date <= s.date
    WHERE NOT EXISTS (
        SELECT 1 FROM replaced_since x WHERE x.source = 'items' AND x.date = s.date AND x.arrived = i.date
    )
    UNION ALL
    SELECT s.date, s.item_id, false, x.arrived, x.arrived + INTERVAL {future_days} DAY
    FROM shown s
    JOIN replaced_since x ON x.source = 'items' AND x.date = s.date
)
SELECT date, item_id
FROM versions
GROUP BY ALL
HAVING arg_max(deleted, (counts_as_of, arrived))
