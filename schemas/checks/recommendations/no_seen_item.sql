-- Recommended items that the user had an event with by that night.
--
-- Events of an earlier night's partition that was replaced after the shelves were made may not have been there yet.
SELECT r.date, r.user_id, r.item_id
FROM recommendations r
JOIN interactions i ON i.user_id = r.user_id AND i.item_id = r.item_id AND i.date <= r.date
WHERE NOT EXISTS (
    SELECT 1 FROM replaced_since x WHERE x.source = 'interactions' AND x.date = r.date AND x.arrived = i.date
)
