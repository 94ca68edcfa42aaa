-- Explanations by an item that the user had no event with by that night.
--
-- Events of an earlier night's partition that was replaced since may have been there then.
SELECT e.*
FROM explanations e
WHERE NOT EXISTS (
    SELECT 1 FROM interactions i
    WHERE i.user_id = e.user_id AND i.item_id = e.because_item_id AND i.date <= e.date
) AND NOT EXISTS (SELECT 1 FROM replaced_since x WHERE x.source = 'interactions' AND x.date = e.date)
