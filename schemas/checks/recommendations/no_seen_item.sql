-- Recommended items that the user had an event with by that night.
SELECT r.date, r.user_id, r.item_id
FROM recommendations r
JOIN interactions i ON i.user_id = r.user_id AND i.item_id = r.item_id AND i.date <= r.date
