-- Recommended items whose last version by that night is deleted.
SELECT r.date, r.item_id
FROM (SELECT DISTINCT date, item_id FROM recommendations) r
JOIN items i ON i.item_id = r.item_id AND i.date <= r.date
GROUP BY ALL
HAVING arg_max(i.deleted, i.date)
